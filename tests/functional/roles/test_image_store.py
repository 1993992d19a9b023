# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role image_store tells a store of where it may fetch from, made of an inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses
from tests.functional.roles.test_controller import ROOT, begin, changed

ROLE = ROOT / "roles/image_store"
# Facts are what a host says of itself; those of c1 would deny all the world if they were believed.
LIE = {"all_ipv4_addresses": ["0.0.0.0/0"], "default_ipv4": {"address": "0.0.0.0/0"}}
HOSTS = [
    {"name": "c1", "groups": "cloud_compute", "ansible_host": "203.0.113.11", "ansible_facts": LIE},
    {"name": "c2", "groups": "cloud_compute,cell_a", "ansible_host": "cafe.example", "agentless_address": "10.0.0.12"},
    {"name": "2001:db8::6", "groups": "cloud_volume"},
    {"name": "mirror", "groups": "web", "ansible_host": "203.0.113.80"},
    {"name": "localhost", "groups": "cloud_image", "agentless_management_address": "10.0.0.7"},
]


def told(tmp_path: Path, **variables: Any) -> dict[str, Any]:
    """What the role writes for the store."""
    path = tmp_path / "imports.json"
    tasks = [
        *({"ansible.builtin.add_host": host} for host in HOSTS),
        *(
            {"ansible.builtin.include_vars": {"file": str(ROLE / name)}}
            for name in ("defaults/main.yml", "vars/main.yml")
        ),
        {"ansible.builtin.copy": {"content": "{{ __image_store_imports | to_nice_json }}\n", "dest": str(path)}},
    ]
    given = {"image_store_address": "10.0.0.70", **variables}
    changed(begin(tmp_path, tasks, "-e", json.dumps(given)))
    addresses.rules(str(path))
    return dict(json.loads(path.read_text()))


def test_the_clouds_own_hosts_are_denied(tmp_path: Path) -> None:
    said = told(tmp_path)
    assert said["denied"] == ["10.0.0.12", "10.0.0.7", "2001:db8::6", "203.0.113.11"]
    assert (said["allowed"], said["own"], int(said["max_gib"])) == ([], ["10.0.0.7", "10.0.0.70"], 1024)


def test_the_operators_words(tmp_path: Path) -> None:
    lists = {"image_store_import_allowed": ["10.9.0.0/16"], "image_store_import_denied": ["198.51.100.0/24"]}
    said = told(tmp_path, **lists, image_store_import_max_gib=3)
    assert (said["allowed"], said["denied"], int(said["max_gib"])) == (["10.9.0.0/16"], ["198.51.100.0/24"], 3)
