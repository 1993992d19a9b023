# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``instance``: plan, then carry out; and that of ``instance_info``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    orders,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted, wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BackendFailed,
    Conflict,
    Timeout,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer

POWER_OF = {"running": "running", "stopped": "shutdown"}
POWER_FIRST = frozenset({"stopped", "rebooted"})  # a guest that is off lets go of a network that it holds on to
LOOK_AGAIN = 0.5  # seconds between looks at an instance that another run is building
FRESH_STARTS = 3  # times that a plan is made anew because parallel runs took the names


@dataclass(frozen=True)
class Plan:
    """What a task will do. Check mode returns it, the real run carries it out."""

    found: Found
    missing: Sequence[str] = ()
    unfinished: Sequence[orders.Guest] = ()
    differing: Sequence[compare.Difference] = ()
    marked: Sequence[orders.Guest] = ()
    power: Sequence[orders.Guest] = ()
    changes: Sequence[Change] = field(default_factory=tuple)


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
            return _predicted(request, wish, plan)
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
        project = projects.resolve(conn, request.args["project"])
        rows = instances.describe(conn, project["id"])
    return answer("instances", rows, request.args)


def _absent(request: Request, wish: Wanted) -> Outcome:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
        existing = _existing(conn, project["id"], wish.names)
    changes = [Change(record["name"], record["status"], None) for record in existing]
    if existing and not request.check:
        delete.remove(request, [record["id"] for record in existing], timeout=wish.timeout)
    return Outcome(bool(existing), {}, changes, _header(wish))


def _plan(request: Request, wish: Wanted) -> Plan:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"])
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
        guest
        for guest in settled
        if guest.id not in other and any(port.record["status"] in change.MARKS for port in guest.ports)
    ]
    power = _power(request, wish, settled)
    plan = Plan(found, missing, unfinished, differing, marked, power)
    return replace(plan, changes=_changes(wish, plan))


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


def _changes(wish: Wanted, plan: Plan) -> list[Change]:
    """The plan as a diff shows it. With several instances each change carries the instance's name."""

    def of(name: str, what: str) -> str:
        return f"{name}.{what}" if wish.counted else what

    status = "SHUTOFF" if wish.state == "stopped" else "ACTIVE"
    planned = [
        Change(of(name, key), None, value) for name in plan.missing for key, value in _sketch(wish, plan, name).items()
    ]
    planned += [Change(of(guest.name, "status"), guest.record["status"], status) for guest in plan.unfinished]
    for one in plan.differing:
        planned += [replace(each, what=of(one.guest.name, each.what)) for each in one.changes]
    planned += [Change(of(guest.name, "ports"), "unfinished", "finished") for guest in plan.marked]
    if wish.state == "rebooted":
        planned += [Change(of(guest.name, "power_state"), "running", "rebooted") for guest in plan.power]
    else:
        planned += [Change(of(guest.name, "status"), guest.record["status"], status) for guest in plan.power]
    return planned


def _sketch(wish: Wanted, plan: Plan, name: str) -> dict[str, Any]:
    """What is known of an instance before it is booted."""
    flavor, image = plan.found.flavor or {}, plan.found.image or {}
    return {
        "name": name,
        "status": "SHUTOFF" if wish.state == "stopped" else "ACTIVE",
        "flavor": flavor.get("name"),
        "image": image.get("name"),
        "networks": [plan.found.networks[nic.network]["name"] for nic in wish.nics or ()],
        "metadata": dict(wish.metadata or {}),
        "tags": list(wish.tags or ()),
        "key_name": wish.key_name,
    }


def _carry_out(request: Request, wish: Wanted, plan: Plan) -> Mapping[str, Any]:
    """Do what was planned; returns what the scheduler said, by instance id."""
    said: dict[str, Any] = {}
    if plan.missing or plan.unfinished:
        boot.expect(request, wish)
        with request.conductor.transaction(lock="placement") as conn:
            said.update(entry.resume(conn, wish, [guest.record for guest in plan.unfinished]))
            if plan.missing:
                said.update(entry.enter(conn, request, wish, plan.found, plan.missing))
            fresh = _existing(conn, plan.found.project_id, wish.names)
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
    return Outcome(bool(plan.changes), values, plan.changes, _header(wish))


def _predicted(request: Request, wish: Wanted, plan: Plan) -> Outcome:
    """What check mode returns: the instances that are there, as they will be, and a sketch of those to come."""
    with request.conductor.read() as conn:
        shown = {row["name"]: row for row in instances.describe(conn, plan.found.project_id, wish.names)}
    for one in plan.differing:
        shown[one.guest.name].update(one.values)
        shown[one.guest.name].update({c.what: c.after for c in one.changes if c.what == "security_groups"})
    for guest in [*plan.power, *plan.unfinished]:
        shown[guest.name]["status"] = compare.STATUS_OF.get(wish.state, "ACTIVE")
        shown[guest.name]["power_state"] = "shutdown" if wish.state == "stopped" else "running"
    shown |= {row["id"]: row for row in shown.values()}
    rows = [shown.get(name) or _foreseen(wish, plan, name) for name in wish.names]
    values: dict[str, Any] = {"instance": rows[0]}
    if wish.counted:
        values["instances"] = rows
    return Outcome(bool(plan.changes), values, plan.changes, _header(wish))


def _foreseen(wish: Wanted, plan: Plan, name: str) -> dict[str, Any]:
    """An instance to come in the form of one that is there, so that what reads the result works in check mode too."""
    flavor, image = catalog.for_boot(wish, plan.found)
    whole = {
        **_sketch(wish, plan, name),
        "power_state": "shutdown" if wish.state == "stopped" else "running",
        "flavor": {key: flavor[key] for key in entry.OF_FLAVOR},
        "image": {key: image[key] for key in ("id", "name")},
    }
    return {key: value for key, value in whole.items() if key != "networks"}


def _existing(conn: Any, project_id: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The records of these names, in their order; a single name may also be an id."""
    rows = records.listing(conn, cell.instances, project_id=project_id, name=list(names))
    if not rows and len(names) == 1:
        rows = records.listing(conn, cell.instances, project_id=project_id, id=names[0])
    return sorted(rows, key=lambda row: names.index(row["name"]) if row["name"] in names else 0)


def _header(wish: Wanted) -> str:
    return f"instance {wish.names[0]}" if len(wish.names) == 1 else f"instances {wish.names[0]} to {wish.names[-1]}"
