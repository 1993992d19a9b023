# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations, each worked out on the model: what the rows of a record must be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.network import rows, rules, values
from ansible_collections.agentless.cloud.plugins.module_utils.network.model import Model, Row

Operation = dict[str, Any]

# A batch is worked in this order, so that a port finds its network and groups whatever the order of the call.
ORDER = ("secgroup", "network", "port", "port_absent", "network_absent", "secgroup_absent")


def apply(model: Model, operation: Operation) -> bool:
    """Work one operation into the model; whether it changes anything.

    :raises BackendError: it cannot be meant, or what it needs is not there.
    """
    model.touched = False
    _HANDLERS[operation["op"]](model, operation)
    return model.touched


def network(model: Model, operation: Operation) -> None:
    """A logical switch, the DHCP options of its subnets and its DNS rows."""
    own = values.uuid_text(operation.get("id"))
    mtu = values.number(operation.get("mtu") or rows.MTU, "mtu", 68, 65535)
    subnets = values.mappings(operation.get("subnets"), "subnets")
    wanted = {}
    for subnet in subnets:
        options = rows.dhcp_options(own, subnet, mtu)
        if options:
            wanted[options["external_ids"][rows.SUBNET]] = options
    switch = model.named("Logical_Switch", own) or model.insert(
        "Logical_Switch", {"name": own, "ports": [], "dns_records": [], "external_ids": rows.identity(operation)}
    )
    _keep_identity(model, switch, rows.identity(operation))
    for row in model.tied("DHCP_Options", rows.NETWORK, own):
        options = wanted.pop(row["external_ids"].get(rows.SUBNET, ""), None)
        if options is None:
            model.delete(row)
        else:
            model.update(row, options)
    for options in wanted.values():
        model.insert("DHCP_Options", options)
    uplink = rows.provider_columns(operation)
    _uplink(model, switch, uplink)
    if uplink is None:
        _make_dns(model, switch)


def network_absent(model: Model, operation: Operation) -> None:
    """No switch, no DHCP options and no DNS rows of the network; refused while ports are on it."""
    own = values.uuid_text(operation.get("id"))
    switch = model.named("Logical_Switch", own)
    if switch is not None:
        _uplink(model, switch, None)
        if switch["ports"]:
            raise BackendError(f"Network {own} still has {len(switch['ports'])} ports in OVN.", error="InUse")
    for row in model.tied("DHCP_Options", rows.NETWORK, own) + model.tied("DNS", rows.NETWORK, own):
        model.delete(row)
    if switch is not None:
        model.delete(switch)


def port(model: Model, operation: Operation) -> None:
    """A logical switch port with its addresses, DHCP options, groups and DNS name."""
    own = values.uuid_text(operation.get("id"))
    switch = _needed(model, "Logical_Switch", values.uuid_text(operation.get("network_id"), "network_id"), "network")
    secured = values.flag(operation, "port_security", True)
    groups = [_needed(model, "Port_Group", name, "security group") for name in _group_names(operation, secured)]
    if secured:
        groups.append(_drop_group(model))
    columns = rows.port_columns(operation)
    columns["external_ids"] = {**rows.identity(operation), rows.NETWORK: switch["name"]}
    name = values.hostname(operation.get("hostname"))
    if name:
        columns["external_ids"][rows.HOSTNAME] = name
    columns.update(_dhcp_of(model, operation))
    row = model.named("Logical_Switch_Port", own)
    if row is not None and row["_uuid"] not in switch["ports"]:
        raise BackendError(f"Port {own} is on another network in OVN than {switch['name']}.", error="Conflict")
    _forget_name(model, row, keep=columns)
    if row is None:
        row = model.insert("Logical_Switch_Port", {"name": own, **columns})
        model.add(switch, "ports", row["_uuid"])
    else:
        _keep_identity(model, row, columns.pop("external_ids"))
        model.update(row, columns)
    _member_of(model, row, groups)
    if name:
        _remember_name(model, switch, name, row)


def port_absent(model: Model, operation: Operation) -> None:
    """No port, no membership and no DNS name of it."""
    row = model.named("Logical_Switch_Port", values.uuid_text(operation.get("id")))
    if row is None:
        return
    _forget_name(model, row, keep=None)
    for table in ("Port_Group", "Logical_Switch"):
        for holder in model.holding(table, "ports", row["_uuid"]):
            model.remove(holder, "ports", row["_uuid"])


def secgroup(model: Model, operation: Operation) -> None:
    """A port group whose ACLs are exactly the rules."""
    own = values.uuid_text(operation.get("id"))
    listed = values.mappings(operation.get("rules"), "rules")
    wanted = rules.acls(own, values.flag(operation, "stateful", True), listed)
    group = model.named("Port_Group", rules.group_name(own)) or model.insert(
        "Port_Group", {"name": rules.group_name(own), "ports": [], "acls": [], "external_ids": rows.identity(operation)}
    )
    _keep_identity(model, group, rows.identity(operation))
    _exact_acls(model, group, wanted, own)


def secgroup_absent(model: Model, operation: Operation) -> None:
    """No port group of it; refused while ports are in it."""
    own = values.uuid_text(operation.get("id"))
    group = model.named("Port_Group", rules.group_name(own))
    if group is None:
        return
    if group["ports"]:
        raise BackendError(f"Security group {own} still has {len(group['ports'])} ports in OVN.", error="InUse")
    model.delete(group)


_HANDLERS: dict[str, Callable[[Model, Operation], None]] = {
    "network": network,
    "network_absent": network_absent,
    "port": port,
    "port_absent": port_absent,
    "secgroup": secgroup,
    "secgroup_absent": secgroup_absent,
}


def _uplink(model: Model, switch: Row, wanted: dict[str, Any] | None) -> None:
    """The port that joins the switch to a physical network, or none."""
    row = model.named("Logical_Switch_Port", rows.provider_port(switch["name"]))
    if row is not None and row["_uuid"] in switch["ports"]:
        if wanted is None:
            model.remove(switch, "ports", row["_uuid"])
        else:
            model.update(row, wanted)
    elif wanted is not None:
        row = model.insert("Logical_Switch_Port", {"name": rows.provider_port(switch["name"]), **wanted})
        model.add(switch, "ports", row["_uuid"])


def _needed(model: Model, table: str, name: str, what: str) -> Row:
    row = model.named(table, name)
    if row is None:
        raise BackendError(f"The {what} {name} is not in OVN: run its task again.", error="NotFound")
    return row


def _group_names(operation: Operation, secured: bool) -> list[str]:
    groups = values.texts(operation.get("secgroups"), "secgroups")
    if groups and not secured:
        raise values.refused("secgroups", groups, "mean nothing on a port without port security")
    return [rules.group_name(values.uuid_text(group, "secgroups")) for group in groups]


def _drop_group(model: Model) -> Row:
    group = model.named("Port_Group", rules.DROP_GROUP)
    if group is None:
        group = model.insert(
            "Port_Group", {"name": rules.DROP_GROUP, "ports": [], "acls": [], "external_ids": {rows.ID: "drop"}}
        )
    _exact_acls(model, group, rules.drop_acls(), "drop")
    return group


def _exact_acls(model: Model, group: Row, wanted: list[rules.Acl], owner: str) -> None:
    """The group's ACLs become those wanted; what is right stays untouched, what is unknown goes."""
    present = {_acl_key(row): row for row in model.tied("ACL", rules.OWNER, owner) if row["_uuid"] in group["acls"]}
    keys = {_acl_key(acl) for acl in wanted}
    right = {row["_uuid"] for key, row in present.items() if key in keys}
    for reference in [item for item in group["acls"] if item not in right]:
        model.remove(group, "acls", reference)
    for acl in wanted:
        if _acl_key(acl) not in present:
            model.add(group, "acls", model.insert("ACL", acl)["_uuid"])


def _acl_key(acl: Mapping[str, Any]) -> tuple[Any, ...]:
    rule = acl["external_ids"].get(rules.RULE)
    return (acl["direction"], acl["priority"], acl["match"], acl["action"], rule)


def _member_of(model: Model, row: Row, groups: list[Row]) -> None:
    names = {group["name"] for group in groups}
    for holder in model.holding("Port_Group", "ports", row["_uuid"]):
        if holder["name"].startswith("ag_") and holder["name"] not in names:
            model.remove(holder, "ports", row["_uuid"])
    for group in groups:
        model.add(group, "ports", row["_uuid"])


def _dhcp_of(model: Model, operation: Operation) -> dict[str, list[str]]:
    """The DHCP options of the port's first address of each version."""
    chosen: dict[int, list[str]] = {4: [], 6: []}
    seen: set[int] = set()
    for subnet_id, (version, _address) in rows.port_addresses(operation):
        if version not in seen:
            seen.add(version)
            chosen[version] = [row["_uuid"] for row in model.tied("DHCP_Options", rows.SUBNET, subnet_id)][:1]
    return {"dhcpv4_options": chosen[4], "dhcpv6_options": chosen[6]}


def _make_dns(model: Model, switch: Row) -> None:
    """The row for the names of a network. One that is joined to a physical network has none: see rules.drop_acls."""
    found = model.tied("DNS", rows.NETWORK, switch["name"])
    row = found[0] if found else model.insert("DNS", {"records": {}, "external_ids": {rows.NETWORK: switch["name"]}})
    model.add(switch, "dns_records", row["_uuid"])


def _remember_name(model: Model, switch: Row, name: str, port_row: Row) -> None:
    """The name answers with the addresses of every port that bears it on this network."""
    for record in model.tied("DNS", rows.NETWORK, switch["name"]):
        known = set(record["records"].get(name, "").split())
        model.set_key(record, "records", name, " ".join(sorted(known | _bound(port_row["addresses"]))))


def _forget_name(model: Model, row: Any, *, keep: Any) -> None:
    """Take the addresses that a port no longer has under its name out of the DNS rows."""
    name = row["external_ids"].get(rows.HOSTNAME) if row else None
    if not name:
        return
    stays = _bound(keep["addresses"]) if keep and keep["external_ids"].get(rows.HOSTNAME) == name else set()
    for record in model.tied("DNS", rows.NETWORK, row["external_ids"].get(rows.NETWORK, "")):
        known = record["records"].get(name)
        if known is not None:
            left = set(known.split()) - (_bound(row["addresses"]) - stays)
            model.set_key(record, "records", name, " ".join(sorted(left)) or None)


def _bound(addresses: list[str]) -> set[str]:
    return {text for entry in addresses if entry != "unknown" for text in entry.split()[1:]}


def _keep_identity(model: Model, row: Row, wanted: Mapping[str, str]) -> None:
    """Correct external_ids; a newer generation alone is written but is no change of the network."""
    same_but_generation = {**wanted, rows.GENERATION: row["external_ids"].get(rows.GENERATION)}
    quiet = same_but_generation == {rows.GENERATION: None, **row["external_ids"]}
    model.update(row, {"external_ids": dict(wanted)}, quiet=quiet)
