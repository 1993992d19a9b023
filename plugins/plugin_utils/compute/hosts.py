# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of compute hosts: what a machine says, within what its operator allows, becomes the record of a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import initiators
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import capacity
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts as host_facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.facts import Facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import cells, hosts, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.clock import now
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ChangeRefused, HostMismatch, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.names import label
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call

Record = dict[str, Any]

BACKEND = "compute_backend"
PAPER: Record = {
    "cpu": {"arch": "x86_64", "model": None, "vendor": None, "features": []},
    "numa": [],
    "pci_devices": [],
}
_FROM_HOST = ("identity", "address", "virt_types", "cpu", "numa", "pci_devices")
_ABOUT = ("hostname", "datapath", "initiator", "connections", "versions")
_PLAIN = ("id", "name", "state", "reason", "zone", *_FROM_HOST, "planned", "trusted", "seen_at")


@dataclass(frozen=True)
class Plan:
    """What is to become of a host: columns, inventories by resource class, aggregates, and how all that differs."""

    found: Record | None
    cell: Record
    values: Mapping[str, Any]
    inventories: Mapping[str, Mapping[str, float]]
    aggregates: Mapping[str, Mapping[str, Any]] | None
    changes: list[Change] = field(default_factory=list)


def apply(request: Request) -> Outcome:
    """Make the record of a host as the task and the machine say."""
    given = request.args.get("name")
    name = label("name of a host", request.host if given is None else given)
    header = f"host {name}"
    if request.args["state"] == "absent":
        return _absent(request, name, header)
    with request.conductor.read() as conn:
        found = _described(conn, name)
    said = _discovered(request, name, found)
    with request.conductor.read() as conn:
        plan = _planned(conn, request.args, name, said)
    if request.check:
        return Outcome(bool(plan.changes), {"host": _predicted(plan, name)}, plan.changes, header)
    if plan.changes:
        with request.conductor.transaction(lock=f"host:{name}") as conn:
            plan = _planned(conn, request.args, name, said)
            _write(conn, plan, name)
    with request.conductor.read() as conn:
        return Outcome(bool(plan.changes), {"host": _described(conn, name)}, plan.changes, header)


def info(request: Request) -> Outcome:
    """All hosts, or those asked for."""
    with request.conductor.read() as conn:
        return answer("hosts", describe(conn), request.args)


def describe(conn: sa.Connection, names: Iterable[str] | None = None) -> list[Record]:
    """Hosts as modules return them, in a bounded number of queries."""
    wanted = None if names is None else list(names)
    states = {row["name"]: row for row in hosts.states(conn, names=wanted)}
    chosen: Record = {} if wanted is None else {"name": wanted}
    rows = records.listing(conn, tables.hosts, **chosen)
    mappings = {row["name"]: row for row in records.listing(conn, cloud.host_mappings, **chosen)}
    cell_names = {row["id"]: row["name"] for row in records.listing(conn, cloud.cells)}
    return [
        _shown(row, states[row["name"]], cell_names.get(mappings.get(row["name"], {}).get("cell_id"), cells.DEFAULT))
        for row in rows
        if row["name"] in states
    ]


def _described(conn: sa.Connection, name: str) -> Record | None:
    found = describe(conn, [name])
    return found[0] if found else None


def _shown(row: Mapping[str, Any], state: Mapping[str, Any], cell: str) -> Record:
    stock = {name: state["inventories"].get(hosts.CLASSES[name], {}) for name in host_facts.RESOURCES}
    about = row["facts"] or {}
    return {
        **{key: row[key] for key in _PLAIN},
        "cell": cell,
        "aggregates": state["aggregates"],
        "capacity": {name: held.get("total", 0) for name, held in stock.items()},
        "reserved": {name: held.get("reserved", 0) for name, held in stock.items()},
        "used": {**{name: held.get("used", 0) for name, held in stock.items()}, "instances": state["instance_count"]},
        "allocation_ratios": {
            ratio: stock[name].get("allocation_ratio", 1.0) for ratio, name in capacity.NAMED.items()
        },
        "limits": about.get("limits") or {},
        "first_capacity": about.get("first_capacity") or {},
        "hostname": about.get("hostname"),
        "datapath": about.get("datapath"),
        "initiator": about.get("initiator"),
        "connections": about.get("connections") or [],
        "versions": about.get("versions") or {},
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def _discovered(request: Request, name: str, found: Record | None) -> Facts | None:
    """What the machine says; None where it is not asked: on paper only, or taken out of service (it may be dead)."""
    args = request.args
    if args.get("resources") is not None:
        if found is not None and not found["planned"]:
            raise ChangeRefused(f"{name} is a real machine; its resources are what it has. Use limits to lower them.")
        return None
    if found is not None and (args["state"] != "enabled" or (found["planned"] and name not in request.hostvars)):
        return None
    reply = request.rpc.call(Call(name, BACKEND, [{"op": "discover"}], timeout=120))[0]
    said = host_facts.read(name, reply)
    known = found["identity"] if found else None
    if known and said.identity and said.identity != known:
        raise HostMismatch(f"{name} was {known} and answers as {said.identity}: it is another machine.", host=name)
    return said


def _planned(conn: sa.Connection, args: Mapping[str, Any], name: str, said: Facts | None) -> Plan:
    found = _described(conn, name)
    cell = _cell(conn, args, found)
    limits = {**(found["limits"] if found else {}), **capacity.given(args, "limits")}
    aggregates = None
    if args.get("aggregates") is not None:
        aggregates = {str(key): dict(value or {}) for key, value in args["aggregates"].items()}
    first = capacity.first(found, said)
    if said is not None:
        capacity.refuse_jump(name, said, first, limits)
        _refuse_name(conn, name, said.about.get("initiator"), found)
    values = _columns(args, cell, found, said, limits)
    values["facts"]["first_capacity"] = first
    held = capacity.held(args, found, said, limits)
    wanted = {
        **{key: value for key, value in values.items() if key not in ("seen_at", "facts")},
        **values["facts"],
        "cell": cell["name"],
        "aggregates": aggregates,
        **held,
    }
    if found is None:
        changes = created({"name": name, **host_facts.flat(wanted)})
    else:
        changes = compare(host_facts.flat(wanted), host_facts.flat(found))
        if "pci_devices" in values:  # one that was taken out
            now_there = host_facts.flat({"pci_devices": values["pci_devices"]})
            before = host_facts.flat({"pci_devices": found["pci_devices"]})
            changes += [Change(key, before[key], None) for key in before if key not in now_there]
        if args["state"] == "enabled" and found["reason"] and not args.get("reason"):
            values = {**values, "reason": None}
            changes.append(Change("reason", found["reason"], None))
    return Plan(found, cell, values, capacity.inventories(held), aggregates, changes)


def _refuse_name(conn: sa.Connection, name: str, initiator: str | None, found: Record | None) -> None:
    """Refuse a host that logs in to volumes by another name than it did, where that would let somebody else in.

    :raises HostMismatch: the name is another host's.
    :raises InUse: the host has volumes, which storage hosts have opened to the name that it had.
    """
    before = found.get("initiator") if found else None
    if initiator is None or initiator == before:
        return
    initiators.refuse_anothers(conn, name, initiator)
    if before:
        initiators.refuse_change(conn, name, before, initiator)


def _cell(conn: sa.Connection, args: Mapping[str, Any], found: Record | None) -> Record:
    named = args.get("cell") or (found["cell"] if found else None)
    cell = cells.resolve(conn, named)
    if found and found["cell"] != cell["name"] and found["used"]["instances"]:
        raise InUse(f"{found['name']} cannot go to the cell {cell['name']}: instances are on it.", host=found["name"])
    return cell


def _columns(
    args: Mapping[str, Any], cell: Record, found: Record | None, said: Facts | None, limits: Mapping[str, int]
) -> Record:
    """The columns to be set; what nobody said anything about is left out."""
    values: Record = {"state": args["state"]}
    for key in ("reason", "zone", "address"):
        if args.get(key) is not None:
            values[key] = args[key]
    if "address" in values:  # the role gives what the host says where the inventory says nothing
        label("address of a host", values["address"])
    if found is None and cell["zone"]:
        values.setdefault("zone", cell["zone"])
    about = {} if found is None else {key: found[key] for key in _ABOUT if found[key]}
    if said is not None:
        told = {key: getattr(said, key) for key in _FROM_HOST}
        values = {**{key: value for key, value in told.items() if value is not None}, **values}
        about = said.about
        values["seen_at"] = now()
        values["planned"] = False
    elif found is None:
        values.update(planned=True, virt_types=args.get("virt_types") or ["kvm"], **PAPER)
    elif found["planned"] and args.get("virt_types"):
        values["virt_types"] = args["virt_types"]
    values["facts"] = {**about, "limits": dict(limits)}
    return values


def _write(conn: sa.Connection, plan: Plan, name: str) -> None:
    """The record of the host, and that of the machine behind its name.

    :raises HostMismatch: another machine answered under this name before, or this one under another name.
    """
    identity = plan.values.get("identity")
    hosts.remember_endpoint(
        conn, name, "compute", identity, address=plan.values.get("address"), cell_id=plan.cell["id"]
    )
    hosts.save(conn, name, inventories=plan.inventories, aggregates=plan.aggregates, **plan.values)


def _predicted(plan: Plan, name: str) -> Record:
    """The host as it would be; what only the real run decides (``id``, times) is left out."""
    before = plan.found or {"name": name, "aggregates": {}, "used": {"vcpus": 0, "ram": 0, "disk": 0, "instances": 0}}
    columns = {key: value for key, value in plan.values.items() if key not in ("facts", "seen_at")}
    stock = {
        "capacity": {name: plan.inventories[hosts.CLASSES[name]]["total"] for name in host_facts.RESOURCES},
        "reserved": {name: plan.inventories[hosts.CLASSES[name]]["reserved"] for name in host_facts.RESOURCES},
        "allocation_ratios": {
            ratio: plan.inventories[hosts.CLASSES[name]]["allocation_ratio"] for ratio, name in capacity.NAMED.items()
        },
    }
    aggregates = before["aggregates"] if plan.aggregates is None else plan.aggregates
    return {**before, **columns, **plan.values["facts"], **stock, "cell": plan.cell["name"], "aggregates": aggregates}


def _absent(request: Request, name: str, header: str) -> Outcome:
    with request.conductor.read() as conn:
        found = _described(conn, name)
        _refuse_used(found)
    if found is None:
        return Outcome(False, {"host": None}, [], header)
    changes = removed(found, ("name", "state", "zone", "cell", "address", "identity"))
    if not request.check:
        with request.conductor.transaction(lock=f"host:{name}") as conn:
            _refuse_used(_described(conn, name))
            hosts.remove(conn, found["id"])
            hosts.forget_endpoint(conn, name)
    return Outcome(True, {"host": None}, changes, header)


def _refuse_used(found: Record | None) -> None:
    if found is not None and found["used"]["instances"]:
        raise InUse(
            f"{found['used']['instances']} instances are on {found['name']}. Move or delete them first; "
            "state 'maintenance' keeps new ones away meanwhile.",
            host=found["name"],
            instances=found["used"]["instances"],
        )
