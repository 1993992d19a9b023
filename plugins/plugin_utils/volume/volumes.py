# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes: one plan for check mode, diff and the real run; many volumes of one task are made by one call to each host.

A volume with work that a killed run has left is planned as if that work were done: the work itself is a change of its
status, and the run begins by finishing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import (
    backends,
    create,
    delete,
    extend,
    planning,
    retype,
    wanted,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.planning import Plan
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import Record

_REMOVED = ("name", "size", "volume_type", "multiattach", "metadata")


def apply(request: Request) -> Outcome:
    """Have the volumes as the task says.

    :raises CloudError: what cannot be meant, does not fit, or a host that refused.
    """
    labels = wanted.labels(request.args)
    header = f"volume {request.args['name']}"
    values.number(1)("timeout", request.args["timeout"])
    given = wanted.checked(request.args)
    if request.args["state"] == "absent":
        return _absent(request, labels, header)
    with request.conductor.read() as conn:
        plans = [planning.planned(conn, {**request.args, "name": label}, given, request.principal) for label in labels]
    changes = [change for label, plan in zip(labels, plans, strict=True) for change in _told(request, label, plan)]
    if any(plan.wish is not None or plan.new_type is not None for plan in plans):
        backends.ensure(request)
    if request.check:
        planning.foreseen(request, plans)
        return Outcome(bool(changes), _returned(request, [planning.predicted(plan) for plan in plans]), changes, header)
    _carried_out(request, plans, given)
    with request.conductor.read() as conn:
        project_id = plans[0].project_id
        rows = {row["name"]: row for row in volumes.describe(conn, project_id, names=_names(labels, plans))}
    found = [rows[plan.shown["name"] if plan.shown else label] for label, plan in zip(labels, plans, strict=True)]
    return Outcome(bool(changes), _returned(request, found), changes, header)


def info(request: Request) -> Outcome:
    """The volumes of the project."""
    with request.conductor.read() as conn:
        rows = volumes.describe(conn, wanted.project(conn, request.args, request.principal))
    return answer("volumes", rows, request.args)


def _names(labels: Sequence[str], plans: Sequence[Plan]) -> list[str]:
    """The names of volumes, which a task may have named by their ids."""
    return [str(plan.shown["name"]) if plan.shown else label for label, plan in zip(labels, plans, strict=True)]


def _told(request: Request, label: str, plan: Plan) -> list[Change]:
    if request.args.get("count") is None:
        return list(plan.changes)
    return [Change(f"{label}.{change.what}", change.before, change.after) for change in plan.changes]


def _returned(request: Request, rows: Sequence[Record]) -> Record:
    counted = {"volumes": list(rows)} if request.args.get("count") is not None else {}
    return {"volume": rows[0], **counted}


def _carried_out(request: Request, plans: Sequence[Plan], given: Mapping[str, Any]) -> None:
    timeout = request.args["timeout"]
    changing = [plan for plan in plans if plan.changes]
    _resume(request, [plan.found for plan in changing if plan.found is not None], timeout)
    new = [plan for plan in changing if plan.wish is not None]
    if new:
        create.finish(request, _claimed(request, [plan.wish.name for plan in new if plan.wish]), timeout=timeout)
    for plan in changing:
        if plan.found is not None and plan.wish is None:
            _changed(request, plan, given)


def _changed(request: Request, plan: Plan, given: Mapping[str, Any]) -> None:
    """Carry out what one volume lacks."""
    timeout = request.args["timeout"]
    volume_id = plan.shown["id"]
    changed = {change.what.partition(".")[0] for change in plan.changes}
    if changed & {"multiattach", "metadata"}:
        with request.conductor.transaction(label="volume changed") as conn:
            _plain(conn, {**request.args, "name": volume_id}, given, request.principal)
    # Larger first: a backend that the volume moves to must have room for all of it.
    if "size" in changed:
        with request.conductor.transaction(lock="placement", label="volume to grow") as conn:
            now = records.get(conn, tables.volumes, volume_id)
            if int(now["size"]) < given["size"]:
                extend.begin(conn, now, given["size"])
        extend.finish(request, volume_id, timeout=timeout)
    if plan.new_type is not None:
        _moved(request, volume_id, plan.new_type)
        retype.finish(request, volume_id, timeout=timeout)


def _moved(request: Request, volume_id: str, kind: Record, *, last: bool = False) -> None:
    """Record the move. Before it fails for want of a place, storage hosts are asked what is new."""
    try:
        with request.conductor.transaction(lock="placement", label="volume to move") as conn:
            retype.begin(conn, records.get(conn, tables.volumes, volume_id), kind)
    except NoValidHost:
        if last or not backends.refresh(request).news:
            raise
        _moved(request, volume_id, kind, last=True)


def _claimed(request: Request, labels: Sequence[str], *, last: bool = False) -> list[str]:
    """The ids of the new volumes, recorded with their claims. Before it fails, storage hosts are asked what is new."""
    try:
        with request.conductor.transaction(lock="placement", label="volumes claimed") as conn:
            named = [{**request.args, "name": label} for label in labels]
            return [row["id"] for args in named for row in _made(conn, args, request.principal)]
    except NoValidHost:
        if last or not backends.refresh(request).news:
            raise
    return _claimed(request, labels, last=True)


def _made(conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> list[Record]:
    """The records of the new volume; those of another run that was first."""
    project_id = wanted.project(conn, args, principal)
    found = records.find(conn, tables.volumes, args["name"], project_id=project_id)
    return [found] if found is not None else create.begin(conn, [wanted.new(conn, args, project_id)])


def _plain(conn: sa.Connection, args: Mapping[str, Any], given: Mapping[str, Any], principal: Principal) -> None:
    """What is only a record."""
    plan = planning.planned(conn, args, given, principal)
    if plan.found is None:
        return
    row: Record = {}
    if given.get("multiattach") is not None:
        row["multiattach"] = given["multiattach"]
    if given.get("metadata") is not None:
        row["metadata"] = {**(plan.found["metadata"] or {}), **given["metadata"]}
    volumes.move(conn, plan.found["id"], {plan.found["status"]}, **row)


def _resume(request: Request, found: Sequence[Record], timeout: int) -> None:
    """Finish what a killed run has begun."""
    by_work = {
        kind: [row["id"] for row in found if row["status"] in statuses]
        for kind, statuses in (("create", create.PENDING), ("delete", {"deleting"}))
    }
    if by_work["create"]:
        create.finish(request, by_work["create"], timeout=timeout)
    if by_work["delete"]:
        delete.finish(request, by_work["delete"], timeout=timeout)
    for row in found:
        if row["status"] == "extending":
            extend.finish(request, row["id"], timeout=timeout)
        elif row["status"] == "retyping":
            retype.finish(request, row["id"], timeout=timeout)


def _absent(request: Request, labels: Sequence[str], header: str) -> Outcome:
    args = request.args
    changes: list[Change] = []
    with request.conductor.read() as conn:
        project_id = wanted.project(conn, args, request.principal)
        there = [records.find(conn, tables.volumes, label, project_id=project_id) for label in labels]
        found = [row for row in there if row is not None]
        for row in found:
            snapshots = delete.allowed(conn, row, with_snapshots=args["delete_snapshots"])
            (shown,) = volumes.describe(conn, project_id, ids=[row["id"]])
            gone = removed(shown, _REMOVED)
            gone += [Change(f"snapshot {each['name']}", each["id"], None) for each in snapshots]
            changes += _told(request, str(row["name"]), Plan(project_id, row, gone, shown))
    if found and not request.check:
        with request.conductor.transaction(label="volumes to delete") as conn:
            for row in records.listing(conn, tables.volumes, id=[row["id"] for row in found]):
                delete.allowed(conn, row, with_snapshots=args["delete_snapshots"])
                delete.begin(conn, row)
        delete.finish(request, [row["id"] for row in found], timeout=args["timeout"])
    counted: Record = {"volumes": []} if args.get("count") is not None else {}
    return Outcome(bool(found), {"volume": None, **counted}, changes, header)
