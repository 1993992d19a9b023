# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot: from a wish to guests that run, in the six steps of the design.

======  ==========  =========================================================================================
step    where       what
======  ==========  =========================================================================================
plan    database    names resolved, quota taken                                        (in :mod:`entry`)
place   database    hosts chosen and claimed, ports and addresses given                (in :mod:`entry`)
network hosts       ports, groups and DHCP written to OVN's northbound database
volumes hosts       volumes that instances boot from made, and every volume opened to the host of its instance
spawn   hosts       image to the cache, overlay, config drive, domain defined and started
commit  database    active, launched
======  ==========  =========================================================================================

Plan and place are one transaction, so a run that dies leaves an instance either not at all or in BUILD with its claim
and its addresses. Each later step is idempotent by UUID: running again finishes an instance in BUILD. A host that
fails gives its claim back and the next one is tried, :data:`entry.TRIES` hosts in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import (
    delete,
    entry,
    exports,
    guests,
    orders,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import ports
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import volumes as rooms
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.clock import now
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    CloudError,
    NoValidHost,
    StaleGeneration,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, failure

Failures = dict[str, CloudError]  # by instance id


def expect(request: Request, wish: Wanted) -> None:
    """Have the host of step 3 get ready while steps 1 and 2 are decided.

    :raises BadInput: the inventory has no such host, which is better known before anything is claimed.
    """
    if wish.nics:
        request.rpc.expect([guests.central(request)], "network_backend", packed=False)


def finish(request: Request, wish: Wanted, ids: Sequence[str]) -> None:
    """Bring instances in BUILD to life, each on its host or on the next best.

    :raises CloudError: the first failure that no other host could mend. What failed is undone; the rest runs.
    """
    pending, lost = list(ids), Failures()
    for attempt in range(1, entry.TRIES + 1):
        hopeless, failed = _one_round(request, wish, pending)
        lost.update(hopeless)
        pending = []
        if attempt < entry.TRIES and wish.host is None and failed:
            pending = _elsewhere(request, wish, failed, lost)
        lost.update({key: error for key, error in failed.items() if key not in pending and key not in lost})
        if not pending:
            break
    if lost:
        _give_up(request, lost)


def _one_round(request: Request, wish: Wanted, ids: Sequence[str]) -> tuple[Failures, Failures]:
    """Network, volumes, spawn and commit for all ids at once.

    Returns what failed for good, and what another host may mend.

    :raises StaleGeneration: another run has taken the work over; it is left alone.
    """
    with request.conductor.read() as conn:
        crowd = orders.load(conn, ids)
        wires = orders.wiring(conn, crowd)
    hopeless = _network(request, crowd, wires)
    crowd = [guest for guest in crowd if guest.id not in hopeless]
    crowd, sources, unfit = volumes.provide(request, crowd, wish.timeout)
    hopeless |= unfit
    failed = _spawn(request, wish, crowd, sources)
    for error in [*hopeless.values(), *failed.values()]:
        if isinstance(error, StaleGeneration):
            raise error
    alive = [guest for guest in crowd if guest.id not in failed]
    if alive:
        _commit(request, wish, alive)
    return hopeless, failed


def _network(request: Request, crowd: Sequence[orders.Guest], wires: orders.Wiring) -> Failures:
    """Step 3. A port that fails takes only its own instance with it."""
    operations = orders.network_operations(crowd, wires)
    if not operations:
        return {}
    central = guests.central(request)
    request.progress(f"3 network  {len(operations)} objects to {central}")
    next_hosts = sorted({guest.host["name"] for guest in crowd if guest.host})
    reply = request.rpc.map(
        [Call(central, "network_backend", operations)],
        meanwhile=lambda: request.rpc.expect(next_hosts, "compute_backend"),
    )[0]
    if reply.error is not None:
        return {guest.id: reply.error for guest in crowd}
    owners = {port.record["id"]: guest.id for guest in crowd for port in guest.ports}
    failed: Failures = {}
    for operation, result in zip(operations, reply.results, strict=True):
        # A network or group that the host has seen in a later generation is more than current there.
        later = result.get("error") == StaleGeneration.__name__ and operation["op"] in ("network", "secgroup")
        if not result["ok"] and not later:
            error = failure(central, result)
            concerned = [owners[operation["id"]]] if operation["id"] in owners else [guest.id for guest in crowd]
            failed.update(dict.fromkeys(concerned, error))
    return failed


def _spawn(request: Request, wish: Wanted, crowd: Sequence[orders.Guest], sources: exports.Sources) -> Failures:
    """Step 5: one call to each host, carrying that host's list."""
    by_host: dict[str, list[orders.Guest]] = defaultdict(list)
    for guest in crowd:
        by_host[guest.host["name"] if guest.host else ""].append(guest)
    calls = []
    for host, there in sorted(by_host.items()):
        request.progress(f"5 spawn    {', '.join(guest.name for guest in there)} on {host}")
        operations = [guests.spawn_operation(request, wish, guest, sources) for guest in there]
        calls.append(Call(host, "compute_backend", operations, timeout=wish.timeout))
    failed: Failures = {}
    for reply in request.rpc.map(calls) if calls else []:
        there = by_host[reply.host]
        if reply.error is not None:
            failed.update({guest.id: reply.error for guest in there})
            continue
        for guest, result in zip(there, reply.results, strict=True):
            if not result["ok"]:
                failed[guest.id] = failure(reply.host, result)
    return failed


def _commit(request: Request, wish: Wanted, alive: Sequence[orders.Guest]) -> None:
    """Step 6. Only an instance that is still in BUILD at our generation becomes active: we may have been overtaken."""
    request.progress(f"6 commit   {', '.join(guest.name for guest in alive)}")
    off = wish.state == "stopped"
    with request.conductor.transaction() as conn:
        for guest in alive:
            entry.move_mine(
                conn,
                guest,
                status="SHUTOFF" if off else "ACTIVE",
                power_state="shutdown" if off else "running",
                launched_at=guest.record["launched_at"] or now(),
                fault=None,
                spec={key: value for key, value in (guest.record["spec"] or {}).items() if key != "builder"},
            )
            for each in guest.volumes:
                rooms.attached(conn, each.id)
            entry.close_action(conn, guest.id, "success")
        ports.settle(conn, [guest.id for guest in alive])


def _elsewhere(request: Request, wish: Wanted, failed: Mapping[str, CloudError], lost: Failures) -> list[str]:
    """Clear the failed hosts and claim others; returns the instances that may go on, and fills ``lost``."""
    with request.conductor.read() as conn:
        crowd = orders.load(conn, list(failed))
    unclear = delete.clear_hosts(request, crowd)
    lost.update(exports.evict(request, crowd, unclear))
    moved: list[str] = []
    for guest in crowd:
        if guest.id in lost:
            continue
        tried = guest.host["name"] if guest.host else ""
        request.progress(f"  {guest.name}: {tried} failed ({failed[guest.id].msg}); trying the next host")
        try:
            entry.place_again(request, wish, guest, residue=unclear.get(guest.id, ()))
        except NoValidHost as exc:
            lost[guest.id] = type(failed[guest.id])(
                f"{failed[guest.id].msg} No other host can take {guest.name!r}: {exc.msg}",
                **{**failed[guest.id].details, "explanation": exc.details.get("explanation")},
            )
            continue
        moved.append(guest.id)
    return moved


def _give_up(request: Request, lost: Failures) -> None:
    """Undo what no host could bring to life, and say why.

    :raises CloudError: always, the first failure.
    """
    with request.conductor.read() as conn:
        crowd = orders.load(conn, list(lost))
    names = {guest.id: guest.name for guest in crowd}
    unclear = delete.abandon(request, crowd, lost)
    first, error = next(iter(lost.items()))
    kept = "".join(
        f" {names[key]!r} stays as ERROR, because {', '.join(hosts)} could not be reached to clear it: "
        "run again when the host is back."
        for key, hosts in unclear.items()
    )
    others = f" ({len(lost) - 1} more failed.)" if len(lost) > 1 else ""
    raise type(error)(
        f"Instance {names.get(first, first)!r} could not be booted: {error.msg}{others}{kept}", **error.details
    )
