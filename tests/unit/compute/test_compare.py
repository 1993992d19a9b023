# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports and their security groups: what a wish changes of an instance that exists, and what a diff says of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import compare, orders, wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found

NETWORKS = {name: {"id": f"net-{name}", "name": name} for name in ("front", "back")}
GROUPS = {name: {"id": f"sg-{name}", "name": name} for name in ("default", "ping", "dns")}
GROUPS["sg-ping"] = GROUPS["ping"]  # a task may name a group by its id


def port(text: str, position: int) -> orders.Port:
    """A port written as ``network address groups [status]``; its id is ``p0``, ``p1``, ... and its MAC ends so."""
    name, address, groups, *status = text.split()
    names = tuple(sorted(set(groups.split("+")) - {"-"}))
    return orders.Port(
        {
            "id": f"p{position}",
            "position": position,
            "mac_address": f"fa:16:3e:00:00:0{position}",
            "status": (status or ["ACTIVE"])[0],
        },
        ({"subnet_id": "s", "address": f"10.0.0.{address}"},),
        NETWORKS[name],
        {},
        tuple(GROUPS[group]["id"] for group in names),
        names,
    )


def compared(ports: list[str], **args: Any) -> compare.Difference:
    wish = wanted.wanted({"name": "w", "state": "running", "timeout": 60, "wait": True, **args})
    guest = orders.Guest(
        {"id": "i", "name": "w", "metadata": {}, "tags": []},
        None,
        tuple(port(text, position) for position, text in enumerate(ports)),
    )
    found = Found("project", None, None, None, None, NETWORKS, GROUPS)
    return compare.difference(wish, found, guest)


def nic(network: str, *groups: str, **more: str) -> dict[str, Any]:
    return {"network": network, **({"security_groups": [*groups]} if groups else {}), **more}


SAME: dict[str, Any] = {"secgroups": {}, "plug": [], "unplug": [], "changes": []}
ONE = ["front 5 ping"]
TWO = ["front 5 ping", "back 6 dns"]

TABLE: list[tuple[str, list[str], dict[str, Any], dict[str, Any]]] = [
    ("nothing asked", TWO, {}, {}),
    ("the networks as they are", TWO, {"networks": ["front", "back"]}, {}),
    ("the networks in another order", TWO, {"networks": ["back", "front"]}, {}),
    ("the groups as they are", ONE, {"security_groups": ["ping"]}, {}),
    ("a group said twice", ONE, {"security_groups": ["ping", "sg-ping", "ping"]}, {}),
    ("the groups of each port as they are", TWO, {"nics": [nic("front", "ping"), nic("back", "dns")]}, {}),
    ("a nic without groups keeps those that it has", TWO, {"nics": [nic("front"), nic("back", "dns")]}, {}),
    (
        "other groups for all",
        ["front 5 ping", "back 6 ping"],
        {"security_groups": ["dns"]},
        {"secgroups": {"p0": ["sg-dns"], "p1": ["sg-dns"]}, "changes": ["security_groups"]},
    ),
    ("no group at all", ONE, {"security_groups": []}, {"secgroups": {"p0": []}, "changes": ["security_groups"]}),
    (
        "the same for all, where they differed",
        TWO,
        {"security_groups": ["ping", "dns"]},
        {"secgroups": {"p0": ["sg-dns", "sg-ping"], "p1": ["sg-dns", "sg-ping"]}, "changes": ["nics"]},
    ),
    (
        "a port's own groups, in place",
        ["front 5 ping", "back 6 ping"],
        {"nics": [nic("front"), nic("back", "dns")]},
        {"secgroups": {"p1": ["sg-dns"]}, "changes": ["security_groups", "nics"]},
    ),
    (
        "a port's own groups go before those of the instance",
        TWO,
        {"security_groups": ["default"], "nics": [nic("front"), nic("back", "dns")]},
        {"secgroups": {"p0": ["sg-default"]}, "changes": ["security_groups", "nics"]},
    ),
    (
        "two ports on one network, each with its own",
        ["front 5 ping", "front 6 ping"],
        {"security_groups": ["default"], "nics": [nic("front"), nic("front", "dns")]},
        {"secgroups": {"p0": ["sg-default"], "p1": ["sg-dns"]}, "changes": ["security_groups", "nics"]},
    ),
    (
        "groups change places",
        TWO,
        {"nics": [nic("front", "dns"), nic("back", "ping")]},
        {"secgroups": {"p0": ["sg-dns"], "p1": ["sg-ping"]}, "changes": ["nics"]},
    ),
    (
        "the nic with an address is that port, wherever it stands",
        ["front 5 ping", "front 6 dns"],
        {"nics": [nic("front", "dns"), nic("front", "ping", fixed_ip="10.0.0.5")]},
        {},
    ),
    (
        "so is the one with a MAC address",
        ["front 5 ping", "front 6 dns"],
        {"nics": [nic("front", "dns"), nic("front", "ping", mac_address="FA:16:3E:00:00:00")]},
        {},
    ),
    (
        "a network attached later gets the project's default",
        ONE,
        {"networks": ["front", "back"]},
        {"plug": [(1, "back")], "changes": ["networks", "security_groups", "nics"]},
    ),
    (
        "which shows nowhere but in the networks where all have it",
        ["front 5 default"],
        {"networks": ["front", "back"]},
        {"plug": [(1, "back")], "changes": ["networks"]},
    ),
    (
        "with groups given, all ports get them",
        ONE,
        {"networks": ["front", "back"], "security_groups": ["dns"]},
        {"secgroups": {"p0": ["sg-dns"]}, "plug": [(1, "back")], "changes": ["networks", "security_groups"]},
    ),
    (
        "the same groups given, only the network is new",
        ONE,
        {"networks": ["front", "back"], "security_groups": ["ping"]},
        {"plug": [(1, "back")], "changes": ["networks"]},
    ),
    (
        "a new nic with its own",
        ONE,
        {"nics": [nic("front"), nic("back", "dns")]},
        {"plug": [(1, "back")], "changes": ["networks", "security_groups", "nics"]},
    ),
    (
        "another address is another port",
        ONE,
        {"nics": [nic("front", "ping", fixed_ip="10.0.0.9")]},
        {"plug": [(1, "front")], "unplug": ["p0"], "changes": ["nics"]},
    ),
    (
        "a detached network takes its groups along",
        TWO,
        {"networks": ["front"]},
        {"unplug": ["p1"], "changes": ["networks", "security_groups", "nics"]},
    ),
    (
        "new ones stand behind, in the order of the task",
        ["back 6 ping"],
        {"networks": ["front", "back", "front"], "security_groups": ["ping"]},
        {"plug": [(1, "front"), (2, "front")], "changes": ["networks"]},
    ),
    (
        "a port that goes is neither compared nor kept",
        ["front 5 ping", "back 6 dns UNPLUGGING"],
        {"networks": ["front"], "security_groups": ["ping"]},
        {},
    ),
]


@pytest.mark.parametrize(("ports", "args", "want"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_a_wish_changes_of_ports(ports: list[str], args: dict[str, Any], want: dict[str, Any]) -> None:
    found = compared(ports, **args)
    assert {
        "secgroups": found.secgroups,
        "plug": [(position, nic.network) for position, nic in found.plug],
        "unplug": [port.record["id"] for port in found.unplug],
        "changes": [change.what for change in found.changes],
    } == {**SAME, **want}
    assert all(change.before != change.after for change in found.changes), "a diff shows a difference"


def test_a_diff_says_which_groups_each_port_will_have() -> None:
    found = compared(ONE, nics=[nic("front", "dns"), nic("back", fixed_ip="10.0.0.9"), nic("back", "ping")])
    assert {change.what: (change.before, change.after) for change in found.changes} == {
        "networks": (["front"], ["front", "back", "back"]),
        "security_groups": (["ping"], ["default", "dns", "ping"]),
        "nics": (
            [{"network": "front", "addresses": ["10.0.0.5"], "security_groups": ["ping"]}],
            [
                {"network": "front", "addresses": ["10.0.0.5"], "security_groups": ["dns"]},
                {"network": "back", "addresses": ["10.0.0.9"], "security_groups": ["default"]},
                {"network": "back", "addresses": [], "security_groups": ["ping"]},
            ],
        ),
    }
