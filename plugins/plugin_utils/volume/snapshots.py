# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots of volumes: recorded and counted first, then taken on the storage host that has the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Record

_SHOWN = ("id", "name", "project_id", "volume_id", "size", "status")


@dataclass(frozen=True)
class Plan:
    """What is to become of a snapshot.

    :param found: its record, None while there is none.
    :param volume: the volume that it is of.
    :param after: the snapshot as it would be returned, as far as that is known beforehand.
    """

    project_id: str
    found: Record | None
    volume: Record
    changes: Sequence[Change]
    after: Record


def apply(request: Request) -> Outcome:
    """Have the snapshot as the task says.

    :raises CloudError: what cannot be meant, or a host that refused.
    """
    name = names.label("name of a snapshot", str(request.args["name"]))
    header = f"volume_snapshot {name}"
    if request.args["timeout"] < 1:
        raise BadInput(f"timeout is {request.args['timeout']}; it must be at least 1.")
    if request.args["state"] == "absent":
        return _absent(request, name, header)
    with request.conductor.read() as conn:
        plan = _planned(conn, request.args)
    row = plan.after
    if plan.changes and not request.check:
        with request.conductor.transaction(lock=header, label="snapshot recorded") as conn:
            plan = _planned(conn, request.args)
            record = _recorded(conn, plan, request.args)
        if record["status"] == "creating":
            _take(request, record)
        with request.conductor.read() as conn:
            row = _shown(conn, [records.get(conn, tables.volume_snapshots, record["id"])])[0]
    return Outcome(bool(plan.changes), {"volume_snapshot": row}, plan.changes, header)


def info(request: Request) -> Outcome:
    """The snapshots of the project's volumes."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
        rows = _shown(conn, records.listing(conn, tables.volume_snapshots, project_id=project["id"]))
    return answer("volume_snapshots", rows, request.args)


def _planned(conn: sa.Connection, args: Mapping[str, Any]) -> Plan:
    project_id = str(projects.resolve(conn, args["project"])["id"])
    metadata = values.texts("metadata", args["metadata"]) if args.get("metadata") is not None else {}
    found = records.find(conn, tables.volume_snapshots, args["name"], project_id=project_id)
    if found is None:
        return _new(conn, args, project_id, metadata)
    shown = _shown(conn, [found])[0]
    if args.get("volume") is not None and args["volume"] not in (shown["volume_id"], shown["volume"]):
        raise ChangeRefused(
            f"Snapshot {found['name']!r} is of the volume {shown['volume']!r}, and that cannot change. "
            "Take one of another name.",
            option="volume",
        )
    if found["status"] == "deleting":
        raise InUse(f"Snapshot {found['name']!r} is being deleted; finish that first, with state absent.")
    changes = [] if found["status"] == "available" else [Change("status", found["status"], "available")]
    changes += [
        Change(f"metadata.{each.what}", each.before, each.after) for each in compare(metadata, shown["metadata"])
    ]
    after = {**shown, "status": "available", "metadata": {**shown["metadata"], **metadata}}
    volume = records.get(conn, tables.volumes, found["volume_id"])
    return Plan(project_id, found, volume, changes, after)


def _new(conn: sa.Connection, args: Mapping[str, Any], project_id: str, metadata: Record) -> Plan:
    if args.get("volume") is None:
        raise BadInput("The snapshot does not exist yet; to make it, give volume.", missing=["volume"])
    volume = records.get(conn, tables.volumes, args["volume"], project_id=project_id)
    if volume["status"] == "in-use" and not args["force"]:
        raise InUse(
            f"Volume {volume['name']!r} is attached, and what its guest has not written yet would not be in the "
            "snapshot. Say force to take it nevertheless."
        )
    if volume["status"] not in ("available", "in-use"):
        raise InUse(f"Volume {volume['name']!r} is {volume['status']}; a snapshot can be taken when that is done.")
    about = {"name": args["name"], "volume": volume["name"], "size": volume["size"], "metadata": metadata or None}
    after = {
        **about,
        "project_id": project_id,
        "volume_id": volume["id"],
        "status": "available",
        "metadata": metadata,
    }
    return Plan(project_id, None, volume, created(about), after)


def _recorded(conn: sa.Connection, plan: Plan, args: Mapping[str, Any]) -> Record:
    if plan.found is None:
        quota.take(conn, plan.project_id, volume_snapshots=1, gigabytes=int(plan.volume["size"]))
        return records.insert(
            conn,
            tables.volume_snapshots,
            project_id=plan.project_id,
            name=args["name"],
            volume_id=plan.volume["id"],
            size=plan.volume["size"],
            status="creating",
            metadata=plan.after["metadata"],
        )
    if plan.after["metadata"] != (plan.found["metadata"] or {}):
        return records.update(
            conn,
            tables.volume_snapshots,
            plan.found["id"],
            {"generation": plan.found["generation"]},
            metadata=plan.after["metadata"],
        )
    return plan.found


def _take(request: Request, record: Record) -> None:
    """Take the snapshot; what the host refuses is forgotten, what it did not answer is tried again by the next run."""
    with request.conductor.read() as conn:
        (volume,) = orders.load(conn, [record["volume_id"]])
    if volume.backend is None:
        raise InUse(f"Volume {volume.record['name']!r} has no place yet.")
    request.progress(f"snapshot {record['name']} of volume {volume.record['name']}")
    order = orders.operation("snapshot", record, volume.backend, volume=volume.id)
    answers = orders.carry(
        request, [orders.Order(record["id"], volume.backend["host"], order)], timeout=request.args["timeout"]
    )
    for error in answers.refused.values():
        with request.conductor.transaction(label="snapshot not taken") as conn:
            _forget(conn, record)
        raise error
    for error in answers.unknown.values():
        raise type(error)(f"{error.msg} Whether the snapshot was taken is not known; run again.", **error.details)
    with request.conductor.transaction(label="snapshot taken") as conn:
        now = records.find(conn, tables.volume_snapshots, record["id"])
        if now is not None and now["status"] == "creating":
            records.update(conn, tables.volume_snapshots, record["id"], {"status": "creating"}, status="available")


def _absent(request: Request, name: str, header: str) -> Outcome:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
        found = records.find(conn, tables.volume_snapshots, name, project_id=project["id"])
        if found is None:
            return Outcome(False, {"volume_snapshot": None}, (), header)
        changes = removed(_shown(conn, [found])[0], ("name", "volume", "size"))
    if not request.check:
        with request.conductor.transaction(label="snapshot to delete") as conn:
            now = records.find(conn, tables.volume_snapshots, found["id"])
            if now is not None and now["status"] != "deleting":
                now = records.update(conn, tables.volume_snapshots, found["id"], status="deleting")
        if now is not None:
            _remove(request, now)
    return Outcome(True, {"volume_snapshot": None}, changes, header)


def _remove(request: Request, record: Record) -> None:
    with request.conductor.read() as conn:
        (volume,) = orders.load(conn, [record["volume_id"]])
    if volume.backend is not None:
        order = orders.operation("snapshot_absent", record, volume.backend, volume=volume.id)
        answers = orders.carry(
            request, [orders.Order(record["id"], volume.backend["host"], order)], timeout=request.args["timeout"]
        )
        for error in answers.failed.values():
            raise type(error)(
                f"Snapshot {record['name']!r} could not be deleted and stays in deleting: {error.msg} Run the task "
                "again when the cause is mended.",
                **error.details,
            )
    with request.conductor.transaction(label="snapshot deleted") as conn:
        _forget(conn, record)


def _forget(conn: sa.Connection, record: Record) -> None:
    now = records.find(conn, tables.volume_snapshots, record["id"])
    if now is not None and now["generation"] == record["generation"]:  # otherwise another run is about it
        quota.give(conn, record["project_id"], volume_snapshots=1, gigabytes=int(record["size"]))
        records.delete(conn, tables.volume_snapshots, record["id"])


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    ids = sorted({row["volume_id"] for row in rows})
    volumes = {row["id"]: row["name"] for row in records.listing(conn, tables.volumes, id=ids)} if ids else {}
    return [
        {
            **{key: row[key] for key in _SHOWN},
            "volume": volumes.get(row["volume_id"]),
            "metadata": row["metadata"] or {},
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
        for row in rows
    ]
