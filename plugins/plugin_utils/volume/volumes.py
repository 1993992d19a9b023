# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes: one plan for check mode, diff and the real run.

A volume with work that a killed run has left is planned as if that work were done: the work itself is a change of its
status, and the run begins by finishing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import (
    backends,
    create,
    delete,
    extend,
    placement,
    places,
    retype,
    wanted,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import Record, Wish

_REMOVED = ("name", "size", "volume_type", "multiattach", "metadata")
_PENDING = frozenset({"creating", "error", "extending", "retyping"})


@dataclass(frozen=True)
class Plan:
    """What is to become of a volume.

    :param found: its record, None while there is none.
    :param shown: the volume as modules return it, with work that has begun taken as done.
    :param wish: what to make, where there is none.
    :param new_type: the type to give it, None where that stays.
    """

    project_id: str
    found: Record | None
    changes: Sequence[Change]
    shown: Mapping[str, Any]
    wish: Wish | None = None
    new_type: Record | None = None


def apply(request: Request) -> Outcome:
    """Have the volume as the task says.

    :raises CloudError: what cannot be meant, does not fit, or a host that refused.
    """
    name = names.label("name of a volume", str(request.args["name"]))
    header = f"volume {name}"
    timeout = request.args["timeout"]
    values.number(1)("timeout", timeout)
    given = wanted.checked(request.args)
    if request.args["state"] == "absent":
        return _absent(request, name, header)
    with request.conductor.read() as conn:
        plan = planned(conn, request.args, given)
    if plan.wish is not None or plan.new_type is not None:
        backends.ensure(request)
    if request.check:
        _foreseen(request, plan)
        return Outcome(bool(plan.changes), {"volume": _predicted(plan)}, plan.changes, header)
    if plan.changes:
        _carried_out(request, plan, given)
    with request.conductor.read() as conn:
        project_id = wanted.project(conn, request.args)
        there = records.get(conn, tables.volumes, name, project_id=project_id)
        row = volumes.describe(conn, project_id, ids=[there["id"]])[0]
    return Outcome(bool(plan.changes), {"volume": row}, plan.changes, header)


def info(request: Request) -> Outcome:
    """The volumes of the project."""
    with request.conductor.read() as conn:
        rows = volumes.describe(conn, wanted.project(conn, request.args))
    return answer("volumes", rows, request.args)


def planned(conn: sa.Connection, args: Mapping[str, Any], given: Mapping[str, Any]) -> Plan:
    """Compare what the task says with the record.

    :raises CloudError: a name is not there, or an option cannot change.
    """
    project_id = wanted.project(conn, args)
    found = records.find(conn, tables.volumes, args["name"], project_id=project_id)
    if found is None or found["status"] == "deleting":
        wish = wanted.new(conn, args, project_id)
        return Plan(project_id, found, wanted.creation(wish), {}, wish)
    shown = volumes.describe(conn, project_id, ids=[found["id"]])[0]
    changes: list[Change] = []
    if found["status"] in _PENDING:
        shown = {**shown, **_to_come(conn, found), "status": "in-use" if shown["attachments"] else "available"}
        changes = [Change("status", found["status"], shown["status"])]
    changes += wanted.differences(args, given, shown)
    new_type = None
    if args.get("volume_type") is not None:
        kind = records.get(conn, tables.volume_types, args["volume_type"])
        if kind["name"] != shown["volume_type"]:
            new_type = kind
            changes.append(Change("volume_type", shown["volume_type"], kind["name"]))
    return Plan(project_id, found, changes, shown, None, new_type)


def _to_come(conn: sa.Connection, found: Record) -> Record:
    """What the volume will be when the work that has begun is done."""
    spec = found["spec"] or {}
    if found["status"] == "extending":
        return {"size": int(spec["extend"]["size"])}
    if found["status"] == "retyping":
        return {"volume_type": records.get(conn, tables.volume_types, spec["retype"]["type"])["name"]}
    return {}


def _carried_out(request: Request, plan: Plan, given: Mapping[str, Any]) -> None:
    timeout = request.args["timeout"]
    if plan.found is not None:
        _resume(request, plan.found, timeout)
    if plan.wish is not None:
        create.finish(request, _claimed(request, plan.project_id), timeout=timeout)
        return
    if plan.found is None:
        return
    volume_id = plan.found["id"]
    changed = {change.what.partition(".")[0] for change in plan.changes}
    if changed & {"multiattach", "metadata"}:
        with request.conductor.transaction(label="volume changed") as conn:
            _plain(conn, request.args, given)
    # Larger first: a backend that the volume moves to must have room for all of it.
    if "size" in changed:
        with request.conductor.transaction(lock="placement", label="volume to grow") as conn:
            now = records.get(conn, tables.volumes, volume_id)
            if int(now["size"]) < given["size"]:
                extend.begin(conn, now, given["size"])
        extend.finish(request, volume_id, timeout=timeout)
    if plan.new_type is not None:
        with request.conductor.transaction(lock="placement", label="volume to move") as conn:
            retype.begin(conn, records.get(conn, tables.volumes, volume_id), plan.new_type)
        retype.finish(request, volume_id, timeout=timeout)


def _claimed(request: Request, project_id: str, *, last: bool = False) -> list[str]:
    """The ids of the new volumes, recorded with their claims. Before it fails, storage hosts are asked what is new."""
    try:
        with request.conductor.transaction(lock="placement", label="volume claimed") as conn:
            return [row["id"] for row in _made(conn, request.args, project_id)]
    except NoValidHost:
        if last or not backends.refresh(request).news:
            raise
    return _claimed(request, project_id, last=True)


def _made(conn: sa.Connection, args: Mapping[str, Any], project_id: str) -> list[Record]:
    """The records of the new volume; those of another run that was first."""
    found = records.find(conn, tables.volumes, args["name"], project_id=project_id)
    return [found] if found is not None else create.begin(conn, [wanted.new(conn, args, project_id)])


def _plain(conn: sa.Connection, args: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """What is only a record."""
    plan = planned(conn, args, given)
    if plan.found is None:
        return
    row: Record = {}
    if given.get("multiattach") is not None:
        row["multiattach"] = given["multiattach"]
    if given.get("metadata") is not None:
        row["metadata"] = {**(plan.found["metadata"] or {}), **given["metadata"]}
    volumes.move(conn, plan.found["id"], {plan.found["status"]}, **row)


def _resume(request: Request, found: Record, timeout: int) -> None:
    """Finish what a killed run has begun."""
    if found["status"] in create.PENDING:
        create.finish(request, [found["id"]], timeout=timeout)
    elif found["status"] == "extending":
        extend.finish(request, found["id"], timeout=timeout)
    elif found["status"] == "retyping":
        retype.finish(request, found["id"], timeout=timeout)
    elif found["status"] == "deleting":
        delete.finish(request, [found["id"]], timeout=timeout)


def _absent(request: Request, name: str, header: str) -> Outcome:
    with request.conductor.read() as conn:
        project_id = wanted.project(conn, request.args)
        found = records.find(conn, tables.volumes, name, project_id=project_id)
        if found is None:
            return Outcome(False, {"volume": None}, (), header)
        snapshots = delete.allowed(conn, found, with_snapshots=request.args["delete_snapshots"])
        changes = removed(volumes.describe(conn, project_id, ids=[found["id"]])[0], _REMOVED)
        changes += [Change(f"snapshot {row['name']}", row["id"], None) for row in snapshots]
    if not request.check:
        with request.conductor.transaction(label="volume to delete") as conn:
            now = records.find(conn, tables.volumes, found["id"])
            if now is not None:  # otherwise another run was first
                delete.allowed(conn, now, with_snapshots=request.args["delete_snapshots"])
                delete.begin(conn, now)
        delete.finish(request, [found["id"]], timeout=request.args["timeout"])
    return Outcome(True, {"volume": None}, changes, header)


def _foreseen(request: Request, plan: Plan) -> None:
    """In check mode: whether a backend would take it, as far as backends are on record.

    :raises CloudError: none would, or it could not be moved there.
    """
    if plan.new_type is not None and plan.found is not None and plan.found["status"] not in _PENDING:
        with request.conductor.read() as conn:
            retype.where(conn, plan.found, plan.new_type)
    if plan.wish is None:
        return
    try:
        with request.conductor.read() as conn:
            if records.listing(conn, tables.volume_backends):
                placement.place(conn, places.asked(plan.wish))
    except NoValidHost:
        if not backends.refresh(request).news:
            raise


def _predicted(plan: Plan) -> Record:
    """The volume as it would be; what is not known before it exists is left out."""
    if plan.wish is not None:
        return {
            "name": plan.wish.name,
            "project_id": plan.project_id,
            "size": plan.wish.size,
            "status": "available",
            "volume_type": plan.wish.type["name"] if plan.wish.type else None,
            "multiattach": plan.wish.multiattach,
            "bootable": plan.wish.image is not None,
            "source": wanted.shown_source(plan.wish.source),
            "attachments": [],
            "metadata": dict(plan.wish.metadata),
        }
    row = dict(plan.shown)
    for change in plan.changes:
        what, _dot, key = change.what.partition(".")
        row[what] = {**(row["metadata"] or {}), key: change.after} if key else change.after
    if plan.new_type is not None:
        row.pop("host", None)
        row.pop("backend", None)
    return row
