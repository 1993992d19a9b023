# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as OVN match expressions, and the values that never become one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.network import rules

GROUP = "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"
RULE = "8a1c6f3e-1d53-4c0e-9f6b-7d4f0f8b2a11"

MATCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "outport == @g && ip4"),
    ({"direction": "egress"}, "inport == @g && ip4"),
    ({"ether_type": "IPv6"}, "outport == @g && ip6"),
    ({"protocol": "any"}, "outport == @g && ip4"),
    ({"protocol": "tcp"}, "outport == @g && ip4 && tcp"),
    ({"protocol": "TCP", "port_range_min": 22, "port_range_max": 22}, "outport == @g && ip4 && tcp && tcp.dst == 22"),
    (
        {"protocol": "17", "port_range_min": 1, "port_range_max": 65535},
        "outport == @g && ip4 && udp && udp.dst >= 1 && udp.dst <= 65535",
    ),
    ({"protocol": "icmp", "port_range_min": 8}, "outport == @g && ip4 && icmp4 && icmp4.type == 8"),
    (
        {"protocol": "icmp", "port_range_min": 3, "port_range_max": 4},
        "outport == @g && ip4 && icmp4 && icmp4.type == 3 && icmp4.code == 4",
    ),
    (
        {"protocol": "icmpv6", "ether_type": "IPv6", "port_range_min": 0, "port_range_max": 0},
        "outport == @g && ip6 && icmp6 && icmp6.type == 0 && icmp6.code == 0",
    ),
    ({"protocol": "gre"}, "outport == @g && ip4 && ip.proto == 47"),
    ({"protocol": "99"}, "outport == @g && ip4 && ip.proto == 99"),
    ({"remote_ip_prefix": "0.0.0.0/0"}, "outport == @g && ip4"),
    ({"remote_ip_prefix": "192.0.2.0/24"}, "outport == @g && ip4 && ip4.src == 192.0.2.0/24"),
    (
        {"direction": "egress", "ether_type": "IPv6", "remote_ip_prefix": "2001:DB8::/32"},
        "inport == @g && ip6 && ip6.dst == 2001:db8::/32",
    ),
    (
        {"remote_group_id": GROUP},
        "outport == @g && ip4 && ip4.src == $ag_5f0e3f4e_2a52_4a4c_9b5b_5a7a9e9d8c11_ip4",
    ),
    (
        {"remote_group_id": GROUP, "ether_type": "IPv6", "direction": "egress"},
        "inport == @g && ip6 && ip6.dst == $ag_5f0e3f4e_2a52_4a4c_9b5b_5a7a9e9d8c11_ip6",
    ),
]

REFUSED: list[dict[str, Any]] = [
    {"direction": "both"},
    {"ether_type": "ARP"},
    {"protocol": "tcp || ip4"},
    {"protocol": "256"},
    {"protocol": "-1"},
    {"protocol": "²"},
    {"protocol": "tcp", "port_range_min": 22},
    {"protocol": "tcp", "port_range_min": 23, "port_range_max": 22},
    {"protocol": "tcp", "port_range_min": 0, "port_range_max": 65536},
    {"protocol": "tcp", "port_range_min": "22", "port_range_max": "22"},
    {"protocol": "tcp", "port_range_min": True, "port_range_max": True},
    {"protocol": "icmp", "port_range_max": 0},
    {"protocol": "icmp", "port_range_min": 256},
    {"protocol": "icmpv6"},
    {"port_range_min": 22, "port_range_max": 22},
    {"remote_ip_prefix": "192.0.2.1/24"},
    {"remote_ip_prefix": "2001:db8::/32"},
    {"remote_ip_prefix": "192.0.2.0/24 || 1"},
    {"remote_ip_prefix": "192.0.2.0/24", "remote_group_id": GROUP},
    {"remote_group_id": "web"},
]


def rule(**more: Any) -> dict[str, Any]:
    return {"id": RULE, "direction": "ingress", "ether_type": "IPv4", **more}


@pytest.mark.parametrize(("more", "expression"), MATCHES, ids=lambda value: str(value)[:40])
def test_match(more: dict[str, Any], expression: str) -> None:
    assert rules.match("g", rule(**more)) == expression


@pytest.mark.parametrize("more", REFUSED, ids=str)
def test_refused(more: dict[str, Any]) -> None:
    with pytest.raises(BackendError):
        rules.match("g", rule(**more))


@pytest.mark.parametrize(("stateful", "action"), [(True, "allow-related"), (False, "allow-stateless")])
def test_acls_of_a_group(stateful: bool, action: str) -> None:
    (acl,) = rules.acls(GROUP, stateful, [rule(protocol="tcp")])
    assert acl == {
        "direction": "to-lport",
        "priority": rules.ALLOW,
        "match": "outport == @ag_5f0e3f4e_2a52_4a4c_9b5b_5a7a9e9d8c11 && ip4 && tcp",
        "action": action,
        "external_ids": {rules.OWNER: GROUP, rules.RULE: RULE},
    }


@pytest.mark.parametrize(("direction", "ovn"), [("ingress", "to-lport"), ("egress", "from-lport")])
def test_a_rule_stands_in_its_own_direction(direction: str, ovn: str) -> None:
    (acl,) = rules.acls(GROUP, True, [rule(direction=direction)])
    assert acl["direction"] == ovn
    assert acl["match"].startswith("outport" if ovn == "to-lport" else "inport")


def test_the_drop_group_closes_both_directions_below_every_rule_and_forbids_serving_above() -> None:
    acls = rules.drop_acls()
    last = {acl["direction"]: acl for acl in acls if acl["priority"] == rules.DROP}
    assert {acl["match"] for acl in last.values()} == {"inport == @ag_drop", "outport == @ag_drop"}
    assert {acl["action"] for acl in last.values()} == {"drop"}
    above = [acl for acl in acls if acl["priority"] > rules.ALLOW and acl["action"] == "drop"]
    assert {acl["direction"] for acl in above} == {"from-lport"}
    assert all(acl["priority"] > rules.BASIC for acl in above)
