# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts that call themselves alike: who has the name by the inventory keeps it, whatever the other says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TASK = "Check that the host has a name of its own"
SAME_MACHINE = "0123456789abcdef0123456789abcdef"  # what a liar forges

# what each host calls itself, addresses in the inventory where it is not the host's own, who is refused
CASES: dict[str, tuple[dict[str, str], dict[str, str], set[str]]] = {
    "names of their own": ({"k1": "k1", "k2": "k2.example", "net1": "n"}, {}, set()),
    "two alike": ({"k1": "x", "k2": "x"}, {}, {"k1", "k2"}),
    "one is called so": ({"k1": "k2", "k2": "k2"}, {}, {"k1"}),
    "one is called so, and its domain": ({"k1": "k2.example", "k2": "k2.example"}, {}, {"k1"}),
    "one that everybody needs": ({"k1": "central", "net1": "central"}, {}, {"k1"}),
    "one that everybody needs, against one called so": ({"k1": "k1", "net1": "k1"}, {}, {"k1"}),
    "two that everybody needs": ({"img1": "x", "net1": "x", "k1": "k1"}, {}, {"img1", "net1"}),
    "three alike": ({"k1": "k1", "k2": "k1", "vol1": "k1"}, {}, {"k2", "vol1"}),
    "one machine with two names": ({"k1": "x", "vol1": "x"}, {"k1": "192.0.2.9", "vol1": "192.0.2.9"}, set()),
    "a name that is none": ({"k1": "localhost", "k2": "k2"}, {}, {"k1"}),
}


def groups_of(hosts: Any) -> dict[str, Any]:
    kinds = {"k": "cloud_compute", "v": "cloud_volume", "n": "cloud_network", "i": "cloud_image"}
    groups: dict[str, Any] = {}
    for host in hosts:
        groups.setdefault(kinds[host[0]], {"hosts": {}})["hosts"][host] = None
    return groups


@pytest.mark.parametrize("case", CASES)
def test_who_keeps_a_name(tmp_path: Path, case: str) -> None:
    said, addresses, want = CASES[case]
    written = yaml.safe_load((ROOT / "roles/common/tasks/preflight.yml").read_text())
    facts = {"nodename": "{{ told }}", "hostname": "{{ told.split('.')[0] }}", "machine_id": SAME_MACHINE}
    tasks = [
        {"ansible.builtin.set_fact": {**facts, "cacheable": True}},
        *(task for task in written if task["name"] == TASK),
    ]
    assert len(tasks) == 2
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    hosts = {host: {"told": told, "ansible_host": addresses.get(host, host)} for host, told in said.items()}
    inventory = {"all": {"hosts": hosts, "vars": {"ansible_connection": "local"}, "children": groups_of(said)}}
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
    settings = {"ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts.yml", tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    recap = done.stdout.partition("PLAY RECAP")[2]
    assert {
        host for host in said if any(f"{host} " in line and "failed=1" in line for line in recap.splitlines())
    } == want
