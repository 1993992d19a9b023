# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as the scheduler sees them, read for one decision: all, or the few that the database has picked.

Written for ten thousand hosts: four queries, columns instead of records, and JSON parsed once for each distinct text.
What few requests ask for is not read at all: the instances named in hints are looked up by themselves (see placement).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as inventory
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import HostState

_NO_ROOM = (0, 0, 0)
_ALONE: Mapping[str, Mapping[str, Any]] = {}

_Chosen = Mapping[str, list[str]]  # the parameters of a query; none: of all hosts


def read(conn: sa.Connection, ids: Sequence[str] | None = None) -> list[HostState]:
    """Every host, or those of the ids, with the room left on it."""
    some = ids is not None
    chosen = {"ids": list(ids or ())} if some else {}
    room, aggregates, instances = _room(conn, chosen), _aggregates(conn, chosen), _instances(conn, chosen)
    return [
        HostState(
            key,
            name,
            *room.get(key, _NO_ROOM),
            state,
            reason,
            zone,
            _words(virt_types),
            _document(cpu),
            aggregates.get(key, _ALONE),
            instances.get(key, 0),
            bool(planned),
        )
        for key, name, state, reason, zone, planned, virt_types, cpu in conn.execute(_of_hosts(some), chosen)
    ]


def _room(conn: sa.Connection, chosen: _Chosen) -> dict[str, tuple[int, int, int]]:
    """vCPUs, RAM and disk that may still be claimed, by host id; the claim's own test, turned round."""
    rows = conn.execute(_of_room(bool(chosen)), chosen)
    return {key: (int(vcpus or 0), int(ram or 0), int(disk or 0)) for key, vcpus, ram, disk in rows}


def _aggregates(conn: sa.Connection, chosen: _Chosen) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for key, name, metadata in conn.execute(_of_aggregates(bool(chosen)), chosen):
        found[key][name] = _document(metadata)
    return found


def _instances(conn: sa.Connection, chosen: _Chosen) -> dict[str, int]:
    return {key: int(count) for key, count in conn.execute(_of_instances(bool(chosen)), chosen)}


# Building a statement takes SQLAlchemy longer than running it on a small cloud.


@cache
def _of_hosts(some: bool) -> sa.Select[Any]:
    table = cell.hosts.c
    columns = (table.id, table.name, table.state, table.reason, table.zone, table.planned)
    query = sa.select(*columns, _text(table.virt_types), _text(table.cpu)).order_by(table.name)
    return query.where(_is_chosen(table.id)) if some else query


@cache
def _of_room(some: bool) -> sa.Select[Any]:
    table = cell.inventories.c
    left = (table.total - table.reserved) * table.allocation_ratio - table.used
    columns = [sa.func.max(sa.case((table.resource_class == name, left))) for name in inventory.CLASSES.values()]
    query = sa.select(table.host_id, *columns).group_by(table.host_id)
    return query.where(_is_chosen(table.host_id)) if some else query


@cache
def _of_aggregates(some: bool) -> sa.Select[Any]:
    table = cell.host_aggregates.c
    query = sa.select(table.host_id, table.name, _text(table.metadata))
    return query.where(_is_chosen(table.host_id)) if some else query


@cache
def _of_instances(some: bool) -> sa.Select[Any]:
    table = cell.instances.c
    query = sa.select(table.host_id, sa.func.count()).group_by(table.host_id)
    return query.where(_is_chosen(table.host_id) if some else table.host_id.is_not(None))


def _is_chosen(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam("ids", expanding=True))


def _text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text)


@lru_cache(maxsize=1024)
def _document(text: str | None) -> Mapping[str, Any]:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=64)
def _words(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text) or ()) if text else ()
