# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task on instances will do, as a plan that check mode returns, a diff prints and the real run carries out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic, Wanted
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
    """What check mode returns: the instances that are there, as they will be, and a sketch of those to come.

    What cannot be known before the work is done, such as an address that nobody has chosen, is left out.
    """
    with request.conductor.read() as conn:
        shown = {row["name"]: row for row in instances.describe(conn, plan.found.project_id, wish.names)}
    for one in plan.differing:
        _alter(shown[one.guest.name], one, plan.found)
    for guest in [*plan.power, *plan.unfinished]:
        shown[guest.name]["status"] = compare.STATUS_OF.get(wish.state, "ACTIVE")
        shown[guest.name]["power_state"] = "shutdown" if wish.state == "stopped" else "running"
    for guest in plan.unfinished:
        shown[guest.name]["fault"] = None
    shown |= {row["id"]: row for row in shown.values()}
    rows = [shown.get(name) or _foreseen(wish, plan, name) for name in wish.names]
    values: dict[str, Any] = {"instance": rows[0]}
    if wish.counted:
        values["instances"] = rows
    return Outcome(bool(plan.changes), values, plan.changes, header(wish))


def _alter(row: dict[str, Any], one: compare.Difference, found: Found) -> None:
    """Make an instance as it is shown now one as it will be shown."""
    row.update(one.values)
    row.update({c.what: c.after for c in one.changes if c.what == "security_groups"})
    if one.volumes.attach or one.volumes.detach:
        held = {each["name"]: each for each in row["volumes"]}
        coming = {each["name"]: {"id": each["id"], "name": each["name"]} for each in found.volumes.values()}
        boot = [each.name for each in one.guest.volumes if each.boots]
        row["volumes"] = [held.get(name) or coming[name] for name in [*boot, *one.volumes.after]]
    if one.plug or one.unplug:
        going = {port.record["id"] for port in one.unplug}
        staying = [port for port in one.guest.ports if not port.going and port.record["id"] not in going]
        keys = {port.record["id"] for port in staying}
        kept = {
            port.network["name"]: [
                each for each in row["addresses"].get(port.network["name"], ()) if each["port_id"] in keys
            ]
            for port in staying
        }
        for key in ("access_ipv4", "access_ipv6"):
            row.pop(key)
        row.update(_reached(kept, [nic for _position, nic in one.plug], found))


def _reached(kept: Mapping[str, Sequence[Any]], coming: Sequence[Nic], found: Found) -> dict[str, Any]:
    """The addresses of ports that stay and of nics to come; of the latter only those that the task names are known."""
    located = {network: list(entries) for network, entries in kept.items()}
    first = [entry for entries in located.values() for entry in entries]
    for nic in coming:
        entries = located.setdefault(found.networks[nic.network]["name"], [])
        if nic.fixed_ip:
            version = 6 if ":" in nic.fixed_ip else 4
            entries.append({"addr": nic.fixed_ip, "version": version, "type": "fixed"})
    whole = all(nic.fixed_ip for nic in coming)
    if whole:
        first = [entry for entries in located.values() for entry in entries]
    reached: dict[str, Any] = {"addresses": located}
    for version in (4, 6):
        address = next((entry["addr"] for entry in first if entry["version"] == version), "")
        if address or whole:
            reached[f"access_ipv{version}"] = address
    return reached


def _foreseen(wish: Wanted, plan: Plan, name: str) -> dict[str, Any]:
    """An instance to come in the form of one that is there, so that what reads the result works in check mode too."""
    found, nics = plan.found, wish.nics or ()
    flavor, image = catalog.for_boot(wish, found)
    foreseen = {
        "name": name,
        "status": "SHUTOFF" if wish.state == "stopped" else "ACTIVE",
        "power_state": "shutdown" if wish.state == "stopped" else "running",
        "fault": None,
        "flavor": {key: flavor[key] for key in entry.OF_FLAVOR},
        "image": {key: image[key] for key in ("id", "name") if key in image},
        "security_groups": sorted({group for nic in nics for group in compare.groups_of(wish, found, nic)}),
        "metadata": dict(wish.metadata or {}),
        "tags": list(wish.tags or ()),
        "key_name": found.keypair and found.keypair["name"],
        **_reached({}, nics, found),
    }
    if not (wish.boot_volume and found.boot_volume is None):  # one that is made has no ID yet
        held = [*([found.boot_volume] if found.boot_volume else []), *found.volumes.values()]
        foreseen["volumes"] = [{"id": row["id"], "name": row["name"]} for row in held]
    known = {"compute_host": wish.host, "zone": wish.zone}
    return {**foreseen, **{key: value for key, value in known.items() if value is not None}}


def header(wish: Wanted) -> str:
    return f"instance {wish.names[0]}" if len(wish.names) == 1 else f"instances {wish.names[0]} to {wish.names[-1]}"
