# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subnets and rules as users write them: completed, compared, refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.network import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import central, ports, rules, subnets


def pool(start: str, end: str) -> dict[str, str]:
    return {"start": start, "end": end}


COMPLETED: list[tuple[dict[str, Any], str | None, list[dict[str, str]]]] = [
    ({"cidr": "10.0.0.0/24"}, "10.0.0.1", [pool("10.0.0.2", "10.0.0.254")]),
    ({"cidr": "10.0.0.0/24", "gateway_ip": ""}, None, [pool("10.0.0.1", "10.0.0.254")]),
    (
        {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.9"},
        "10.0.0.9",
        [pool("10.0.0.1", "10.0.0.8"), pool("10.0.0.10", "10.0.0.254")],
    ),
    ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.254"}, "10.0.0.254", [pool("10.0.0.1", "10.0.0.253")]),
    ({"cidr": "10.0.0.0/31"}, "10.0.0.0", [pool("10.0.0.1", "10.0.0.1")]),
    ({"cidr": "10.0.0.7/32", "gateway_ip": ""}, None, [pool("10.0.0.7", "10.0.0.7")]),
    ({"cidr": "FD00:0::/64"}, "fd00::1", [pool("fd00::2", "fd00::ffff:ffff:ffff:ffff")]),
    ({"cidr": "fd00::/64", "gateway_ip": "fe80::1"}, "fe80::1", [pool("fd00::1", "fd00::ffff:ffff:ffff:ffff")]),
]


@pytest.mark.parametrize(("given", "gateway", "pools"), COMPLETED)
def test_defaults(given: dict[str, Any], gateway: str | None, pools: list[dict[str, str]]) -> None:
    done = subnets.completed(subnets.normalized(given))
    assert (done["gateway_ip"], done["allocation_pools"], done["enable_dhcp"]) == (gateway, pools, True)


REFUSED: list[dict[str, Any]] = [
    {"cidr": "10.0.0.0/33"},
    {"cidr": "10.0.0"},
    {"cidr": "10.0.0.1/24"},
    {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.0"},
    {"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"},
    {"cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"},
    {"cidr": "10.0.0.0/24", "allocation_pools": [pool("10.0.0.9", "10.0.0.8")]},
    {"cidr": "10.0.0.0/24", "allocation_pools": [pool("10.0.0.9", "10.0.1.8")]},
    {"cidr": "10.0.0.0/24", "allocation_pools": [pool("10.0.0.2", "10.0.0.9"), pool("10.0.0.9", "10.0.0.12")]},
    {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "fd00::/64", "nexthop": "10.0.0.2"}]},
    {"cidr": "10.0.0.0/24", "dns_nameservers": ["resolver.example.org"]},
    {"cidr": "0.0.0.0/0"},
    {"cidr": "0.0.0.0/24"},
    {"cidr": "126.0.0.0/7"},
    {"cidr": "127.1.0.0/24"},
    {"cidr": "224.0.0.0/24"},
    {"cidr": "169.254.169.0/24"},
    {"cidr": "240.0.0.0/4"},
    {"cidr": "::/0"},
    {"cidr": "::1/128"},
    {"cidr": "::ffff:0:0/96"},
    {"cidr": "fe80::/64"},
    {"cidr": "fe00::/7"},
    {"cidr": "ff02::/64"},
]


@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_refused_subnets(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        subnets.completed(subnets.normalized(given))


ACTUAL = subnets.completed(subnets.normalized({"cidr": "10.0.0.0/24", "name": "a"}))

CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"gateway_ip": "10.0.0.1", "enable_dhcp": True, "dns_nameservers": []}, {}),
    ({"enable_dhcp": False}, {"enable_dhcp": False}),
    ({"gateway_ip": ""}, {"gateway_ip": None}),
    ({"dns_nameservers": ["192.0.2.53"]}, {"dns_nameservers": ["192.0.2.53"]}),
    ({"allocation_pools": [pool("10.0.0.9", "10.0.0.20")]}, {"allocation_pools": [pool("10.0.0.9", "10.0.0.20")]}),
]


@pytest.mark.parametrize(("given", "differing"), CHANGES)
def test_only_what_is_given_is_compared(given: dict[str, Any], differing: dict[str, Any]) -> None:
    assert subnets.changes(subnets.normalized({"cidr": "10.0.0.0/24", **given}), ACTUAL) == differing


def test_a_gateway_that_guests_may_have_is_refused() -> None:
    with pytest.raises(BadInput, match="allocation_pools"):
        subnets.changes(subnets.normalized({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.77"}), ACTUAL)


def test_a_prefix_does_not_change() -> None:
    with pytest.raises(ChangeRefused):
        subnets.changes(subnets.normalized({"cidr": "10.0.1.0/24", "name": "a"}), ACTUAL)


BLANK = dict.fromkeys((*rules.KEY, "description"))

RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"direction": "ingress", "ether_type": "IPv4"}),
    ({"remote_ip_prefix": "2001:DB8::/32"}, {"ether_type": "IPv6", "remote_ip_prefix": "2001:db8::/32"}),
    ({"protocol": "6", "port_range_min": 22}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}),
    ({"protocol": "ANY", "port_range_min": -1, "port_range_max": -1}, {"protocol": None}),
    ({"protocol": "icmp", "ether_type": "IPv6"}, {"protocol": "icmpv6", "ether_type": "IPv6"}),
    ({"remote_group": "web"}, {"remote_group_id": "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"}),
]


@pytest.mark.parametrize(("given", "stored"), RULES)
def test_rules_have_one_form(given: dict[str, Any], stored: dict[str, Any]) -> None:
    whole = {**BLANK, "direction": "ingress", "ether_type": "IPv4", **stored}
    assert rules.normalized(given, {"web": "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"}) == whole


def test_a_group_names_itself_before_it_exists() -> None:
    assert rules.normalized({"remote_group": "web"}, {"web": "\0self"})["remote_group_id"] == "\0self"
    with pytest.raises(BadInput, match=r"excludes a remote group"):
        rules.normalized({"remote_group": "web", "remote_ip_prefix": "10.0.0.0/8"}, {"web": "\0self"})


def test_outbound_stays_open_until_a_rule_speaks_of_it() -> None:
    inbound = rules.normalized({"protocol": "tcp"}, {})
    out = rules.normalized({"direction": "egress", "protocol": "udp"}, {})
    assert rules.wanted([inbound]) == [inbound, *rules.allow_outbound()]
    assert rules.wanted([inbound, out]) == [inbound, out]


def test_operations_carry_what_the_backend_needs() -> None:
    record = {
        "id": "p",
        "generation": 3,
        "network_id": "n",
        "mac_address": "m",
        "port_security_enabled": 1,
        "allowed_address_pairs": None,
        "status": "BUILD",
    }
    operation = ports.port_operation(record, [{"subnet_id": "s", "address": "a", "number": "0"}], ["b", "a"], "web")
    assert operation == {
        "op": "port",
        "id": "p",
        "generation": 3,
        "network_id": "n",
        "mac_address": "m",
        "addresses": [{"subnet_id": "s", "address": "a"}],
        "hostname": "web",
        "port_security": True,
        "allowed_address_pairs": [],
        "secgroups": ["a", "b"],
    }
    assert ports.port_operation({**record, "port_security_enabled": False}, [], ["a"], None)["secgroups"] == []


A, B = "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11", "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"

NAMES = [
    # the guest's project, the network's, the guest's host name, what answers
    (A, A, "web", "web"),
    (B, A, "web", f"web.{B}"),
    (A, B, "web", f"web.{A}"),
    (B, A, "w" * 63, f"{'w' * 63}.{B}"),
]


@pytest.mark.parametrize(("guest", "owner", "name", "answers"), NAMES)
def test_a_plain_name_is_of_the_networks_project(guest: str, owner: str, name: str, answers: str) -> None:
    """And what the others have instead is a name that DNS can carry."""
    made = ports.dns_name({"project_id": guest}, {"project_id": owner}, name)
    assert made == answers == values.hostname(made)


def test_guests_of_two_projects_share_no_name() -> None:
    """What the network backend is told of two guests called alike, on a network of one of their projects."""
    names = []
    for project in (A, B):
        record = dict.fromkeys(("id", "generation", "network_id", "mac_address", "allowed_address_pairs"))
        record |= {"project_id": project, "port_security_enabled": True}
        port = orders.Port(record, (), {"id": "n", "project_id": A}, {}, ())
        guest = orders.Guest({"id": project, "name": "Web"}, None, (port,))
        names += [operation["hostname"] for operation in orders.port_operations([guest])]
    assert names == ["web", f"web.{B}"]


def test_no_instance_has_the_name_of_another_projects() -> None:
    """The part of the project cannot be written into the name of an instance."""
    assert "." not in orders.hostname(f"web.{B}")


def test_the_network_host_is_the_first_of_its_group() -> None:
    assert central.host({"cloud_network": ["b", "a"]}) == "b"
    with pytest.raises(BadInput, match="cloud_network"):
        central.host({})
