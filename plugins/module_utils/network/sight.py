# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows a call needs to see: only those are read, however large the cloud is. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network import rows, rules
from ansible_collections.agentless.cloud.plugins.module_utils.network.model import Row

Operation = dict[str, Any]
Conditions = dict[str, list[Any]]


def conditions(operations: list[Operation]) -> Conditions:
    """The rows that the operations need, by table, in OVSDB's form; a row that fits one of them is seen."""
    needed: Conditions = {}
    for operation in operations:
        kind, own = operation["op"], operation.get("id")
        if kind in ("network", "network_absent"):
            _want_network(needed, own)
            _want(needed, "Logical_Switch_Port", "name", rows.provider_port(str(own)))
        elif kind in ("secgroup", "secgroup_absent"):
            _want_group(needed, rules.group_name(str(own)), own)
        elif kind in ("port", "port_absent"):
            _want(needed, "Logical_Switch_Port", "name", own)
            _want_group(needed, rules.DROP_GROUP, "drop")
        if kind == "port":
            _want_network(needed, operation.get("network_id"))
            for group in operation.get("secgroups") or []:
                _want(needed, "Port_Group", "name", rules.group_name(str(group)))
    return needed


def of_ports(ports: list[Row]) -> Conditions:
    """The further rows that hold ports which exist already."""
    needed: Conditions = {}
    for port in ports:
        for table in ("Port_Group", "Logical_Switch"):
            needed.setdefault(table, []).append(["ports", "includes", ["set", [["uuid", port["_uuid"]]]]])
        network_id = port["external_ids"].get(rows.NETWORK)
        if network_id:
            needed.setdefault("DNS", []).append(_tied(rows.NETWORK, network_id))
    return needed


def _want(needed: Conditions, table: str, column: str, value: Any) -> None:
    needed.setdefault(table, []).append([column, "==", str(value)])


def _want_network(needed: Conditions, network_id: Any) -> None:
    _want(needed, "Logical_Switch", "name", network_id)
    for table in ("DHCP_Options", "DNS"):
        needed.setdefault(table, []).append(_tied(rows.NETWORK, str(network_id)))


def _want_group(needed: Conditions, name: str, owner: Any) -> None:
    _want(needed, "Port_Group", "name", name)
    needed.setdefault("ACL", []).append(_tied(rules.OWNER, str(owner)))


def _tied(key: str, value: str) -> list[Any]:
    return ["external_ids", "includes", ["map", [[key, value]]]]
