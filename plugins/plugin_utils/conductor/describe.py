# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances as users see them: six queries, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud

# Columns shown as they are. User data, keys and the internal request are not among them.
_PLAIN = ("id", "name", "status", "power_state", "key_name", "launched_at", "fault", "created_at", "updated_at")
_COLUMNS = [cell.instances.c[name] for name in (*_PLAIN, "zone", "flavor", "image", "metadata", "tags")]


def describe(
    conn: sa.Connection,
    project_id: str | None,
    names: Iterable[str] | None = None,
    *,
    ids: Iterable[str] | None = None,
) -> list[Record]:
    """The instances of a project (None: of all), by name, in the form that modules return.

    :param names: only those of these names or ids; one that does not exist is left out.
    :param ids: only those of these ids.
    """
    rows = _instances(conn, project_id, names, ids)
    if not rows:
        return []
    chosen = None if names is None and ids is None else [row["id"] for row in rows]
    ports = _ports(conn, project_id, chosen)
    mine = _by_instance(ports)
    addresses = _addresses(conn, project_id, chosen)
    groups = _groups(conn, project_id, chosen)
    cells = _cells(conn, project_id, chosen)
    volumes = _volumes(conn, project_id, chosen)
    return [{**_shown(row, mine[row["id"]], addresses, groups, cells), "volumes": volumes[row["id"]]} for row in rows]


def _shown(
    row: Mapping[str, Any],
    ports: list[Mapping[str, Any]],
    addresses: Mapping[str, list[Mapping[str, Any]]],
    groups: Mapping[str, list[str]],
    cells: Mapping[str, Mapping[str, Any]],
) -> Record:
    located: dict[str, list[Record]] = {}
    for port in ports:
        entries = located.setdefault(port["network"], [])
        for entry in addresses[port["id"]]:
            entries.append(
                {
                    "addr": entry["address"],
                    "version": entry["ip_version"],
                    "mac_addr": port["mac_address"],
                    "port_id": port["id"],
                    "type": "fixed",
                }
            )
    every = [entry for entries in located.values() for entry in entries]
    home = cells.get(row["id"], {})
    return {
        **{name: row[name] for name in _PLAIN},
        "compute_host": row["compute_host"],
        "cell": home.get("name"),
        "zone": row["host_zone"] or row["zone"] or home.get("zone"),
        "flavor": row["flavor"] or {},
        "image": {key: value for key, value in (row["image"] or {}).items() if key in ("id", "name")},
        "addresses": located,
        "access_ipv4": next((entry["addr"] for entry in every if entry["version"] == 4), ""),
        "access_ipv6": next((entry["addr"] for entry in every if entry["version"] == 6), ""),
        "security_groups": sorted({name for port in ports for name in groups[port["id"]]}),
        "metadata": row["metadata"] or {},
        "tags": row["tags"] or [],
    }


def _instances(
    conn: sa.Connection, project_id: str | None, names: Iterable[str] | None, ids: Iterable[str] | None
) -> list[Mapping[str, Any]]:
    instances, hosts = cell.instances, cell.hosts
    query = sa.select(*_COLUMNS, hosts.c.name.label("compute_host"), hosts.c.zone.label("host_zone"))
    query = query.select_from(instances.outerjoin(hosts)).order_by(instances.c.name, instances.c.id)
    if project_id is not None:
        query = query.where(instances.c.project_id == project_id)
    if names is not None:
        wanted = sorted(set(names))
        query = query.where(instances.c.name.in_(wanted) | instances.c.id.in_(wanted))
    if ids is not None:
        query = query.where(instances.c.id.in_(sorted(set(ids))))
    return [dict(row) for row in conn.execute(query).mappings()]


def _ports(conn: sa.Connection, project_id: str | None, ids: list[str] | None) -> list[Mapping[str, Any]]:
    ports, networks = cloud.ports, cloud.networks
    columns = (ports.c.id, ports.c.instance_id, ports.c.mac_address, networks.c.name.label("network"))
    query = sa.select(*columns).join_from(ports, networks).order_by(ports.c.position, ports.c.id)
    return [dict(row) for row in conn.execute(_of(query, ports, project_id, ids)).mappings()]


def _of(query: sa.Select[Any], table: sa.Table, project_id: str | None, ids: list[str] | None) -> sa.Select[Any]:
    """Restrict to the chosen instances, or, where all of a project are wanted, to the project: no long lists then."""
    if ids is not None:
        return query.where(table.c.instance_id.in_(ids))
    if project_id is not None:
        return query.where(table.c.project_id == project_id, table.c.instance_id.is_not(None))
    return query.where(table.c.instance_id.is_not(None))


def _by_instance(ports: list[Mapping[str, Any]]) -> defaultdict[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for port in ports:
        found[port["instance_id"]].append(port)
    return found


def _addresses(
    conn: sa.Connection, project_id: str | None, chosen: list[str] | None
) -> defaultdict[str, list[Mapping[str, Any]]]:
    addresses, subnets, ports = cloud.addresses, cloud.subnets, cloud.ports
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    columns = (addresses.c.port_id, addresses.c.address, subnets.c.ip_version)
    query = sa.select(*columns).join_from(addresses, subnets).join(ports, addresses.c.port_id == ports.c.id)
    query = _of(query, ports, project_id, chosen).order_by(subnets.c.ip_version, addresses.c.number)
    for row in conn.execute(query).mappings():
        found[row["port_id"]].append(dict(row))
    return found


def _groups(conn: sa.Connection, project_id: str | None, chosen: list[str] | None) -> defaultdict[str, list[str]]:
    links, secgroups, ports = cloud.port_secgroups, cloud.secgroups, cloud.ports
    found: defaultdict[str, list[str]] = defaultdict(list)
    query = sa.select(links.c.port_id, secgroups.c.name).join_from(links, secgroups)
    query = _of(query.join(ports, links.c.port_id == ports.c.id), ports, project_id, chosen)
    for row in conn.execute(query).mappings():
        found[row["port_id"]].append(row["name"])
    return found


def _volumes(conn: sa.Connection, project_id: str | None, ids: list[str] | None) -> defaultdict[str, list[Record]]:
    """The volumes that each instance has or is getting, by device: what it boots from comes first."""
    held, volumes = cloud.volume_attachments, cloud.volumes
    columns = (held.c.instance_id, held.c.device, volumes.c.id, volumes.c.name)
    query = sa.select(*columns).join_from(held, volumes).where(held.c.status != "detaching").order_by(held.c.device)
    if ids is not None:
        query = query.where(held.c.instance_id.in_(ids))
    elif project_id is not None:
        query = query.where(volumes.c.project_id == project_id)
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        found[row["instance_id"]].append({key: row[key] for key in ("id", "name", "device")})
    return found


def _cells(conn: sa.Connection, project_id: str | None, ids: list[str] | None) -> dict[str, Mapping[str, Any]]:
    mappings, cells = cloud.instance_mappings, cloud.cells
    query = sa.select(mappings.c.instance_id, cells.c.name, cells.c.zone).join_from(mappings, cells)
    return {row["instance_id"]: dict(row) for row in conn.execute(_of(query, mappings, project_id, ids)).mappings()}
