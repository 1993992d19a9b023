# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volume types: where volumes may live and how fast they may be. Their names are known in the whole cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

LIMITS = frozenset(
    f"{which}_{unit}_sec{burst}"
    for which in ("total", "read", "write")
    for unit in ("bytes", "iops")
    for burst in ("", "_max", "_max_length")
)
_PLACING = ("backend", "extra_specs")
_SHOWN = ("id", "name", "description", "backend", "extra_specs", "qos", "encryption", "multiattach")
_NAMED = 5  # volumes that a message names


def apply(request: Request) -> Outcome:
    """Have the volume type as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """The volume types of the cloud."""
    return engine.info(KIND, request)


def limits(option: str, value: Mapping[str, Any]) -> dict[str, int]:
    """Limits of a disk in the words of libvirt's iotune.

    :raises BadInput: a key is none of them, a value is no whole number from 0, or two keys exclude each other.
    """
    strange = sorted(str(key) for key in value if key not in LIMITS)
    if strange:
        raise BadInput(f"{option} has no {', '.join(strange)}; its keys are {', '.join(sorted(LIMITS))}.")
    found = {str(key): int(values.number(0, 2**62)(f"{option}.{key}", each)) for key, each in sorted(value.items())}
    for unit in ("bytes", "iops"):
        # As QEMU has it: a total leaves no room for its parts, and a burst needs the limit that it exceeds.
        for burst in ("", "_max"):
            parts = [f"{which}_{unit}_sec{burst}" for which in ("read", "write")]
            if found.get(f"total_{unit}_sec{burst}") and any(found.get(part) for part in parts):
                raise BadInput(f"{option}: total_{unit}_sec{burst} goes with neither {' nor '.join(parts)}.")
        for which in ("total", "read", "write"):
            _burst(option, found, f"{which}_{unit}_sec")
    return found


def _burst(option: str, found: Mapping[str, int], name: str) -> None:
    if found.get(f"{name}_max") and found[f"{name}_max"] < found.get(name, 0):
        raise BadInput(f"{option}: {name}_max is below {name}.")
    if found.get(f"{name}_max") and not found.get(name):
        raise BadInput(f"{option}: {name}_max needs {name}, which bursts exceed.")
    if found.get(f"{name}_max_length") and not found.get(f"{name}_max"):
        raise BadInput(f"{option}: {name}_max_length needs {name}_max.")


def unencrypted(option: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing but an empty dictionary: a volume must not pass for encrypted.

    :raises BadInput: it holds anything.
    """
    if value:
        raise BadInput(f"{option} is not available: no driver encrypts volumes yet. Leave it out.")
    return {}


def _backend(option: str, value: Any) -> str:
    return values.label(option, value) if value else ""


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    return [
        {
            **{key: row[key] for key in _SHOWN},
            **{key: row[key] or {} for key in ("extra_specs", "qos", "encryption")},
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
        for row in rows
    ]


def _allow(conn: sa.Connection, found: Record | None, after: Mapping[str, Any], changes: Sequence[Change]) -> None:
    placing = [change.what for change in changes if change.what in _PLACING]
    named = _users(conn, found["id"]) if found is not None and placing else []
    if found is not None and named:
        raise ChangeRefused(
            f"The {' and '.join(placing)} of volume type {found['name']!r} cannot change while volumes have it: "
            f"{', '.join(named)}. They live where it says; make another type and give it to them.",
            option=placing[0],
            volumes=named,
        )


def _unused(conn: sa.Connection, record: Record) -> None:
    named = _users(conn, record["id"])
    if named:
        raise InUse(
            f"Volume type {record['name']!r} is the type of volumes: {', '.join(named)}. Change their type or remove "
            "them first.",
            volumes=named,
        )


def _users(conn: sa.Connection, type_id: str) -> list[str]:
    volumes = tables.volumes
    query = sa.select(volumes.c.name).where(volumes.c.volume_type_id == type_id).order_by(volumes.c.name)
    return [str(name) for name in conn.execute(query.limit(_NAMED)).scalars()]


KIND = Kind(
    name="volume_type",
    table=tables.volume_types,
    fields=(
        Field("description", values.line),
        Field("backend", _backend, default=""),
        Field("extra_specs", values.texts, default={}),
        Field("qos", limits, default={}),
        Field("encryption", unencrypted, default={}),
        Field("multiattach", values.flag, default=False),
    ),
    shown=_shown,
    scoped=False,
    owned=False,
    allow=_allow,
    unused=_unused,
)
