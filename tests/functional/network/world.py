# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small world of networks, groups and ports as operations, for tests."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

Operation = dict[str, Any]


def uid(name: str) -> str:
    """A UUID that belongs to a name."""
    return str(uuid.UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()))


def subnet(name: str, cidr: str, **more: Any) -> dict[str, Any]:
    """A subnet of a network operation."""
    version = 6 if ":" in cidr else 4
    plain = {"gateway_ip": None, "enable_dhcp": True, "dns_nameservers": [], "host_routes": []}
    return {"id": uid(name), "cidr": cidr, "ip_version": version, **plain, **more}


def network(name: str = "net", *, generation: int = 1, **more: Any) -> Operation:
    """A network with one subnet of each version."""
    subnets = [
        subnet(f"{name}-v4", "10.0.0.0/24", gateway_ip="10.0.0.1", dns_nameservers=["192.0.2.53"]),
        subnet(f"{name}-v6", "fd00::/64", gateway_ip="fd00::1"),
    ]
    return {"op": "network", "id": uid(name), "generation": generation, "mtu": 1442, "subnets": subnets, **more}


def mac(number: int) -> str:
    """The MAC address of the numbered port."""
    return f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"


def port(number: int, *, net: str = "net", groups: tuple[str, ...] = (), **more: Any) -> Operation:
    """The numbered port, with an address of each version."""
    return {
        "op": "port",
        "id": uid(f"port{number}"),
        "generation": 1,
        "network_id": uid(net),
        "mac_address": mac(number),
        "addresses": [
            {"subnet_id": uid(f"{net}-v4"), "address": f"10.0.{number // 250}.{number % 250 + 3}"},
            {"subnet_id": uid(f"{net}-v6"), "address": f"fd00::{number + 3:x}"},
        ],
        "hostname": f"web{number}",
        "port_security": True,
        "allowed_address_pairs": [],
        "secgroups": [uid(group) for group in groups],
        **more,
    }


def rule(name: str, **more: Any) -> dict[str, Any]:
    """A rule of a group; inbound IPv4, of any kind, unless said."""
    blank = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
    return {"id": uid(name), "direction": "ingress", "ether_type": "IPv4", **blank, **more}


def outbound(group: str) -> list[dict[str, Any]]:
    """All outbound."""
    return [rule(f"{group}-out-{kind}", direction="egress", ether_type=kind) for kind in ("IPv4", "IPv6")]


def secgroup(name: str, *rules: dict[str, Any], generation: int = 1, stateful: bool = True) -> Operation:
    """A group of exactly these rules."""
    return {"op": "secgroup", "id": uid(name), "generation": generation, "stateful": stateful, "rules": list(rules)}


def absent(kind: str, name: str) -> Operation:
    """The removal of something."""
    return {"op": f"{kind}_absent", "id": uid(name), "generation": 9}
