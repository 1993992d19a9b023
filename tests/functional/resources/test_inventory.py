# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin through ansible-inventory and ansible-playbook."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    hosts,
    instances,
    projects,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from tests.functional.resources.controller import Controller

TRAP = "{{ lookup('pipe', 'touch trapped') }}"
ROWS: list[dict[str, Any]] = [
    {
        "name": "web1",
        "status": "ACTIVE",
        "tags": ["web", TRAP],
        "metadata": {"role": "web", "note": TRAP, "ansible_user": "mallory"},
        "flavor": {"id": "f", "name": "small", "ram": 512},
        "image": {"id": "i", "name": "debian-12"},
        "userdata": "canary",
    },
    {"name": "db1", "status": "SHUTOFF", "metadata": {"role": "db"}, "flavor": {"id": "f", "name": "small"}},
    {"name": "localhost", "status": "ACTIVE"},
    {"name": "kvm1", "status": "ACTIVE"},
    {"name": "../../x", "status": "ACTIVE"},
]


@pytest.fixture
def ids(controller: Controller) -> dict[str, str]:
    """Instances in the database; their ids by name."""
    with Conductor.open(str(controller.database)) as conductor, conductor.transaction() as conn:
        project = projects.ensure_default(conn)["id"]
        host = hosts.save(conn, "kvm1", zone="z1")
        records.insert(conn, cloud.host_mappings, name="kvm1", kind="compute")
        rows = [{"project_id": project, "host_id": host["id"], **row} for row in ROWS]
        return {row["name"]: row["id"] for row in instances.create_many(conn, rows)}


def plain(value: dict[str, Any]) -> Any:
    """Texts that are no templates are marked in this form."""
    return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value


def listed(controller: Controller, **options: Any) -> dict[str, Any]:
    file = controller.home / "instances.yml"
    file.write_text(yaml.safe_dump({"plugin": "agentless.cloud.instances", **options}))
    done = controller.command("ansible-inventory", "-i", str(file), "--list")
    assert done.returncode == 0, controller.said
    found: dict[str, Any] = json.loads(done.stdout, object_hook=plain)
    return found


def test_hosts_groups_and_variables(controller: Controller, ids: dict[str, str]) -> None:
    before = controller.digest()
    found = listed(
        controller,
        compose={"role": "agentless_metadata.role", "note": "agentless_metadata.note"},
        keyed_groups=[{"key": "agentless_metadata.role", "prefix": "role"}],
        groups={"large": "agentless_flavor.ram | default(0) >= 512"},
    )
    assert controller.digest() == before
    variables = found["_meta"]["hostvars"]
    strangers = {ids[name] for name in ("localhost", "kvm1", "../../x")}
    assert set(variables) == {"web1", "db1"} | strangers
    assert variables["web1"]["agentless_id"] == ids["web1"]
    assert variables["web1"]["agentless_compute_host"] == "kvm1"
    assert variables["web1"]["role"] == "web"
    assert variables["web1"]["note"] == TRAP
    assert "ansible_user" not in variables["web1"]
    assert set(found["status_active"]["hosts"]) == {"web1"} | strangers
    assert found["status_shutoff"]["hosts"] == ["db1"]
    assert set(found["flavor_small"]["hosts"]) == {"web1", "db1"}
    assert found["image_debian_12"]["hosts"] == found["tag_web"]["hosts"] == found["large"]["hosts"] == ["web1"]
    assert set(found["zone_z1"]["hosts"]) == set(found["host_kvm1"]["hosts"]) == set(variables)
    assert found["role_db"]["hosts"] == ["db1"]
    assert "canary" not in controller.said
    assert not list(controller.home.rglob("trapped"))


def test_filters_and_names(controller: Controller, ids: dict[str, str]) -> None:
    found = listed(controller, filters={"metadata": {"role": "web"}, "status": "ACTIVE"}, hostnames=["metadata.role"])
    assert set(found["_meta"]["hostvars"]) == {"web"}
    assert listed(controller, cell="east").get("_meta", {}).get("hostvars", {}) == {}


def test_values_in_a_play_are_no_templates(controller: Controller, ids: dict[str, str]) -> None:
    listed(controller)
    play = [
        {
            "hosts": "web1",
            "gather_facts": False,
            "connection": "local",
            "tasks": [
                {"name": "say", "ansible.builtin.debug": {"msg": "{{ agentless_metadata.note }} {{ agentless_tags }}"}}
            ],
        }
    ]
    file = controller.home / "say.yml"
    file.write_text(yaml.safe_dump(play))
    done = controller.command("ansible-playbook", "-i", str(controller.home / "instances.yml"), str(file))
    assert done.returncode == 0, controller.said
    assert "touch trapped" in controller.said
    assert not list(controller.home.rglob("trapped"))


def test_cached(controller: Controller, ids: dict[str, str]) -> None:
    caching = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(controller.home / "cache"),
    }
    first = listed(controller, **caching)
    with Conductor.open(str(controller.database)) as conductor, conductor.transaction() as conn:
        instances.remove(conn, ids["db1"])
    assert listed(controller, **caching) == first
    assert "db1" not in listed(controller)["_meta"]["hostvars"]


def test_an_unknown_project_is_said(controller: Controller, ids: dict[str, str]) -> None:
    file = controller.home / "instances.yml"
    file.write_text(yaml.safe_dump({"plugin": "agentless.cloud.instances", "project": "none"}))
    controller.environment = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    assert controller.command("ansible-inventory", "-i", str(file), "--list").returncode != 0
    assert "NotFound: project 'none' was not found" in controller.said
