# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations that only look: which ports are up, whether all has arrived, what is there."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.agentless.cloud.plugins.module_utils.network import rows, rules, sight, values
from ansible_collections.agentless.cloud.plugins.module_utils.network.northbound import Northbound

Operation = dict[str, Any]
Result = dict[str, Any]


def ports_up(operation: Operation, remote: str) -> Result:
    """Wait until every port is bound and its flows are installed; ports that do not exist are not waited for."""
    ids = [values.uuid_text(item) for item in values.texts(operation.get("ids"), "ids")]
    seconds = values.number(operation.get("timeout", 30), "timeout", 0, 86400)
    connection = Northbound({"Logical_Switch_Port": [["name", "==", item] for item in ids]}, remote=remote)
    try:
        connection.wait(lambda: not _sorted_out(connection, ids)["down"], seconds)
        return _sorted_out(connection, ids)
    finally:
        connection.close()


def sync(operation: Operation, remote: str) -> Result:
    """Wait until OVN has carried all that was written so far to the southbound side or to every host."""
    column = {"sb": "sb_cfg", "hv": "hv_cfg"}.get(str(operation.get("target", "hv")))
    if column is None:
        raise values.refused("target", operation.get("target"), "is neither sb nor hv")
    seconds = values.number(operation.get("timeout", 30), "timeout", 0, 86400)
    connection = Northbound({"NB_Global": [True]}, remote=remote)
    try:
        wanted = connection.next_cfg()
        return {"arrived": connection.wait(lambda: connection.cfg(str(column)) >= wanted, seconds)}
    finally:
        connection.close()


def read(operation: Operation, remote: str) -> Result:
    """What is there of the records named: for audits and for verification after a change."""
    ids = [values.uuid_text(item) for item in values.texts(operation.get("ids"), "ids")]
    wanted = [{"op": kind, "id": item} for item in ids for kind in ("network_absent", "secgroup_absent", "port_absent")]
    connection = Northbound(sight.conditions(wanted), remote=remote)
    try:
        ports = list(connection.tables()["Logical_Switch_Port"].values())
        connection.also(sight.of_ports(ports))
        return {"found": _described(connection.tables(), ids)}
    finally:
        connection.close()


HANDLERS: dict[str, Callable[[Operation, str], Result]] = {"ports_up": ports_up, "sync": sync, "read": read}


def _sorted_out(connection: Northbound, ids: list[str]) -> Result:
    ports = {row["name"]: row["up"] == [True] for row in connection.tables()["Logical_Switch_Port"].values()}
    return {
        "up": [item for item in ids if ports.get(item)],
        "down": [item for item in ids if ports.get(item) is False],
        "missing": [item for item in ids if item not in ports],
    }


def _described(tables: dict[str, dict[str, Any]], ids: list[str]) -> dict[str, Any]:
    groups = list(tables["Port_Group"].values())
    by_name = {
        row["name"]: row for table in ("Logical_Switch", "Logical_Switch_Port") for row in tables[table].values()
    }
    found: dict[str, Any] = {}
    for item in ids:
        group = next((row for row in groups if row["name"] == rules.group_name(item)), None)
        row = by_name.get(item) or group
        if row is None:
            continue
        found[item] = {"generation": int(row["external_ids"].get(rows.GENERATION, 0))}
        if row["_table"] == "Logical_Switch":
            found[item].update(kind="network", ports=len(row["ports"]), subnets=_subnets(tables, item))
        elif row["_table"] == "Logical_Switch_Port":
            found[item].update(kind="port", **_port(row, groups))
        else:
            found[item].update(kind="secgroup", ports=len(row["ports"]), acls=_acls(tables, item))
    return found


def _subnets(tables: dict[str, dict[str, Any]], network_id: str) -> dict[str, Any]:
    tied = [row for row in tables["DHCP_Options"].values() if row["external_ids"].get(rows.NETWORK) == network_id]
    return {row["external_ids"][rows.SUBNET]: row["options"] for row in tied}


def _port(row: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "up": row["up"] == [True],
        "network_id": row["external_ids"].get(rows.NETWORK),
        "hostname": row["external_ids"].get(rows.HOSTNAME),
        "addresses": row["addresses"],
        "port_security": row["port_security"],
        "groups": sorted(group["name"] for group in groups if row["_uuid"] in group["ports"]),
    }


def _acls(tables: dict[str, dict[str, Any]], secgroup_id: str) -> list[dict[str, Any]]:
    tied = [row for row in tables["ACL"].values() if row["external_ids"].get(rules.OWNER) == secgroup_id]
    return [{key: row[key] for key in ("direction", "priority", "match", "action")} for row in tied]
