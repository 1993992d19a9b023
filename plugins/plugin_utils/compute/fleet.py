# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every host as the scheduler sees it, read for one decision.

Written for ten thousand hosts: four queries, columns instead of records, and JSON parsed once for each distinct text.
What few requests ask for is not read at all: the instances named in hints are looked up by themselves (see placement).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as inventory
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import HostState

_NO_ROOM = (0, 0, 0)
_ALONE: Mapping[str, Mapping[str, Any]] = {}


def read(conn: sa.Connection) -> list[HostState]:
    """Every host with the room left on it."""
    room, aggregates, instances = _room(conn), _aggregates(conn), _instances(conn)
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
        for key, name, state, reason, zone, planned, virt_types, cpu in conn.execute(_of_hosts())
    ]


def _room(conn: sa.Connection) -> dict[str, tuple[int, int, int]]:
    """vCPUs, RAM and disk that may still be claimed, by host id; the claim's own test, turned round."""
    rows = conn.execute(_of_room())
    return {key: (int(vcpus or 0), int(ram or 0), int(disk or 0)) for key, vcpus, ram, disk in rows}


def _aggregates(conn: sa.Connection) -> dict[str, dict[str, Mapping[str, Any]]]:
    table = cell.host_aggregates.c
    found: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for key, name, metadata in conn.execute(sa.select(table.host_id, table.name, _text(table.metadata))):
        found[key][name] = _document(metadata)
    return found


def _instances(conn: sa.Connection) -> dict[str, int]:
    table = cell.instances.c
    query = sa.select(table.host_id, sa.func.count()).where(table.host_id.is_not(None)).group_by(table.host_id)
    return {key: int(count) for key, count in conn.execute(query)}


# Building a statement takes SQLAlchemy longer than running it on a small cloud.


@cache
def _of_hosts() -> sa.Select[Any]:
    table = cell.hosts.c
    columns = (table.id, table.name, table.state, table.reason, table.zone, table.planned)
    return sa.select(*columns, _text(table.virt_types), _text(table.cpu)).order_by(table.name)


@cache
def _of_room() -> sa.Select[Any]:
    table = cell.inventories.c
    left = (table.total - table.reserved) * table.allocation_ratio - table.used
    columns = [sa.func.max(sa.case((table.resource_class == name, left))) for name in inventory.CLASSES.values()]
    return sa.select(table.host_id, *columns).group_by(table.host_id)


def _text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text)


@lru_cache(maxsize=1024)
def _document(text: str | None) -> Mapping[str, Any]:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=64)
def _words(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text) or ()) if text else ()
