# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports, with their MAC and IP addresses.

Whoever chooses addresses holds the rows of the subnets (``FOR UPDATE`` on PostgreSQL; SQLite has one writer anyway),
so that a choice stays free until it is written; the schema's unique constraints have the last word. All the ports of a
call are made with the same number of statements as one, except that the search for free addresses may take a few more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import choice, macs, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NotFound

__all__ = ["PortRequest", "addresses_of", "create_port", "create_ports", "delete_ports"]


@dataclass(frozen=True)
class PortRequest:
    """A port to make.

    :ivar fixed_ips: ``[{"subnet": name or id, "address": text}]``, one of both at least in each; empty: one address
        of the first IPv4 subnet with room, and one of every IPv6 subnet.
    :ivar mac_address: None: one is chosen.
    :ivar position: which nic of the instance this is, from 0.
    :ivar port_security_enabled: None: as the network says.
    """

    project_id: str
    network_id: str
    instance_id: str | None = None
    position: int = 0
    fixed_ips: Sequence[Mapping[str, str]] = ()
    mac_address: str | None = None
    secgroup_ids: Sequence[str] = ()
    name: str | None = None
    host: str | None = None
    port_security_enabled: bool | None = None
    allowed_address_pairs: Sequence[Mapping[str, str]] = ()
    status: str = "DOWN"
    id: str | None = None


def create_port(conn: sa.Connection, **values: Any) -> Record:
    """One port; the keywords are the fields of :class:`PortRequest`. See :func:`create_ports`."""
    return create_ports(conn, [values])[0]


def create_ports(conn: sa.Connection, requests: Sequence[PortRequest | Mapping[str, Any]]) -> list[Record]:
    """Make ports, all or none. The quota is the caller's to take.

    :returns: the rows of ``ports`` in the order asked, each with ``addresses`` ([{subnet_id, address, version}]) and
        ``secgroup_ids``.
    :raises AddressExhausted: a subnet has no free address left.
    :raises AddressInUse: an address or MAC asked for is taken.
    :raises BadInput: an address does not fit its subnet, or a MAC is none.
    :raises NotFound: a network or subnet does not exist.
    """
    wanted = [_request(request) for request in requests]
    if not wanted:
        return []
    networks = _networks(conn, sorted({request.network_id for request in wanted}))
    with conn.begin_nested():
        chosen = choice.choose(conn, [(request.network_id, request.fixed_ips) for request in wanted])
        rows = [_row(request, networks[request.network_id]) for request in wanted]
        macs.insert(conn, rows)
        _insert_addresses(conn, rows, chosen)
        _insert_groups(conn, rows, wanted)
    return [
        {
            **row,
            "addresses": [picked.shown() for picked in picks],
            "secgroup_ids": list(dict.fromkeys(request.secgroup_ids)),
        }
        for row, picks, request in zip(rows, chosen, wanted, strict=True)
    ]


def delete_ports(conn: sa.Connection, port_ids: Sequence[str]) -> int:
    """Remove ports; their addresses and MACs are free again. Returns how many there were."""
    gone = sa.delete(cloud.ports).where(cloud.ports.c.id.in_(sorted(set(port_ids))))
    return int(conn.execute(gone).rowcount) if port_ids else 0


def addresses_of(conn: sa.Connection, port_ids: Sequence[str]) -> dict[str, list[Record]]:
    """The addresses of ports that exist: port id -> [{subnet_id, address, version}], IPv4 first."""
    addresses, subnets = cloud.addresses, cloud.subnets
    query = sa.select(addresses, subnets.c.ip_version).join_from(addresses, subnets)
    query = query.where(addresses.c.port_id.in_(sorted(set(port_ids))))
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for row in conn.execute(query.order_by(subnets.c.ip_version, addresses.c.number)).mappings():
        entry = {"subnet_id": row["subnet_id"], "address": row["address"], "version": row["ip_version"]}
        found[row["port_id"]].append(entry)
    return {port_id: found[port_id] for port_id in port_ids}


def _request(given: PortRequest | Mapping[str, Any]) -> PortRequest:
    if isinstance(given, PortRequest):
        return given
    known = {field.name for field in fields(PortRequest)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise BadInput(f"A port has no {', '.join(unknown)}.")
    # An option that was not given arrives as None; the request's own defaults stand for it.
    return PortRequest(**{key: value for key, value in given.items() if value is not None})


def _networks(conn: sa.Connection, ids: list[str]) -> dict[str, bool]:
    """Whether port security is on, by network id."""
    networks = cloud.networks
    query = sa.select(networks.c.id, networks.c.port_security_enabled).where(networks.c.id.in_(ids))
    found = {row.id: bool(row.port_security_enabled) for row in conn.execute(query)}
    for network_id in ids:
        if network_id not in found:
            raise NotFound.of("network", network_id)
    return found


def _row(request: PortRequest, security: bool) -> Record:
    values = {
        "project_id": request.project_id,
        "network_id": request.network_id,
        "name": request.name,
        "mac_address": request.mac_address,
        "instance_id": request.instance_id,
        "position": request.position,
        "host": request.host,
        "port_security_enabled": security if request.port_security_enabled is None else request.port_security_enabled,
        "allowed_address_pairs": [dict(pair) for pair in request.allowed_address_pairs],
        "status": request.status,
    }
    return records.stamped(cloud.ports, values if request.id is None else {**values, "id": request.id})


def _insert_addresses(conn: sa.Connection, rows: list[Record], chosen: list[list[choice.Picked]]) -> None:
    added = [
        {
            "subnet_id": picked.subnet_id,
            "address": picked.address,
            "number": picked.number,
            "port_id": row["id"],
            "is_fixed": picked.is_fixed,
        }
        for row, picks in zip(rows, chosen, strict=True)
        for picked in picks
    ]
    if added:
        records.insert_many(conn, cloud.addresses, added)


def _insert_groups(conn: sa.Connection, rows: list[Record], wanted: list[PortRequest]) -> None:
    links = [
        {"port_id": row["id"], "secgroup_id": secgroup_id}
        for row, request in zip(rows, wanted, strict=True)
        for secgroup_id in dict.fromkeys(request.secgroup_ids)
    ]
    if links:
        try:
            conn.execute(sa.insert(cloud.port_secgroups), links)
        except sa.exc.IntegrityError as exc:
            raise NotFound("A security group of the port is gone.", kind="secgroup") from exc
