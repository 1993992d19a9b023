# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backend for a volume: the records as the scheduler reads them. Nothing is written here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import backends as scheduler
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import BackendState, VolumeSpec
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.places import Asked

Record = Mapping[str, Any]


def place(conn: sa.Connection, asked: Asked, *, among: Sequence[Record] | None = None) -> str:
    """The id of the backend that would take it.

    :param among: the backends as they will be recorded, where check mode leaves the records as they are.
    :raises NoValidHost: there is none; carries the explanation.
    """
    rows = records.listing(conn, tables.volume_backends) if among is None else among
    best, _explanation = scheduler.place([_state(row) for row in rows], _spec(conn, asked, rows))
    return best.id


def fits(conn: sa.Connection, volume: Record, kind: Record) -> bool:
    """Whether a volume may stay where it is with that type."""
    backend = records.get(conn, tables.volume_backends, volume["backend_id"])
    return scheduler.fits(_state(backend), _typed(int(volume["size"]), kind))


def room(row: Record) -> int:
    """GiB that may still be claimed of a backend, overcommit included."""
    free: int = math.floor((row["total"] - row["reserved"]) * row["allocation_ratio"]) - int(row["used"])
    return free


def _state(row: Record) -> BackendState:
    return BackendState(
        id=row["id"],
        name=row["name"],
        host=row["host"],
        driver=row["driver"],
        free=room(row),
        state=row["state"],
        zone=row["zone"],
        capabilities=row["capabilities"] or {},
    )


def _spec(conn: sa.Connection, asked: Asked, backends: Sequence[Record]) -> VolumeSpec:
    homes = {row["id"]: str(row["host"]) for row in backends}
    near, far = (_hosts(conn, ids, homes) for ids in (asked.same_host, asked.different_host))
    return replace(
        _typed(asked.size, asked.type),
        zone=asked.zone,
        only=asked.only,
        exclude=frozenset(asked.tried),
        same_host=near if asked.same_host else None,
        different_host=far,
    )


def _typed(size: int, kind: Record | None) -> VolumeSpec:
    if kind is None:
        return VolumeSpec(size)
    return VolumeSpec(size, backend=kind["backend"] or "", extra_specs=kind["extra_specs"] or {})


def _hosts(conn: sa.Connection, volume_ids: Sequence[str], homes: Mapping[str, str]) -> frozenset[str]:
    found = records.listing(conn, tables.volumes, id=list(volume_ids)) if volume_ids else []
    return frozenset(homes[row["backend_id"]] for row in found)
