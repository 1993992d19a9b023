# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletion: the guest, its disks, its volumes, its ports, its addresses and its claim, on every host that ever got it.

The record goes last, and only when every host that the record names has confirmed that nothing is left there. Until
then it is in DELETING, and running again goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import entry, guests, leaving, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, ipam, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, StaleGeneration
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, failure

FRESH_STARTS = 10  # times that a deletion is begun anew because another run deletes the same


def remove(request: Request, ids: Sequence[str], *, timeout: int) -> None:
    """Delete instances; those that a host could not confirm stay in DELETING.

    :raises CloudError: the first that could not be deleted, with what to do.
    """
    names: dict[str, str] = {}
    failed: dict[str, CloudError] = {}
    for _round in range(FRESH_STARTS):
        crowd, unclear = _attempt(request, ids, timeout)
        names.update({guest.id: guest.name for guest in crowd})
        failed = {key: error for key, error in failed.items() if key not in ids} | unclear
        ids = sorted(key for key, error in unclear.items() if isinstance(error, StaleGeneration))
        if not ids:  # else another run deletes them too, and came later: see what it has left
            break
    if failed:
        with request.conductor.transaction() as conn:
            for key, error in failed.items():
                entry.close_action(conn, key, "error", {"error": error.error, "msg": error.msg})
        error = next(iter(failed.values()))
        raise type(error)(
            f"{', '.join(sorted(names[key] for key in failed))} could not be deleted entirely, so the record stays in "
            f"DELETING: {error.msg} Run the task again when the cause is mended.",
            **error.details,
        )


def _attempt(
    request: Request, ids: Sequence[str], timeout: int
) -> tuple[Sequence[orders.Guest], dict[str, CloudError]]:
    """Delete what is there of these; returns it, and why some could not be deleted, by instance id."""
    with request.conductor.transaction() as conn:
        present = [row["id"] for row in records.listing(conn, cell.instances, id=list(ids))] if ids else []
        doomed = orders.load(conn, present)
        leaving.refuse(conn, doomed)
        for guest in doomed:
            instances.move(conn, guest.id, instances.MOVES, status="DELETING", **leaving.begin(conn, guest))
        instances.begin_actions(conn, present, "delete", request.conductor.actor)
    with request.conductor.read() as conn:
        crowd = orders.load(conn, present)
    unclear = clear(request, crowd, timeout=timeout)
    gone = [guest for guest in crowd if guest.id not in unclear]
    if gone:
        request.progress(f"  deleted  {', '.join(guest.name for guest in gone)}")
        _forget(request, gone)
    return crowd, unclear


def clear(request: Request, crowd: Sequence[orders.Guest], *, timeout: int) -> dict[str, CloudError]:
    """Destroy the guests on all their hosts and take their ports off the network, all at once; then shut their volumes.

    Returns, by instance id, why something could not be confirmed.
    """
    by_host: dict[str, list[orders.Guest]] = defaultdict(list)
    for guest in crowd:
        for host in _hosts(guest):
            by_host[host].append(guest)
    calls, subjects = [], []
    for host, there in sorted(by_host.items()):
        operations = [_destroy(guest) for guest in there]
        calls.append(Call(host, "compute_backend", operations, timeout=timeout))
        subjects.append([guest.id for guest in there])
    ports = [(guest.id, port.record) for guest in crowd for port in guest.ports]
    if ports:
        gone = [{"op": "port_absent", "id": port["id"], "generation": port["generation"]} for _owner, port in ports]
        calls.append(Call(guests.central(request), "network_backend", gone, timeout=timeout))
        subjects.append([owner for owner, _port in ports])
    failed = _failures(request, calls, subjects)
    return failed | leaving.finish(request, [guest for guest in crowd if guest.id not in failed], timeout)


def clear_hosts(request: Request, crowd: Sequence[orders.Guest]) -> dict[str, tuple[str, ...]]:
    """Destroy what a failed spawn may have left; returns the hosts that could not confirm, by instance id."""
    calls = [
        Call(guest.host["name"], "compute_backend", [_destroy(guest)], timeout=60) for guest in crowd if guest.host
    ]
    owners = [guest for guest in crowd if guest.host]
    failed = _failures(request, calls, [[guest.id] for guest in owners])
    return {guest.id: (guest.host["name"],) for guest in owners if guest.host and guest.id in failed}


def abandon(request: Request, crowd: Sequence[orders.Guest], why: Mapping[str, CloudError]) -> dict[str, list[str]]:
    """Give up instances that could not be booted.

    Those that every host has confirmed to be rid of go entirely. The others stay as ERROR, without a claim, so that
    the hosts still to be visited are not forgotten; returns these hosts by instance id.
    """
    unclear = clear(request, crowd, timeout=60)
    _forget(request, [guest for guest in crowd if guest.id not in unclear], result="error", why=why)
    kept: dict[str, list[str]] = {}
    with request.conductor.transaction(lock="placement") as conn:
        for guest in crowd:
            if guest.id not in unclear:
                continue
            residue = sorted(_hosts(guest))
            culprit = unclear[guest.id].details.get("host")
            kept[guest.id] = [str(culprit)] if culprit else residue
            entry.release(conn, guest.id)
            error = why[guest.id]
            spec = {**(guest.record["spec"] or {}), "residue": residue, "builder": None, "tried": []}
            fault = {"error": error.error, "msg": error.msg}
            instances.move(conn, guest.id, {"BUILD"}, status="ERROR", host_id=None, fault=fault, spec=spec)
            entry.close_action(conn, guest.id, "error", fault)
    return kept


def _forget(
    request: Request,
    gone: Sequence[orders.Guest],
    *,
    result: str = "success",
    why: Mapping[str, CloudError] | None = None,
) -> None:
    """The last step: addresses, claims, quota and the record, in one transaction."""
    if not gone:
        return
    with request.conductor.transaction(lock="placement") as conn:
        for guest in gone:
            if records.find(conn, cell.instances, guest.id) is None:
                continue  # another run was faster
            ipam.delete_ports(conn, [port.record["id"] for port in guest.ports])
            leaving.forget(conn, guest)
            entry.release(conn, guest.id)
            error = (why or {}).get(guest.id)
            entry.close_action(conn, guest.id, result, {"error": error.error, "msg": error.msg} if error else None)
            instances.remove(conn, guest.id)
            quota.give(
                conn,
                guest.record["project_id"],
                instances=1,
                vcpus=guest.record["flavor"]["vcpus"],
                ram=guest.record["flavor"]["ram"],
                ports=len(guest.ports),
            )


def _hosts(guest: orders.Guest) -> set[str]:
    """Every host that may hold something of the guest."""
    own = {guest.host["name"]} if guest.host else set()
    return own | set((guest.record["spec"] or {}).get("residue", []))


def _destroy(guest: orders.Guest) -> dict[str, Any]:
    return {"op": "destroy", "id": guest.id, "generation": guest.record["generation"]}


def _failures(request: Request, calls: list[Call], subjects: list[list[str]]) -> dict[str, CloudError]:
    failed: dict[str, CloudError] = {}
    for reply, concerned in zip(request.rpc.map(calls) if calls else [], subjects, strict=True):
        if reply.error is not None:
            failed.update(dict.fromkeys(concerned, reply.error))
            continue
        for key, result in zip(concerned, reply.results, strict=True):
            if not result["ok"]:
                failed[key] = failure(reply.host, result)
    return failed
