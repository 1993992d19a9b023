# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes to an instance that exists: its words, its groups, its networks, its power.

The database moves first; a port being plugged or unplugged says so in its status, and a port whose groups have changed
says ``PENDING`` until the network has them. A run that dies in between is finished by the next one, which looks for
these marks.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import (
    attachments,
    entry,
    guests,
    orders,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.compare import STATUS_OF, Difference
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, ipam, ports, quota
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import secgroups
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, failure
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import tuning

SETTLED = frozenset({"ACTIVE", "SHUTOFF"})
PENDING, PLUGGING, UNPLUGGING, DONE = "PENDING", "PLUGGING", "UNPLUGGING", "ACTIVE"
MARKS = frozenset({PENDING, PLUGGING, UNPLUGGING})
STATES = frozenset({"running", "paused", "shutdown", "crashed", "suspended", "unknown", "absent", "foreign"})
VERB = {"running": "start", "stopped": "stop", "rebooted": "reboot"}


def alter(request: Request, wish: Wanted, found: Found, differing: Sequence[Difference]) -> None:
    """Write the differences down and carry them out.

    :raises CloudError: Conflict, AddressExhausted, AddressInUse, InUse, QuotaExceeded, or what a host said.
    """
    # A volume that is on its way out, and wanted again, goes out first.
    volumes.settle(request, [one.guest for one in differing], wish.timeout, out_only=True)
    with request.conductor.transaction() as conn:
        for one in differing:
            instances.move(conn, one.guest.id, SETTLED, **one.values)
            instances.begin_action(conn, one.guest.id, "update", request.conductor.actor)
            _mark_ports(conn, wish, found, one)
            volumes.mark(conn, one.guest, one.volumes)
    carry_out(request, [one.guest.id for one in differing], timeout=wish.timeout)


def carry_out(request: Request, ids: Sequence[str], *, timeout: int) -> None:
    """Bring ports and volumes to where their marks say, on network, storage and compute hosts, and take the marks off.

    :raises CloudError: the first failure; the marks stay for the next run.
    """
    with request.conductor.read() as conn:
        crowd = orders.load(conn, ids)
        wires = orders.wiring(conn, crowd)
    marked = [(guest, port) for guest in crowd for port in guest.ports if port.record["status"] in MARKS]
    if marked:
        staying = [orders.Guest(g.record, g.host, (p,)) for g, p in marked if p.record["status"] != UNPLUGGING]
        _send_network(request, orders.network_operations(staying, wires), timeout)
        _send_hosts(request, marked, timeout)
        _send_network(
            request,
            [
                {"op": "port_absent", "id": port.record["id"], "generation": port.record["generation"]}
                for _guest, port in marked
                if port.record["status"] == UNPLUGGING
            ],
            timeout,
        )
    volumes.settle(request, crowd, timeout)
    with request.conductor.transaction() as conn:
        for guest, port in marked:
            if port.record["status"] == UNPLUGGING:
                ipam.delete_ports(conn, [port.record["id"]])
                quota.give(conn, guest.record["project_id"], ports=1)
            else:
                ports.mark(conn, port.record["id"], DONE)
        for guest in crowd:
            entry.close_action(conn, guest.id, "success")


def power(request: Request, wish: Wanted, crowd: Sequence[orders.Guest]) -> None:
    """Start, stop or reboot guests, one call to each host, and write down how they are.

    :raises CloudError: what the first failing host said; the others are done and written down.
    """
    by_host: dict[str, list[orders.Guest]] = defaultdict(list)
    for guest in crowd:
        by_host[guests.host_of(guest)["name"]].append(guest)
    with request.conductor.transaction() as conn:
        renewed = {guest.id: instances.move(conn, guest.id, SETTLED) for guest in crowd}
        instances.begin_actions(conn, [guest.id for guest in crowd], VERB[wish.state], request.conductor.actor)
    told = {guest.id: _power_operations(wish, guest, renewed[guest.id]["generation"]) for guest in crowd}
    calls = [
        Call(host, "compute_backend", [op for guest in there for op in told[guest.id]], timeout=wish.timeout + 60)
        for host, there in sorted(by_host.items())
    ]
    errors: dict[str, CloudError] = {}
    for reply in request.rpc.map(calls):
        results = iter(reply.results or ())
        for guest in by_host[reply.host]:
            failed = [result for result in itertools.islice(results, len(told[guest.id])) if not result["ok"]]
            if reply.error is not None:
                errors[guest.id] = reply.error
            elif failed:
                errors[guest.id] = failure(reply.host, failed[-1])
    _write_power(request, wish, crowd, errors)
    if errors:
        raise next(iter(errors.values()))


def _power_operations(wish: Wanted, guest: orders.Guest, generation: int) -> list[dict[str, Any]]:
    """Its volumes as their types say by now, which a start goes by, and then the power."""
    verb = {"op": VERB[wish.state], "id": guest.id, "generation": generation, "timeout": wish.timeout}
    if wish.state == "stopped":
        return [verb]
    record = {**guest.record, "generation": generation}
    held = [each for each in guest.volumes if each.record["status"] == attachments.ATTACHED]
    return [*(tuning.operation(record, each.volume.record, each.type, each.device) for each in held), verb]


def observed(request: Request, crowd: Sequence[orders.Guest]) -> dict[str, str]:
    """What the hosts say of the guests' power, one of :data:`STATES` by instance id.

    :raises CloudError: a host cannot be asked, or answers with something else.
    """
    by_host: dict[str, list[str]] = defaultdict(list)
    for guest in crowd:
        by_host[guests.host_of(guest)["name"]].append(guest.id)
    calls = [Call(host, "compute_backend", [{"op": "inspect", "ids": ids}]) for host, ids in sorted(by_host.items())]
    seen: dict[str, str] = {}
    for reply in request.rpc.map(calls) if calls else []:
        found = request.rpc.results(reply)[0].get("instances")
        for key in by_host[reply.host]:
            one = found.get(key) if isinstance(found, Mapping) else None
            state = one.get("state") if isinstance(one, Mapping) else None
            if not isinstance(state, str) or state not in STATES:
                raise BadReply(f"{reply.host} does not say how its guest {key} is.", host=reply.host)
            seen[key] = state
    return seen


def _write_power(request: Request, wish: Wanted, crowd: Sequence[orders.Guest], errors: dict[str, CloudError]) -> None:
    with request.conductor.transaction() as conn:
        for guest in crowd:
            error = errors.get(guest.id)
            if error is None:
                state = "shutdown" if wish.state == "stopped" else "running"
                instances.move(conn, guest.id, SETTLED, status=STATUS_OF[wish.state], power_state=state)
            detail = {"error": error.error, "msg": error.msg} if error else None
            entry.close_action(conn, guest.id, "error" if error else "success", detail)


def _mark_ports(conn: Any, wish: Wanted, found: Found, one: Difference) -> None:
    """New ports, ports that go, and new groups, each with its mark."""
    for port in one.unplug:
        ports.mark(conn, port.record["id"], UNPLUGGING)
    unplugged = {port.record["id"] for port in one.guest.ports if port.record["status"] == PLUGGING}
    for key, wanted in one.secgroups.items():
        if key not in unplugged:  # such a port is sent to the network anyway, and its guest still lacks it
            ports.mark(conn, key, PENDING)
        ports.regroup(conn, key, wanted)
    if not one.plug:
        return
    default = secgroups.ensure_default(conn, found.project_id)["id"]
    quota.take(conn, found.project_id, ports=len(one.plug))
    ipam.create_ports(
        conn,
        [
            entry.port_values(wish, found, nic, default, position)
            | {"instance_id": one.guest.id, "host": guests.host_of(one.guest)["name"], "status": PLUGGING}
            for position, nic in one.plug
        ],
    )


def _send_network(request: Request, operations: list[dict[str, Any]], timeout: int) -> None:
    if operations:
        request.rpc.call(Call(guests.central(request), "network_backend", operations, timeout=timeout))


def _send_hosts(request: Request, marked: Iterable[tuple[orders.Guest, orders.Port]], timeout: int) -> None:
    by_host: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for guest, port in marked:
        operation = _nic_operation(request, guest, port)
        if operation is not None:
            by_host[guests.host_of(guest)["name"]].append(operation)
    calls = [Call(host, "compute_backend", there, timeout=timeout) for host, there in sorted(by_host.items())]
    for reply in request.rpc.map(calls) if calls else []:
        request.rpc.results(reply)


def _nic_operation(request: Request, guest: orders.Guest, port: orders.Port) -> dict[str, Any] | None:
    shared = {"id": guest.id, "generation": guest.record["generation"]}
    if port.record["status"] == PLUGGING:
        return {**shared, "op": "attach_nic", "xml": guests.nic_xml(request, guest, port)}
    if port.record["status"] == UNPLUGGING:
        return {**shared, "op": "detach_nic", "mac": port.record["mac_address"]}
    return None
