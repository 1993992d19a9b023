# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``instance``: plan, then carry out; and that of ``instance_info``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import (
    boot,
    builder,
    catalog,
    change,
    compare,
    delete,
    entry,
    leaving,
    orders,
    planning,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.planning import Plan
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted, wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BackendFailed,
    Conflict,
    NoValidHost,
    Timeout,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backends

POWER_OF = {"running": "running", "stopped": "shutdown"}
POWER_FIRST = frozenset({"stopped", "rebooted"})  # a guest that is off lets go of a network that it holds on to
LOOK_AGAIN = 0.5  # seconds between looks at an instance that another run is building
FRESH_STARTS = 3  # times that a plan is made anew because parallel runs took the names


def apply(request: Request) -> Outcome:
    """Have the instances of the task as it says.

    :raises CloudError: what cannot be meant, done or found. Running again mends what is half done.
    """
    wish = wanted(request.args)
    if wish.state == "absent":
        return _absent(request, wish)
    for attempt in range(1, FRESH_STARTS + 1):
        plan = _plan(request, wish)
        if request.check:
            return planning.predicted(request, wish, plan)
        try:
            said = _carry_out(request, wish, plan)
        except (AlreadyExists, Conflict):  # a parallel run made, or took over, an instance after we had looked
            if attempt == FRESH_STARTS:
                raise
            continue
        return _outcome(request, wish, plan, said)
    raise Conflict(f"The names of {wish.names[0]!r} are fought over by other runs; run again.")


def info(request: Request) -> Outcome:
    """The instances of the project."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        rows = instances.describe(conn, project["id"])
    return answer("instances", rows, request.args)


def _absent(request: Request, wish: Wanted) -> Outcome:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        existing = _existing(conn, project["id"], wish.names)
        leaving.refuse(conn, orders.load(conn, [record["id"] for record in existing]))
    changes = [Change(record["name"], record["status"], None) for record in existing]
    if existing and not request.check:
        delete.remove(request, [record["id"] for record in existing], timeout=wish.timeout)
    return Outcome(bool(existing), {}, changes, planning.header(wish))


def _plan(request: Request, wish: Wanted) -> Plan:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        found = catalog.look_up(conn, wish, project["id"])
    if not request.check:
        _wait_for_others(request, wish, project["id"])
    with request.conductor.read() as conn:
        existing = _existing(conn, project["id"], wish.names)
        crowd = orders.load(conn, [record["id"] for record in existing])
    names = {guest.name for guest in crowd}
    going = [guest.name for guest in crowd if guest.record["status"] == "DELETING"]
    if going:
        raise Conflict(
            f"The deletion of {', '.join(going)} has not ended; run the task with state: absent again, then this one."
        )
    missing = [name for name in wish.names if name not in names and wish.names[0] not in {g.id for g in crowd}]
    if missing:
        catalog.for_boot(wish, found)
    unfinished = [guest for guest in crowd if guest.record["status"] in ("BUILD", "ERROR")]
    settled = [guest for guest in crowd if guest.record["status"] in change.SETTLED]
    differing = [one for one in (compare.difference(wish, found, guest) for guest in settled) if one.changes]
    other = {one.guest.id for one in differing}
    marked = [
        guest for guest in settled if guest.id not in other and (planning.unsettled(guest) or planning.halfway(guest))
    ]
    coming = {one.guest.id: one.volumes.attach for one in differing}
    with request.conductor.read() as conn:
        volumes.refuse(conn, wish, found, missing, coming)
    power = _power(request, wish, settled)
    plan = Plan(found, missing, unfinished, differing, marked, power)
    return replace(plan, changes=planning.changes(wish, plan))


def _wait_for_others(request: Request, wish: Wanted, project_id: str) -> None:
    """Let a living run finish the instances it is building.

    :raises Timeout: it takes longer than the task may.
    """
    deadline = time.monotonic() + wish.timeout
    while True:
        with request.conductor.read() as conn:
            existing = _existing(conn, project_id, wish.names)
        busy = [r for r in existing if r["status"] == "BUILD" and builder.alive((r["spec"] or {}).get("builder"))]
        if not busy:
            return
        if time.monotonic() > deadline:
            names = ", ".join(record["name"] for record in busy)
            raise Timeout(f"Another run is still building {names} after {wish.timeout} s.")
        time.sleep(LOOK_AGAIN)


def _power(request: Request, wish: Wanted, settled: Sequence[orders.Guest]) -> list[orders.Guest]:
    """The guests to start, stop or reboot. The host is asked: a guest may have been halted from inside."""
    if wish.state == "rebooted":
        return list(settled)
    if wish.state not in POWER_OF or not settled:
        return []
    seen = change.observed(request, settled)
    lost = [guest for guest in settled if seen[guest.id] == "absent"]
    if lost:
        host = lost[0].host["name"] if lost[0].host else "its host"
        raise BackendFailed(
            f"{', '.join(guest.name for guest in lost)} is recorded on {host}, which has no such domain: somebody "
            "removed it there. Remove the instance (state: absent) and boot it again.",
            host=host,
        )
    aim = POWER_OF[wish.state]
    return [
        guest for guest in settled if seen[guest.id] != aim or guest.record["status"] != compare.STATUS_OF[wish.state]
    ]


def _carry_out(request: Request, wish: Wanted, plan: Plan) -> Mapping[str, Any]:
    """Do what was planned; returns what the scheduler said, by instance id."""
    said: dict[str, Any] = {}
    if plan.missing or plan.unfinished:
        boot.expect(request, wish)
        said, fresh = _entered(request, wish, plan)
        ids = [record["id"] for record in fresh if record["status"] == "BUILD"]
        request.progress(f"1 plan     {', '.join(record['name'] for record in fresh if record['id'] in ids)}")
        _tell_placement(request, ids)
        boot.finish(request, wish, ids)
    if plan.power and wish.state in POWER_FIRST:
        change.power(request, wish, plan.power)
    if plan.differing:
        change.alter(request, wish, plan.found, plan.differing)
    if plan.marked:
        change.carry_out(request, [guest.id for guest in plan.marked], timeout=wish.timeout)
    if plan.power and wish.state not in POWER_FIRST:
        change.power(request, wish, plan.power)
    return said


def _entered(request: Request, wish: Wanted, plan: Plan) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Steps 1 and 2. Before a boot volume has no place, storage hosts are asked what is new."""
    made = bool(plan.missing and wish.boot_volume and wish.boot_volume.size)
    if made:
        backends.ensure(request)
    for last in (not made, True):
        try:
            with request.conductor.transaction(lock="placement") as conn:
                said = dict(entry.resume(conn, wish, [guest.record for guest in plan.unfinished]))
                if plan.missing:
                    said.update(entry.enter(conn, request, wish, plan.found, plan.missing))
                return said, _existing(conn, plan.found.project_id, wish.names)
        except NoValidHost:
            if last or not backends.refresh(request).news:
                raise
    raise Conflict(f"No place was found for {wish.names[0]!r}.")


def _tell_placement(request: Request, ids: Sequence[str]) -> None:
    with request.conductor.read() as conn:
        crowd = orders.load(conn, ids)
    for guest in crowd:
        given = ", ".join(address["address"] for port in guest.ports for address in port.addresses)
        request.progress(
            f"2 place    {guest.name} on {guest.host['name'] if guest.host else '?'}: {given or 'no port'}"
        )


def _outcome(request: Request, wish: Wanted, plan: Plan, said: Mapping[str, Any]) -> Outcome:
    with request.conductor.read() as conn:
        shown = instances.describe(conn, plan.found.project_id, wish.names)
    by_name = {row["name"]: row for row in shown} | {row["id"]: row for row in shown}
    rows = [by_name[name] for name in wish.names if name in by_name]
    for row in rows:
        if row["id"] in said:
            row["placement"] = {"explanation": said[row["id"]]}
    values: dict[str, Any] = {"instance": rows[0]}
    if wish.counted:
        values["instances"] = rows
    return Outcome(bool(plan.changes), values, plan.changes, planning.header(wish))


def _existing(conn: Any, project_id: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The records of these names, in their order; a single name may also be an id."""
    rows = records.listing(conn, cell.instances, project_id=project_id, name=list(names))
    if not rows and len(names) == 1:
        rows = records.listing(conn, cell.instances, project_id=project_id, id=names[0])
    return sorted(rows, key=lambda row: names.index(row["name"]) if row["name"] in names else 0)
