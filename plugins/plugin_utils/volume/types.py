# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volume types: where volumes may live and how fast they may be. Their names are known in the whole cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import reach

TUNING: Mapping[str, Sequence[str]] = {
    "cache": volume_xml.CACHES,
    "discard": volume_xml.DISCARDS,
    "detect_zeroes": volume_xml.ZEROES,
}
KEYS = frozenset({*volume_xml.RATES, volume_xml.BLOCK, *volume_xml.TUNING})
_PLACING = ("backend", "extra_specs")
_SHOWN = ("id", "name", "description", "backend", "extra_specs", "qos", "encryption", "multiattach")
_NAMED = 5  # volumes that a message names


def apply(request: Request) -> Outcome:
    """Have the volume type as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """The volume types of the cloud."""
    return engine.info(KIND, request)


def quality(option: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """How disks behave: limits in the words of libvirt's iotune, cache, discard and io thread.

    :raises BadInput: a key is none of them, a value is not allowed, or two keys exclude each other.
    """
    strange = sorted(str(key) for key in value if key not in KEYS)
    if strange:
        raise BadInput(f"{option} has no {', '.join(strange)}; its keys are {', '.join(sorted(KEYS))}.")
    found = {str(key): _read(f"{option}.{key}", str(key), each) for key, each in sorted(value.items())}
    try:
        volume_xml.rates({key: each for key, each in found.items() if key not in volume_xml.TUNING})
        volume_xml.driver(found)
    except ValueError as exc:
        raise BadInput(f"{option}: {exc}.") from None
    return found


def _read(option: str, key: str, value: Any) -> Any:
    if key not in TUNING:
        return values.number(0, volume_xml.MOST_THREADS if key == "iothread" else 2**62)(option, value)
    # YAML reads a bare on and off as yes and no.
    text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if text not in TUNING[key]:
        refused = " It would lose what guests were told to be written." if text == "unsafe" else ""
        raise BadInput(f"{option} is {text!r}; it is one of {', '.join(TUNING[key])}.{refused}")
    return text


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
    cache = (after.get("qos") or {}).get("cache", volume_xml.CACHES[0])
    if after.get("multiattach") and cache not in volume_xml.SHARED_CACHES:
        raise BadInput(
            f"qos.cache is {cache!r}; a multiattach type has {' or '.join(volume_xml.SHARED_CACHES)}, since another "
            "host's writes would not be seen."
        )
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
        Field("description", values.description),
        Field("backend", _backend, default=""),
        Field("extra_specs", reach.specs, default={}),
        Field("qos", quality, default={}),
        Field("encryption", unencrypted, default={}),
        Field("multiattach", values.flag, default=False),
    ),
    shown=_shown,
    scoped=False,
    owned=False,
    allow=_allow,
    unused=_unused,
)
