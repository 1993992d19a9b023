# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records as operations of the network backend. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network.rows import MTU

Operation = dict[str, Any]
Record = Mapping[str, Any]

_SUBNET = ("id", "cidr", "ip_version", "gateway_ip", "enable_dhcp", "dns_nameservers", "host_routes")
_RULE = (
    "id",
    "direction",
    "ether_type",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)


def network_operation(network: Record, subnets: Iterable[Record]) -> Operation:
    """The logical switch of a network with the DHCP of its subnets."""
    return {
        "op": "network",
        "id": network["id"],
        "generation": network["generation"],
        "mtu": network["mtu"] or MTU,
        "provider": network.get("provider") or None,
        "subnets": [{key: subnet[key] for key in _SUBNET} for subnet in subnets],
    }


def secgroup_operation(group: Record, rules: Iterable[Record]) -> Operation:
    """The port group of a security group with its rules."""
    return {
        "op": "secgroup",
        "id": group["id"],
        "generation": group["generation"],
        "stateful": bool(group["stateful"]),
        "rules": [{key: rule[key] for key in _RULE} for rule in rules],
    }


def dns_name(port: Record, network: Record, hostname: str) -> str:
    """The name that answers with the port's addresses on its network.

    OVN answers everybody on a network alike, so that a name has one owner: the plain ones are of the network's own
    project. Guests that other projects have on a shared network go by their project's id as well, ``web1.<id>``,
    whoever came first.
    """
    owned = port["project_id"] == network["project_id"]
    return hostname if owned else f"{hostname}.{port['project_id']}"


def port_operation(
    port: Record, addresses: Iterable[Record], secgroup_ids: Sequence[str], hostname: str | None
) -> Operation:
    """A port with its addresses, its groups and the name that DNS answers on its network.

    Groups mean nothing on a port without port security, so there they are left out.
    """
    secured = bool(port["port_security_enabled"])
    return {
        "op": "port",
        "id": port["id"],
        "generation": port["generation"],
        "network_id": port["network_id"],
        "mac_address": port["mac_address"],
        "addresses": [{"subnet_id": item["subnet_id"], "address": item["address"]} for item in addresses],
        "hostname": hostname,
        "port_security": secured,
        "allowed_address_pairs": list(port["allowed_address_pairs"] or []),
        "secgroups": sorted(secgroup_ids) if secured else [],
    }


def absent(kind: str, record: Record) -> Operation:
    """The removal of a ``network``, ``port`` or ``secgroup``."""
    return {"op": f"{kind}_absent", "id": record["id"], "generation": record["generation"]}
