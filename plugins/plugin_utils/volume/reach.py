# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How compute hosts reach volumes: by QEMU's own client, or as the volume's type says; and which hosts can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values

Record = dict[str, Any]


def specs(option: str, value: Mapping[str, Any]) -> dict[str, str]:
    """The extra specs of a volume type.

    :raises BadInput: no text by key, or a connection that there is not.
    """
    found = values.texts(option, value)
    try:
        connections.known(found.get(connections.SPEC, connections.QEMU))
    except ValueError as exc:
        raise BadInput(f"{option}: {exc}.") from None
    return found


def of(kind: Mapping[str, Any] | None) -> str:
    """How volumes of a type are reached."""
    return str(((kind or {}).get("extra_specs") or {}).get(connections.SPEC) or connections.QEMU)


def ways(conn: sa.Connection, volumes: Iterable[Mapping[str, Any]], kind: Mapping[str, Any] | None = None) -> list[str]:
    """What the host of these volumes must be able to do beside running QEMU, and of one more volume of that type."""
    ids = sorted({row["volume_type_id"] for row in volumes if row["volume_type_id"]})
    kinds = [*(records.listing(conn, tables.volume_types, id=ids) if ids else []), kind]
    return sorted({of(each) for each in kinds} - {connections.QEMU})


def able(conn: sa.Connection, wanted: Sequence[str]) -> frozenset[str] | None:
    """The names of the hosts that can do all that; None: nothing is wanted, and every host can."""
    if not wanted:
        return None
    query = sa.select(cell.hosts.c.name, cell.hosts.c.facts)
    return frozenset(name for name, facts in conn.execute(query) if set(wanted) <= _can(facts))


def refuse(conn: sa.Connection, coming: Mapping[str, Sequence[Record]]) -> None:
    """Whether the hosts of instances can reach the volumes that come to them.

    :param coming: volumes by instance id.
    :raises BadInput: one cannot.
    """
    for key, volumes in coming.items():
        wanted = ways(conn, volumes)
        guest = records.find(conn, cell.instances, key) if wanted else None
        host = records.find(conn, cell.hosts, guest["host_id"]) if guest and guest["host_id"] else None
        missing = set(wanted) - _can(host["facts"]) if host else set()
        if host and missing:
            raise BadInput(
                f"{host['name']} cannot reach volumes by {min(missing)}, as the volume type demands: give it "
                "compute_host_initiator, or the volume a type of another connection.",
                host=host["name"],
            )


def steady(conn: sa.Connection, found: Mapping[str, Any], kind: Mapping[str, Any], *, moves: bool) -> None:
    """Whether a volume may have that type while it is attached.

    :param moves: whether it would move to another backend.
    :raises InUse: it would have to be reached in another way, or both its places would be one to multipath.
    """
    if not records.listing(conn, tables.volume_attachments, volume_id=found["id"]):
        return
    now = ways(conn, [found]) or [connections.QEMU]
    if now != [of(kind)]:
        raise InUse(
            f"Volume {found['name']!r} is attached by {now[0]}, and the type {kind['name']!r} says {of(kind)}. Detach "
            "it, and run again."
        )
    if moves and now == [connections.MULTIPATH]:
        raise InUse(
            f"Volume {found['name']!r} is attached by multipath, which would take its new place for another way to the "
            "old one. Detach it, and run again."
        )


def _can(facts: Mapping[str, Any] | None) -> set[str]:
    return set((facts or {}).get("connections") or ())
