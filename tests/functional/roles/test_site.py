# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the playbook ``site`` goes where a host fails: its plays as they are, with a stand-in for each role."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {
    "cloud_conductor": ["db1"],
    "cloud_network": ["net1"],
    "cloud_image": ["img1", "img2"],
    "cloud_volume": ["vol1", "vol2"],
    "cloud_compute": ["k1", "k2"],
}
EVERYBODY = {host for hosts in GROUPS.values() for host in hosts}
NEEDED = {"db1", "net1", "img1", "img2"}
ROLES = ("common", "conductor", "network", "ca", "image_store", "volume", "compute", "cell")
DONE = re.compile(r'"msg": "(\w+) is done on (\w+)"')

# who fails at which role (``setup`` is the gathering of facts); which roles are done on which hosts
CASES: dict[str, tuple[dict[str, str], dict[str, set[str]]]] = {
    "nobody": ({}, {"common": EVERYBODY, "volume": {"vol1", "vol2"}, "cell": {"k1", "k2"}}),
    "a compute host at once": (
        {"k1": "setup"},
        {"common": EVERYBODY - {"k1"}, "image_store": {"img1", "img2"}, "cell": {"k2"}},
    ),
    "a compute host": ({"k1": "common"}, {"conductor": {"db1"}, "volume": {"vol1", "vol2"}, "cell": {"k2"}}),
    "a storage host": ({"vol2": "common"}, {"network": {"net1"}, "volume": {"vol1"}, "cell": {"k1", "k2"}}),
    "two of them, later": (
        {"k2": "ca", "vol1": "ca"},
        {"image_store": {"img1", "img2"}, "volume": {"vol2"}, "cell": {"k1"}},
    ),
    "all compute hosts": ({"k1": "common", "k2": "common"}, {"volume": {"vol1", "vol2"}, "cell": set()}),
    "the database host": ({"db1": "common"}, {"common": EVERYBODY - {"db1"}, "conductor": set(), "cell": set()}),
    "the central, which does not answer": ({"net1": "setup"}, {"common": set(), "cell": set()}),
    "an image store": ({"img2": "ca"}, {"network": {"net1"}, "image_store": set(), "volume": set(), "cell": set()}),
    "an image store, later": ({"img2": "image_store"}, {"volume": set(), "cell": set()}),
}


def stand_in(task: dict[str, Any], failing: dict[str, str]) -> dict[str, Any]:
    """The task, or what stands for it: it says that it is done, or fails on the hosts that are to fail."""
    name = "setup" if "ansible.builtin.setup" in task else task.get("ansible.builtin.include_role", {}).get("name", "")
    name = name.rpartition(".")[2]
    if not name:
        return task
    hosts = [host for host, where in failing.items() if where == name]
    said = {"msg": f"{name} is done on {{{{ inventory_hostname }}}}"}
    steps = [
        {"ansible.builtin.fail": {"msg": "broken"}, "when": f"inventory_hostname in {hosts}"},
        {"ansible.builtin.debug": said},
    ]
    return {"block": steps, **({"when": task["when"]} if "when" in task else {})}


def run(place: Path, failing: dict[str, str]) -> tuple[int, dict[str, set[str]], str]:
    """The exit status of the playbook, the hosts on which each role was done, and all it said."""
    plays = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    for play in plays:
        play["tasks"] = [stand_in(task, failing) for task in play["tasks"]]
    (place / "site.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    groups = {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in GROUPS.items()}
    (place / "hosts.yml").write_text(
        yaml.safe_dump({"all": {"children": groups, "vars": {"ansible_connection": "local"}}})
    )
    settings = {"ANSIBLE_HOME": str(place / "ansible"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "default"}
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", place / "hosts.yml", place / "site.yml"],
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    reached: dict[str, set[str]] = {role: set() for role in ("setup", *ROLES)}
    for role, host in DONE.findall(done.stdout):
        reached[role].add(host)
    return done.returncode, reached, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_who_is_left_out_and_who_stops_the_run(tmp_path: Path, case: str) -> None:
    failing, want = CASES[case]
    status, reached, said = run(tmp_path, failing)
    assert {role: reached[role] for role in want} == want, said
    assert (status == 0) is (not failing), said
    if NEEDED & failing.keys() and "image_store" not in failing.values():
        assert "nothing more is done" in said
