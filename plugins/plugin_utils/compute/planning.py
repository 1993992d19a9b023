# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task on instances will do, as a plan that check mode returns, a diff prints and the real run carries out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import (
    attachments,
    catalog,
    change,
    compare,
    entry,
    orders,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request


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


def unsettled(guest: orders.Guest) -> bool:
    """Whether a killed run has left ports on their way."""
    return any(port.record["status"] in change.MARKS for port in guest.ports)


def halfway(guest: orders.Guest) -> bool:
    """Whether a killed run has left volumes on their way."""
    return any(each.record["status"] != attachments.ATTACHED for each in guest.volumes)


def changes(wish: Wanted, plan: Plan) -> list[Change]:
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
    for what, left in (("ports", unsettled), ("volumes", halfway)):
        planned += [Change(of(guest.name, what), "unfinished", "finished") for guest in plan.marked if left(guest)]
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
        **_sketched_volumes(wish, plan),
    }


def _sketched_volumes(wish: Wanted, plan: Plan) -> dict[str, Any]:
    boot = plan.found.boot_volume and plan.found.boot_volume["name"]
    named = wish.boot_volume and {"boot_volume": boot or f"{wish.boot_volume.size} GiB"}
    return {
        **(named or {}),
        **({"volumes": [row["name"] for row in plan.found.volumes.values()]} if wish.volumes else {}),
    }


def predicted(request: Request, wish: Wanted, plan: Plan) -> Outcome:
    """What check mode returns: the instances that are there, as they will be, and a sketch of those to come."""
    with request.conductor.read() as conn:
        shown = {row["name"]: row for row in instances.describe(conn, plan.found.project_id, wish.names)}
    for one in plan.differing:
        shown[one.guest.name].update(one.values)
        shown[one.guest.name].update({c.what: c.after for c in one.changes if c.what == "security_groups"})
        if one.volumes.attach or one.volumes.detach:
            held = {row["name"]: row for row in shown[one.guest.name]["volumes"]}
            boot = [each.name for each in one.guest.volumes if each.boots]
            shown[one.guest.name]["volumes"] = [held.get(n) or {"name": n} for n in [*boot, *one.volumes.after]]
    for guest in [*plan.power, *plan.unfinished]:
        shown[guest.name]["status"] = compare.STATUS_OF.get(wish.state, "ACTIVE")
        shown[guest.name]["power_state"] = "shutdown" if wish.state == "stopped" else "running"
    shown |= {row["id"]: row for row in shown.values()}
    rows = [shown.get(name) or _foreseen(wish, plan, name) for name in wish.names]
    values: dict[str, Any] = {"instance": rows[0]}
    if wish.counted:
        values["instances"] = rows
    return Outcome(bool(plan.changes), values, plan.changes, header(wish))


def _foreseen(wish: Wanted, plan: Plan, name: str) -> dict[str, Any]:
    """An instance to come in the form of one that is there, so that what reads the result works in check mode too."""
    flavor, image = catalog.for_boot(wish, plan.found)
    whole = {
        **_sketch(wish, plan, name),
        "power_state": "shutdown" if wish.state == "stopped" else "running",
        "flavor": {key: flavor[key] for key in entry.OF_FLAVOR},
        "image": {key: image[key] for key in ("id", "name") if key in image},
    }
    return {key: value for key, value in whole.items() if key not in ("networks", "volumes", "boot_volume")}


def header(wish: Wanted) -> str:
    return f"instance {wish.names[0]}" if len(wish.names) == 1 else f"instances {wish.names[0]} to {wish.names[-1]}"
