# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of volumes: recorded and counted first, then copied by the storage host that has the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Record

_SHOWN = ("id", "name", "project_id", "volume_id", "size", "status", "kind", "parent_id", "checksum")


@dataclass(frozen=True)
class Plan:
    """What is to become of a backup.

    :param values: columns of a new one.
    :param after: the backup as it would be returned, as far as that is known beforehand.
    """

    project_id: str
    found: Record | None
    values: Mapping[str, Any]
    changes: Sequence[Change]
    after: Record


def apply(request: Request) -> Outcome:
    """Have the backup as the task says.

    :raises CloudError: what cannot be meant, or a host that refused.
    """
    name = names.label("name of a backup", str(request.args["name"]))
    header = f"volume_backup {name}"
    if request.args["timeout"] < 1:
        raise BadInput(f"timeout is {request.args['timeout']}; it must be at least 1.")
    if request.args["state"] == "absent":
        return _absent(request, name, header)
    with request.conductor.read() as conn:
        plan = _planned(conn, request.args)
    row = plan.after
    if plan.changes and not request.check:
        with request.conductor.transaction(lock=header, label="backup recorded") as conn:
            plan = _planned(conn, request.args)
            record = plan.found or _recorded(conn, plan)
        if record["status"] == "creating":
            _make(request, record)
        with request.conductor.read() as conn:
            row = _shown(conn, [records.get(conn, tables.volume_backups, record["id"])])[0]
    return Outcome(bool(plan.changes), {"volume_backup": row}, plan.changes, header)


def info(request: Request) -> Outcome:
    """The backups of the project's volumes."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
        rows = _shown(conn, records.listing(conn, tables.volume_backups, project_id=project["id"]))
    return answer("volume_backups", rows, request.args)


def _planned(conn: sa.Connection, args: Mapping[str, Any]) -> Plan:
    project_id = str(projects.resolve(conn, args["project"])["id"])
    found = records.find(conn, tables.volume_backups, args["name"], project_id=project_id)
    if found is None:
        return _new(conn, args, project_id)
    shown = _shown(conn, [found])[0]
    # Of a volume that is gone the backup knows no name, so that it cannot be another one's.
    given = args.get("volume")
    if given is not None and found["volume_id"] is not None and given not in (shown["volume"], shown["volume_id"]):
        raise ChangeRefused(
            f"Backup {found['name']!r} is of the volume {shown['volume']!r}, and that cannot change.", option="volume"
        )
    if args.get("backend") is not None and args["backend"] != shown["backend"]:
        raise ChangeRefused(
            f"Backup {found['name']!r} is kept on {shown['backend'] or 'a file'}; that cannot change.", option="backend"
        )
    if found["status"] == "deleting":
        raise InUse(f"Backup {found['name']!r} is being deleted; finish that first, with state absent.")
    changes = [] if found["status"] == "available" else [Change("status", found["status"], "available")]
    unknown = {"checksum"} if changes else set()
    after = {key: value for key, value in {**shown, "status": "available"}.items() if key not in unknown}
    return Plan(project_id, found, {}, changes, after)


def _new(conn: sa.Connection, args: Mapping[str, Any], project_id: str) -> Plan:
    if args.get("volume") is None:
        raise BadInput("The backup does not exist yet; to make it, give volume.", missing=["volume"])
    volume = records.get(conn, tables.volumes, args["volume"], project_id=project_id)
    if volume["status"] != "available" and not (volume["status"] == "in-use" and args["force"]):
        hint = " Say force to make the backup nevertheless." if volume["status"] == "in-use" else ""
        raise InUse(f"Volume {volume['name']!r} is {volume['status']}, not available.{hint}")
    home = orders.by_id(conn, [volume["backend_id"]])[volume["backend_id"]]
    wanted = args.get("backend")
    if wanted is not None:
        _other(conn, home, wanted)
    parent = _last(conn, volume["id"], home, wanted) if args["incremental"] else None
    values = {
        "name": args["name"],
        "volume_id": volume["id"],
        "size": volume["size"],
        "parent_id": parent["id"] if parent else None,
        "kind": "backend" if wanted else "file",
        "location": {"host": home["host"], "backend_id": home["id"], "of": home["name"], "backend": wanted},
    }
    about = {"name": args["name"], "volume": volume["name"], "size": volume["size"], "kind": values["kind"]}
    after = {**about, "volume_id": volume["id"], "host": home["host"], "backend": wanted, "status": "available"}
    return Plan(project_id, None, values, created({**about, "backend": wanted}), {**after, "project_id": project_id})


def _other(conn: sa.Connection, home: Record, wanted: str) -> None:
    there = [str(row["name"]) for row in records.listing(conn, tables.volume_backends, host=home["host"])]
    if wanted not in there:
        raise NotFound.of(f"backend of {home['host']}", wanted, there)
    if wanted == home["name"]:
        raise BadInput(f"backend is {wanted!r}, where the volume itself is; a backup would be lost together with it.")


def _last(conn: sa.Connection, volume_id: str, home: Record, wanted: str | None) -> Record | None:
    """The newest backup of the volume in the same place."""
    rows = [
        row
        for row in records.listing(conn, tables.volume_backups, volume_id=volume_id, status="available")
        if (row["location"] or {}).get("backend_id") == home["id"] and row["location"].get("backend") == wanted
    ]
    return max(rows, key=lambda row: str(row["created_at"]), default=None)


def _recorded(conn: sa.Connection, plan: Plan) -> Record:
    quota.take(conn, plan.project_id, volume_backups=1)
    return records.insert(conn, tables.volume_backups, project_id=plan.project_id, status="creating", **plan.values)


def _make(request: Request, record: Record) -> None:
    """Copy; what the host refuses is cleared and forgotten, what it did not answer is tried again by the next run."""
    request.progress(f"backup {record['name']}: copying {record['size']} GiB")
    order = _order("backup", record, volume=record["volume_id"], since=record["parent_id"])
    answers = orders.carry(request, [order], timeout=request.args["timeout"])
    for error in answers.refused.values():
        _remove(request, record)
        raise error
    for error in answers.unknown.values():
        raise type(error)(f"{error.msg} Whether the backup was made is not known; run again.", **error.details)
    said = answers.results[record["id"]][0].get("checksum")
    with request.conductor.transaction(label="backup made") as conn:
        now = records.find(conn, tables.volume_backups, record["id"])
        if now is not None and now["status"] == "creating":
            checksum = said if isinstance(said, str) else None
            records.update(conn, tables.volume_backups, record["id"], status="available", checksum=checksum)


def _order(op: str, record: Record, **more: Any) -> orders.Order:
    where = record["location"]
    to = {"backend": where["backend"]} if where["backend"] else {"file": record["id"]}
    return orders.Order(record["id"], where["host"], orders.operation(op, record, {"name": where["of"]}, to=to, **more))


def _absent(request: Request, name: str, header: str) -> Outcome:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
        found = records.find(conn, tables.volume_backups, name, project_id=project["id"])
        if found is None:
            return Outcome(False, {"volume_backup": None}, (), header)
        _unused(conn, found)
        changes = removed(_shown(conn, [found])[0], ("name", "volume", "size", "kind", "backend"))
    if not request.check:
        with request.conductor.transaction(lock=header, label="backup to delete") as conn:
            now = records.find(conn, tables.volume_backups, found["id"])
            if now is not None and now["status"] != "deleting":
                _unused(conn, now)
                now = records.update(conn, tables.volume_backups, found["id"], status="deleting")
        if now is not None:
            _remove(request, now)
    return Outcome(True, {"volume_backup": None}, changes, header)


def _remove(request: Request, record: Record) -> None:
    answers = orders.carry(request, [_order("backup_absent", record)], timeout=request.args["timeout"])
    for error in answers.failed.values():
        raise type(error)(
            f"Backup {record['name']!r} could not be deleted: {error.msg} Run the task again when the cause is mended.",
            **error.details,
        )
    with request.conductor.transaction(label="backup deleted") as conn:
        now = records.find(conn, tables.volume_backups, record["id"])
        if now is not None and now["generation"] == record["generation"]:
            quota.give(conn, record["project_id"], volume_backups=1)
            records.delete(conn, tables.volume_backups, record["id"])


def _unused(conn: sa.Connection, record: Record) -> None:
    named = [str(row["name"]) for row in records.listing(conn, tables.volume_backups, parent_id=record["id"])]
    if named:
        raise InUse(
            f"Backup {record['name']!r} is needed by increments: {', '.join(named[:5])}. Remove them first.",
            backups=named,
        )


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    ids = sorted({row["volume_id"] for row in rows if row["volume_id"]})
    volumes = {row["id"]: row["name"] for row in records.listing(conn, tables.volumes, id=ids)} if ids else {}
    return [
        {
            **{key: row[key] for key in _SHOWN},
            "volume": volumes.get(row["volume_id"]),
            "incremental": row["parent_id"] is not None,
            "host": (row["location"] or {}).get("host"),
            "backend": (row["location"] or {}).get("backend"),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
        for row in rows
    ]
