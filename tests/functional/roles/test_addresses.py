# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of both families as roles put them together; an IPv6 address stands in brackets before a port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.roles.test_controller import ROOT, begin, changed


@pytest.mark.parametrize(
    ("address", "want"), [("192.0.2.1", "ssl:192.0.2.1:6642"), ("2001:db8::1", "ssl:[2001:db8::1]:6642")]
)
def test_where_chassis_find_the_southbound_database(tmp_path: Path, address: str, want: str) -> None:
    defaults = str(ROOT / "roles/compute/defaults/main.yml")
    tasks = [
        {"ansible.builtin.include_vars": {"file": defaults}},
        {"ansible.builtin.assert": {"that": f"compute_ovn_remote == '{want}'"}},
    ]
    run = begin(tmp_path, [{**task, "vars": {"__compute_central_address": address}} for task in tasks])
    assert changed(run) == 0


LIES = {
    "a network and everybody": "0.0.0.0/0 ::/0",
    "a network": "10.0.0.0/8",
    "two addresses": "10.0.0.9 10.0.0.10",
    "a rule": "10.0.0.9; allow all",
    "a name": "evil.example.org",
    "nothing": "",
    "a number": 7,
    "a list": ["0.0.0.0/0"],
}
MINE = {"ansible_host": "10.0.0.1", "says": {"all_ipv4_addresses": ["10.0.0.1"]}}
OUTSIDE = "203.0.113.7"


def told(said: object) -> dict[str, object]:
    """A host that says not to have the address by which it is reached, and to have another one."""
    return {"ansible_host": OUTSIDE, "says": {"all_ipv4_addresses": [], "default_ipv4": {"address": said}}}


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("image_store", "__image_store_clients"),
        ("volume", "__volume_compute_addresses"),
        ("network", "__network_compute_addresses"),
        ("compute", "__compute_central_address"),
    ],
)
def test_a_fact_is_one_address_at_most(tmp_path: Path, role: str, variable: str) -> None:
    """Who is let in is the inventory's word; a machine behind another address says one of its own, never a network."""
    hosts = {"mine": MINE, "behind": told("10.0.0.2")}
    hosts.update({f"liar{place}": told(lie) for place, lie in enumerate(LIES.values())})
    groups = {"cloud_compute": {"hosts": {name: {} for name in hosts}}}
    inventory = {"all": {"hosts": {"localhost": {}, **hosts}, "children": groups}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    want = ["10.0.0.1", "10.0.0.2", *[OUTSIDE] * len(LIES)]
    found = "{{ told | join(' ') | split | list }}"
    each = {"compute_ovn_central": "{{ item }}"} if role == "compute" else {}
    facts = {
        name: f"{{{{ hostvars[item].says.{name} | default(omit) }}}}" for name in ("all_ipv4_addresses", "default_ipv4")
    }
    tasks = [
        {
            "ansible.builtin.set_fact": {**facts, "cacheable": True},
            "delegate_to": "{{ item }}",
            "delegate_facts": True,
            "loop": list(hosts),
        },
        {"ansible.builtin.include_vars": {"file": str(ROOT / "roles" / role / "vars/main.yml")}},
        {
            "ansible.builtin.set_fact": {"told": f"{{{{ told | default([]) + [{variable}] }}}}"},
            "loop": list(hosts) if role == "compute" else ["all"],
            "vars": each,
        },
        {"ansible.builtin.assert": {"that": f"found == {want}", "fail_msg": "{{ found }}"}, "vars": {"found": found}},
    ]
    assert changed(begin(tmp_path / "run", tasks, "-i", str(tmp_path / "hosts.json"))) == 0


# What hosts say of themselves, and whether it is the address of one host.
TOLD = {
    "192.0.2.9": True,
    "2001:db8::9": False,
    ":::::": False,
    "0.0.0.0/0 ::/0": False,
    "192.0.2.0/24": False,
    "192.0.2.1-192.0.2.9": False,
    "192.0.2.9 192.0.2.10": False,
    "192.0.2.9, 192.0.2.10": False,
    "192.0.2.999": False,
    "::/0": False,
    "fade": False,
    "": False,
}


def test_a_host_tells_one_address_to_the_rules_of_the_southbound_database(tmp_path: Path) -> None:
    """Where the inventory has a name only, one address is believed of the host, and nothing more."""
    tasks: list[dict[str, Any]] = []
    for number, told in enumerate(TOLD):
        facts = {"default_ipv4": {"address": told}, "all_ipv4_addresses": [], "cacheable": True}
        host = {"name": f"k{number}", "groups": ["cloud_compute"], "ansible_host": f"k{number}.example"}
        tasks += [
            {"ansible.builtin.add_host": host},
            {"ansible.builtin.set_fact": facts, "delegate_to": f"k{number}", "delegate_facts": True},
        ]
    want = [told if one else f"unknown:k{number}" for number, (told, one) in enumerate(TOLD.items())]
    tasks += [
        {"ansible.builtin.include_vars": {"file": str(ROOT / "roles/network/vars/main.yml")}},
        {"ansible.builtin.assert": {"that": f"__network_compute_addresses | split == {want}"}},
    ]
    changed(begin(tmp_path, tasks))
