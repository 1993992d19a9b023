# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of both families as roles put them together; an IPv6 address stands in brackets before a port."""

from __future__ import annotations

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


# What hosts say of themselves, and whether it is the address of one host.
TOLD = {
    "192.0.2.9": True,
    "2001:db8::9": True,
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
