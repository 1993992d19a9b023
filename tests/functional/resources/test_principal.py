# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configured principal through Ansible's programs: what is refused, and that no task gets round it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import ENVIRONMENT
from tests.functional.resources.controller import Controller
from tests.functional.resources.test_modules import task
from tests.unit.resources.cloud import KEY


def principal(controller: Controller, name: str, **said: Any) -> Path:
    file = controller.home / name
    file.write_text(yaml.safe_dump({"user": name, **said}))
    file.chmod(0o600)
    return file


def tenant(controller: Controller) -> Controller:
    """The same cloud for alice, a member of the project shop."""
    file = principal(controller, "alice", roles={"shop": "member"})
    return Controller(controller.home, environment={ENVIRONMENT: str(file)})


def test_a_tenant_stays_in_their_project(controller: Controller) -> None:
    controller.play(
        [task("project", name="shop"), task("project", name="bank"), task("keypair", name="k", public_key=KEY)]
    )
    alice = tenant(controller)
    done = alice.play([task("keypair", name="a", public_key=KEY, project="shop"), task("keypair_info", project="shop")])
    assert done[0]["changed"]
    assert [each["name"] for each in done[1]["keypairs"]] == ["a"]
    before = controller.digest()
    refused: list[tuple[dict[str, Any], str, str | None]] = [
        (task("keypair_info"), "NotFound", None),
        (task("keypair", name="k", state="absent"), "NotFound", None),
        (task("keypair", name="a", public_key=KEY, project="bank"), "NotFound", None),
        (task("flavor", name="huge", vcpus=64, ram=1, disk=1, project="shop"), "BadInput", "not_permitted"),
        (task("project", name="shop", quota={"instances": -1}), "BadInput", "not_permitted"),
    ]
    results = alice.play([{**each, "ignore_errors": True} for each, _error, _reason in refused])
    said = [(result["error"], result.get("reason")) for result in results]
    assert said == [(error, reason) for _task, error, reason in refused], alice.said
    assert controller.digest() == before


def test_a_task_cannot_say_who_asks(controller: Controller) -> None:
    """The path is read from the environment of Ansible, which no keyword, variable or fact of a play reaches."""
    controller.play([task("project", name="shop")])
    alice = tenant(controller)
    admin = str(principal(controller, "eve", admin=True))
    asked = task("flavor", name="huge", vcpus=64, ram=1, disk=1)
    given = {ENVIRONMENT: admin}
    tasks = [
        {**asked, "environment": given},
        {**asked, "vars": {**given, "ansible_env": given}},
        {"name": "Fact", "ansible.builtin.set_fact": {"ansible_env": given, **given}},
        asked,
    ]
    tasks = [{**each, "ignore_errors": True} for each in tasks]
    results = alice.play(tasks, "-e", f"{ENVIRONMENT}={admin}", environment=given)
    assert [result.get("reason") for result in results] == ["not_permitted", "not_permitted", None, "not_permitted"]
    mine = controller.home / "mine.db"
    (result,) = alice.play([task("keypair_info", project="shop")], "-e", f"agentless_database={mine}", fails=True)
    assert "AGENTLESS_DATABASE" in result["msg"]
    assert not mine.exists()


def test_lookup_and_inventory(controller: Controller) -> None:
    controller.play([task("project", name="shop"), task("project", name="bank")])
    alice = tenant(controller)
    question = "{{ lookup('agentless.cloud.scheduler', 'web1', flavor='small', project='bank') }}"
    alice.play([{"name": "Where", "ansible.builtin.debug": {"msg": question}}], fails=True)
    assert "NotFound: project 'bank'" in " ".join(alice.said.split())
    cache = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(controller.home / "cache"),
    }
    for project, refused in (("shop", False), ("bank", True)):
        file = controller.home / "instances.yml"
        file.write_text(yaml.safe_dump({"plugin": "agentless.cloud.instances", "project": project, **cache}))
        for who, fails in ((controller, False), (alice, refused)):  # what the first keeps is not for the second
            done = who.command("ansible-inventory", "-i", str(file), "--list")
            assert ("NotFound" in who.said) is fails, who.said
            assert done.returncode == 0
