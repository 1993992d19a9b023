# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume's data copied from one backend to another.

Detached, the storage hosts do it: the one that is to have it reads the old one, in place or over an export that only
it may use. Attached, the guest's own host mirrors the disk while the guest goes on writing, and turns it to the copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import initiators
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, CloudError, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders, reach, sources
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Answers, Loaded, Record

Both = tuple[Record, Record]  # the backend that has it, the backend that is to have it


def copy(request: Request, found: Loaded, both: Both, *, timeout: int) -> Answers:
    """Have all its data on the second backend too."""
    if found.attachments:
        return _mirrored(request, found, both, timeout)
    source, target = both
    if source["host"] == target["host"]:
        there = {"volume": found.id, "backend": source["name"]}
        return orders.carry(request, [_made(found, target, there)], timeout=timeout)
    return _fetched(request, found, both, timeout)


def movable(conn: sa.Connection, found: Record, target: Record) -> None:
    """Whether anybody can copy it to that backend now.

    :raises InUse: the instance that has it does not run, or there are several, or both places would have one name.
    """
    held = records.listing(conn, tables.volume_attachments, volume_id=found["id"])
    if not held:
        return
    here = orders.by_id(conn, [found["backend_id"]])[found["backend_id"]]
    if here["host"] == target["host"] and not (target["capabilities"] or {}).get("separate_exports"):
        # One name for both would have the guest copy the volume onto itself, and its export closed under it.
        raise InUse(
            f"Volume {found['name']!r} is attached, and {target['host']} cannot export both places of it at once. "
            "Detach it, and run again."
        )
    if len(held) > 1:
        raise InUse(f"Volume {found['name']!r} is attached to several instances and cannot move under them.")
    guest = records.find(conn, cell.instances, held[0]["instance_id"])
    if guest is None or guest["status"] != "ACTIVE" or held[0]["status"] != "attached":
        raise InUse(
            f"Volume {found['name']!r} is attached to an instance that does not run. Start the instance, or detach the "
            "volume, and run again."
        )


def _made(found: Loaded, target: Record, source: Mapping[str, Any] | None) -> orders.Order:
    return found.order("create", backend=target, size=found.record["size"], source=source)


def _fetched(request: Request, found: Loaded, both: Both, timeout: int) -> Answers:
    """Between two storage hosts: exported to the one that reads it, and closed again whatever came of it."""
    source, target = both
    answers = Answers()
    try:
        offered = _export(request, found, source, initiators.name(request, target["host"], orders.BACKEND))
    except CloudError as exc:
        answers.unknown[found.id] = exc
        if isinstance(exc, BadReply):  # the host has opened something, though not what it should say
            orders.carry(request, [found.order("unexport", backend=source)], timeout=timeout)
        return answers
    answers = orders.carry(request, [_made(found, target, {"export": offered, **found.login})], timeout=timeout)
    closed = orders.carry(request, [found.order("unexport", backend=source)], timeout=timeout)
    if not answers.failed:
        answers.unknown.update(closed.failed)
    return answers


def _mirrored(request: Request, found: Loaded, both: Both, timeout: int) -> Answers:
    """Under a running guest, by its host."""
    _source, target = both
    held = found.attachments[0]
    with request.conductor.read() as conn:
        guest = records.get(conn, cell.instances, held["instance_id"])
        connection = reach.ways(conn, [found.record])  # the new type says the same (retype)
    answers = orders.carry(request, [_made(found, target, None)], timeout=timeout)
    if answers.failed:
        return answers
    try:
        offered = _export(request, found, target, initiators.name(request, held["host"]))
        about = {
            "id": found.id,
            "device": held["device"],
            "serial": found.id,
            "source": offered,
            **found.login,
            "connection": (connection or ["qemu"])[0],
        }
        mirror = {"op": "copy_volume", "id": guest["id"], "generation": guest["generation"], "volume": about}
        request.rpc.call(Call(held["host"], "compute_backend", [mirror], timeout=timeout))
    except CloudError as exc:
        # The disk may have been turned to the copy already: only the next run can tell.
        answers.unknown[found.id] = exc
    return answers


def _export(request: Request, found: Loaded, backend: Record, initiator: str) -> Record:
    order = found.order("export", backend=backend, initiator=initiator, **found.login)
    answer = request.rpc.call(Call(order.host, orders.BACKEND, [order.operation]))[0]
    return sources.confirmed(request, order.host, backend, order.operation, answer)
