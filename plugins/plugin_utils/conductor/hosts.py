# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute hosts: what is recorded of them, what the scheduler must know, and every machine's identity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import HostMismatch, InUse

# What the needs of a request are called among the resource classes.
CLASSES = {"vcpus": "VCPU", "ram": "MEMORY_MB", "disk": "DISK_GB"}

# What the scheduler reads of a host. The facts stay behind: they are large, and read for one host at a time.
_STATE = (
    "id",
    "name",
    "state",
    "reason",
    "zone",
    "virt_types",
    "cpu",
    "numa",
    "pci_devices",
    "planned",
    "trusted",
    "seq",
)


def save(
    conn: sa.Connection,
    name: str,
    *,
    inventories: Mapping[str, Mapping[str, float]] | None = None,
    aggregates: Mapping[str, Mapping[str, Any]] | None = None,
    **values: Any,
) -> Record:
    """Add a host, or change what is given of one that exists.

    :param inventories: resource class -> {total, reserved, allocation_ratio}; what is left out of one stays.
    :param aggregates: all the aggregates that it is in, name -> metadata; None: as they are.
    :param values: columns of ``hosts``; those left out stay.
    :raises InUse: more is claimed than the new capacity would hold.
    :raises AlreadyExists: another host has this identity.
    """
    found = records.find(conn, cell.hosts, name)
    values = {**values, "seq": _next_seq(conn)}
    if found is None:
        host = records.insert(conn, cell.hosts, name=name, **values)
    else:
        host = records.update(conn, cell.hosts, found["id"], **values)
    for resource_class in sorted(inventories or {}):
        _save_inventory(conn, host, resource_class, (inventories or {})[resource_class])
    if aggregates is not None:
        _save_aggregates(conn, host["id"], aggregates)
    return host


def remove(conn: sa.Connection, host_id: str) -> None:
    """Remove a host with its inventories and aggregates.

    :raises InUse: instances or claims are on it.
    """
    records.delete(conn, cell.hosts, host_id)


def states(
    conn: sa.Connection,
    *,
    needs: Mapping[str, int] | None = None,
    zone: str | None = None,
    names: Iterable[str] | None = None,
) -> list[Record]:
    """All that the scheduler must know of each host, in four queries however many there are.

    Each is a dict of the host's columns and ``inventories`` {resource class: {total, reserved, allocation_ratio,
    used}}, ``aggregates`` {name: metadata}, ``instances`` (ids on the host), ``instance_count`` and ``building``
    (how many of them are not settled).

    :param needs: {vcpus, ram (MiB), disk (GiB)}: only hosts with this much room for each.
    :param zone: only hosts of this zone.
    :param names: only hosts of these names.
    """
    hosts = cell.hosts
    query = sa.select(*(hosts.c[column] for column in _STATE)).order_by(hosts.c.name)
    chosen = _chosen(needs or {}, zone, names)
    rows = [dict(row) for row in conn.execute(query.where(*chosen)).mappings()]
    # The parts are read by the same condition as the hosts: a list of ten thousand ids is slower than a join.
    ids = sa.select(hosts.c.id).where(*chosen)
    inventories = _inventories(conn, ids if chosen else None)
    aggregates = _aggregates(conn)
    guests = _guests(conn, ids if chosen else None)
    for row in rows:
        here = guests[row["id"]]
        row["inventories"] = inventories[row["id"]]
        row["aggregates"] = aggregates[row["id"]]
        row["instances"] = [guest for guest, _status in here]
        row["instance_count"] = len(here)
        row["building"] = sum(status not in _QUIET for _guest, status in here)
    return rows


_QUIET = frozenset({"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR"})


def endpoint(conn: sa.Connection, name: str) -> Record | None:
    """What is known of the machine of that inventory name; None: nothing was ever said to it."""
    found = cloud.host_mappings
    row = conn.execute(sa.select(found).where(found.c.name == name)).mappings().one_or_none()
    return None if row is None else dict(row)


def remember_endpoint(
    conn: sa.Connection,
    name: str,
    kind: str,
    identity: str | None,
    *,
    address: str | None = None,
    cell_id: str | None = None,
) -> Record:
    """Record the machine behind an inventory name. ``kind`` (compute, network, image, ...) adds to those it has.

    :raises HostMismatch: another machine answered under this name before, or this one under another name.
    """
    found = endpoint(conn, name)
    if found and found["identity"] and identity and found["identity"] != identity:
        text = f"The host {name} was {found['identity']} and answers as {identity}: it is another machine."
        raise HostMismatch(f"{text} If it was replaced on purpose, remove the host and add it again.", host=name)
    mappings = cloud.host_mappings
    _refuse_second_name(conn, name, identity)
    if found is None:
        values = {"name": name, "kind": kind, "identity": identity, "address": address, "cell_id": cell_id}
        return records.insert(conn, mappings, **values)
    kinds = ",".join(sorted({*found["kind"].split(","), kind}))
    wanted = {"kind": kinds, "identity": identity, "address": address, "cell_id": cell_id}
    changed: Record = {key: value for key, value in wanted.items() if value is not None and value != found[key]}
    return records.update(conn, mappings, found["id"], **changed) if changed else found


def forget_endpoint(conn: sa.Connection, name: str) -> None:
    """Forget the machine behind an inventory name, so that another one may take it."""
    conn.execute(sa.delete(cloud.host_mappings).where(cloud.host_mappings.c.name == name))


def _refuse_second_name(conn: sa.Connection, name: str, identity: str | None) -> None:
    if identity is None:
        return
    mappings = cloud.host_mappings
    same = sa.select(mappings.c.name).where(mappings.c.identity == identity, mappings.c.name != name)
    other = conn.execute(same).scalar()
    if other is not None:
        text = f"The machine behind {name} is known as {other} already ({identity})."
        raise HostMismatch(f"{text} If it was renamed, remove the host {other} first.", host=name, known_as=other)


def _next_seq(conn: sa.Connection) -> int:
    return int(conn.execute(sa.select(sa.func.coalesce(sa.func.max(cell.hosts.c.seq), 0))).scalar_one()) + 1


def _save_inventory(conn: sa.Connection, host: Record, resource_class: str, values: Mapping[str, float]) -> None:
    table = cell.inventories
    row = (table.c.host_id == host["id"]) & (table.c.resource_class == resource_class)
    try:
        with conn.begin_nested():
            changed = conn.execute(sa.update(table).where(row).values(**values)).rowcount
            if not changed:
                added = {"host_id": host["id"], "resource_class": resource_class, **values}
                conn.execute(sa.insert(table), added)
    except sa.exc.IntegrityError as exc:
        used = conn.execute(sa.select(table.c.used).where(row)).scalar()
        # Which rule is named is the database's choice where several are broken.
        if not used or translate.violated(exc)[1] != "ck_inventories_room":
            raise translate.integrity(exc, table, values) from exc
        text = f"The instances on {host['name']} use {used} {resource_class}; {dict(values)} is less than that."
        raise InUse(f"{text} Move some away first.", host=host["name"], resource_class=resource_class) from exc


def _save_aggregates(conn: sa.Connection, host_id: str, aggregates: Mapping[str, Mapping[str, Any]]) -> None:
    table = cell.host_aggregates
    conn.execute(sa.delete(table).where(table.c.host_id == host_id))
    if aggregates:
        rows = [{"host_id": host_id, "name": name, "metadata": dict(aggregates[name])} for name in sorted(aggregates)]
        conn.execute(sa.insert(table), rows)


def _chosen(needs: Mapping[str, int], zone: str | None, names: Iterable[str] | None) -> list[sa.ColumnElement[bool]]:
    hosts, inventories = cell.hosts, cell.inventories
    conditions: list[sa.ColumnElement[bool]] = []
    for need, amount in sorted(needs.items()):
        if amount:
            room = (inventories.c.total - inventories.c.reserved) * inventories.c.allocation_ratio
            with_room = sa.select(inventories.c.host_id).where(
                inventories.c.resource_class == CLASSES[need], inventories.c.used + amount <= room
            )
            conditions.append(hosts.c.id.in_(with_room))
    if zone is not None:
        conditions.append(hosts.c.zone == zone)
    if names is not None:
        conditions.append(hosts.c.name.in_(sorted(set(names))))
    return conditions


def _inventories(conn: sa.Connection, ids: sa.Select[Any] | None) -> defaultdict[str, dict[str, Record]]:
    table = cell.inventories
    query = sa.select(table)
    if ids is not None:
        query = query.where(table.c.host_id.in_(ids))
    found: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    for host_id, name, total, reserved, ratio, used in conn.execute(query):
        found[host_id][name] = {"total": total, "reserved": reserved, "allocation_ratio": ratio, "used": used}
    return found


def _aggregates(conn: sa.Connection) -> defaultdict[str, Record]:
    found: defaultdict[str, Record] = defaultdict(dict)
    for host_id, name, data in conn.execute(sa.select(cell.host_aggregates)):
        found[host_id][name] = data or {}
    return found


def _guests(conn: sa.Connection, ids: sa.Select[Any] | None) -> defaultdict[str, list[tuple[str, str]]]:
    table = cell.instances
    query = sa.select(table.c.host_id, table.c.id, table.c.status).where(table.c.host_id.is_not(None))
    if ids is not None:
        query = query.where(table.c.host_id.in_(ids))
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for host_id, instance_id, status in conn.execute(query):
        found[host_id].append((instance_id, status))
    return found
