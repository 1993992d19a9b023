# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes: their room on backends, their records and moves from state to state, and who has them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    ClaimLost,
    Conflict,
    InUse,
)

_SETTLED = frozenset({"available", "in-use"})
_HELD = frozenset({"attaching", "in-use", "detaching"})
_BUSY = frozenset({"extending", "retyping"})
_READ = "reading"  # an image is being made of it

# The one table of states: from where to where. Staying in a state is always allowed; out of deleting leads no way back.
MOVES: dict[str, frozenset[str]] = {
    "creating": frozenset({"available", "error", "deleting"}),
    "available": _HELD | _BUSY | {_READ, "deleting", "error"},
    "attaching": _SETTLED | {"detaching", "error"},
    "in-use": _SETTLED | _HELD | _BUSY | {"error"},
    "detaching": _SETTLED | {"attaching", "error"},
    "extending": _SETTLED | {"error", "deleting"},
    "retyping": _SETTLED | {"error", "deleting"},
    _READ: frozenset({"available", "error", "deleting"}),
    "error": frozenset({"creating", "available", "deleting"}),
    "deleting": frozenset(),
}

_PLAIN = ("id", "name", "project_id", "size", "status", "multiattach", "bootable", "created_at", "updated_at")


def claim(conn: sa.Connection, backend_id: str, gib: int) -> None:
    """Take room on a backend. The room is tested in the UPDATE that takes it.

    :raises ClaimLost: the backend has not that much left, overcommit included.
    """
    table = tables.volume_backends
    after = table.c.used + gib
    room = after <= (table.c.total - table.c.reserved) * table.c.allocation_ratio
    if conn.execute(sa.update(table).where(table.c.id == backend_id, room).values(used=after)).rowcount == 1:
        return
    found = records.get(conn, table, backend_id)
    raise ClaimLost(
        f"The backend {found['host']}@{found['name']} has no room for {gib} GiB more: {found['used']} GiB of "
        f"{found['total']} GiB are claimed.",
        host=found["host"],
        backend=found["name"],
    )


def release(conn: sa.Connection, backend_id: str, gib: int) -> None:
    """Give room back.

    :raises Conflict: more is given back than was taken.
    """
    table = tables.volume_backends
    lowered = sa.update(table).where(table.c.id == backend_id, table.c.used >= gib)
    if conn.execute(lowered.values(used=table.c.used - gib)).rowcount != 1:
        raise Conflict(f"The backend {backend_id} has no {gib} GiB claimed; they were given back before.")


def create(conn: sa.Connection, values: Mapping[str, Any]) -> Record:
    """Write a new volume, in status creating, with a secret of its own.

    :param values: columns of ``volumes``.
    :raises AlreadyExists: the project has a volume of that name.
    """
    row = {"metadata": {}, "spec": {}, **values, "status": "creating", "secret": secrets.token_hex(16)}
    return records.insert(conn, tables.volumes, **row)


def move(conn: sa.Connection, volume_id: str, expect_status: Iterable[str], **values: Any) -> Record:
    """Change a volume if its status is one of those expected; its generation rises by one.

    :raises Conflict: the volume is gone, or in another status.
    :raises BadInput: the new status cannot follow one of those expected.
    """
    expected = frozenset(expect_status)
    status = values.get("status")
    if status is not None:
        expected = _able(expected, str(status))
    return records.update(conn, tables.volumes, volume_id, {"status": expected}, **values)


def remove(conn: sa.Connection, volume_id: str) -> None:
    """Remove a volume's record. Its backups stay and forget it.

    :raises InUse: it is attached, or has snapshots.
    """
    backups = tables.volume_backups
    with conn.begin_nested():
        conn.execute(sa.update(backups).where(backups.c.volume_id == volume_id).values(volume_id=None))
        records.delete(conn, tables.volumes, volume_id)


def attach(
    conn: sa.Connection,
    volume_id: str,
    instance_id: str,
    *,
    host: str,
    device: str,
    boot_index: int | None = None,
    delete_on_termination: bool = False,
) -> Record:
    """Give a volume to an instance; the attachment begins as ``attaching``. Given again, it is the same attachment.

    :param host: the inventory name of the instance's compute host.
    :param device: the disk's name in the guest, such as ``vdb``; the caller's transaction must have looked it up.
    :raises InUse: another instance has it, or it is in a status in which nobody can have it.
    """
    volume = records.get(conn, tables.volumes, volume_id)
    held = records.listing(conn, tables.volume_attachments, volume_id=volume_id)
    mine = next((row for row in held if row["instance_id"] == instance_id), None)
    if mine is not None:
        if mine["status"] == "detaching" or mine["host"] != host:
            raise InUse(f"Volume {volume['name']!r} is being detached from this instance; run again when that is done.")
        return mine
    _free(conn, volume, held)
    row = {
        "volume_id": volume_id,
        "instance_id": instance_id,
        "host": host,
        "device": device,
        "slot": max((int(each["slot"]) for each in held), default=0) + 1 if volume["multiattach"] else 0,
        "boot_index": boot_index,
        "delete_on_termination": delete_on_termination,
        "status": "attaching",
    }
    try:
        made = records.insert(conn, tables.volume_attachments, **row)
    except AlreadyExists as exc:
        raise InUse(f"Another run has just attached volume {volume['name']!r}, or taken {device}.") from exc
    _settle(conn, volume_id)
    return made


def may_attach(conn: sa.Connection, volume_id: str, instance_id: str | None = None) -> None:
    """Whether an instance, or one that is yet to come, could have the volume now. Writes nothing.

    :raises InUse: as :func:`attach` would.
    """
    held = records.listing(conn, tables.volume_attachments, volume_id=volume_id)
    if instance_id is None or all(row["instance_id"] != instance_id for row in held):
        _free(conn, records.get(conn, tables.volumes, volume_id), held)


def rehost(conn: sa.Connection, instance_id: str, host: str) -> None:
    """The instance is on another host now, which is to have its volumes; the one before has them no more."""
    table = tables.volume_attachments
    for row in records.listing(conn, table, instance_id=instance_id):
        if row["host"] != host:
            # A new generation, so that nothing that was meant for the host before is done any more.
            records.update(conn, table, row["id"], host=host, status="attaching")
            records.update(conn, tables.volumes, row["volume_id"])


def keep(conn: sa.Connection, attachment_id: str, *, goes: bool) -> None:
    """Say whether the volume goes with the instance."""
    records.update(conn, tables.volume_attachments, attachment_id, delete_on_termination=goes)


def attached(conn: sa.Connection, attachment_id: str) -> Record:
    """The guest has the volume."""
    table = tables.volume_attachments
    row = records.update(conn, table, attachment_id, {"status": {"attaching", "attached"}}, status="attached")
    _settle(conn, row["volume_id"])
    return row


def detaching(conn: sa.Connection, attachment_id: str) -> Record:
    """From here on the guest loses the volume."""
    row = records.update(conn, tables.volume_attachments, attachment_id, status="detaching")
    _settle(conn, row["volume_id"])
    return row


def detach(conn: sa.Connection, attachment_id: str) -> None:
    """The guest has it no more, and no export lets its host in. An attachment that is gone already is no error."""
    found = records.find(conn, tables.volume_attachments, attachment_id)
    if found is not None:
        records.delete(conn, tables.volume_attachments, attachment_id)
        _settle(conn, found["volume_id"])


def describe(
    conn: sa.Connection,
    project_id: str | None,
    names: Iterable[str] | None = None,
    *,
    ids: Iterable[str] | None = None,
) -> list[Record]:
    """The volumes of a project (None: of all), by name, in the form that modules return: five queries at most.

    :param names: only those of these names.
    :param ids: only those of these ids.
    """
    wanted: dict[str, Any] = {"name": names, "id": ids}
    picked = {column: sorted(set(each)) for column, each in wanted.items() if each is not None}
    rows = records.listing(conn, tables.volumes, project_id=project_id, **picked)
    if not rows:
        return []
    backends = {row["id"]: row for row in records.listing(conn, tables.volume_backends)}
    kinds = {row["id"]: row["name"] for row in records.listing(conn, tables.volume_types)}
    held = _attachments(conn, [row["id"] for row in rows])
    return [_shown(row, backends[row["backend_id"]], kinds, held[row["id"]]) for row in rows]


def _able(expected: frozenset[str], status: str) -> frozenset[str]:
    """Those of the statuses expected from which the new one can be reached.

    :raises BadInput: none of them.
    """
    able = frozenset(old for old in expected if status == old or status in MOVES.get(old, ()))
    if not able or status not in MOVES:
        raise BadInput(f"A volume cannot go from {', '.join(sorted(expected))} to {status}.")
    return able


def _free(conn: sa.Connection, volume: Record, held: list[Record]) -> None:
    if held and not volume["multiattach"]:
        ids = [row["instance_id"] for row in held]
        named = [row["name"] for row in records.listing(conn, cell.instances, id=ids)] or ids
        raise InUse(
            f"Volume {volume['name']!r} is attached to {', '.join(map(repr, named))}, and only one instance can have "
            "it. Detach it there first, or make it multiattach if its file system allows several writers.",
            instances=named,
        )
    if volume["status"] not in ({"available"} | (_HELD if volume["multiattach"] else set())):
        raise InUse(f"Volume {volume['name']!r} is {volume['status']}; only an available volume can be attached.")


def _settle(conn: sa.Connection, volume_id: str) -> None:
    """The volume's status as its attachments have it; work on the volume itself goes on."""
    held = {row["status"] for row in records.listing(conn, tables.volume_attachments, volume_id=volume_id)}
    status = next((each for each in ("attaching", "detaching") if each in held), "in-use" if held else "available")
    found = records.get(conn, tables.volumes, volume_id)
    if found["status"] in _SETTLED | _HELD and found["status"] != status:
        records.update(conn, tables.volumes, volume_id, {"status": found["status"]}, status=status)


def _attachments(conn: sa.Connection, volume_ids: list[str]) -> defaultdict[str, list[Record]]:
    found: defaultdict[str, list[Record]] = defaultdict(list)
    rows = records.listing(conn, tables.volume_attachments, volume_id=volume_ids)
    ids = sorted({row["instance_id"] for row in rows})
    instances = cell.instances
    query = sa.select(instances.c.id, instances.c.name).where(instances.c.id.in_(ids))
    named = {row.id: row.name for row in conn.execute(query)} if ids else {}
    for row in rows:
        entry = {key: row[key] for key in ("instance_id", "host", "device", "status")}
        found[row["volume_id"]].append({**entry, "instance": named.get(row["instance_id"])})
    return found


def _shown(row: Record, backend: Record, kinds: Mapping[str, str], held: list[Record]) -> Record:
    source = row["source"]
    return {
        **{key: row[key] for key in _PLAIN},
        "volume_type": kinds.get(row["volume_type_id"] or ""),
        "backend": backend["name"],
        "host": f"{backend['host']}@{backend['name']}",
        "source": {key: source[key] for key in ("kind", "id", "name")} if source else None,
        "attachments": held,
        "metadata": row["metadata"] or {},
    }
