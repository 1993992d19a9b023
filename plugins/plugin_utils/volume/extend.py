# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Growing a volume: claimed and counted first, then made larger where it lies, then told to the guest that has it.

A run that dies in between leaves it in ``extending`` with the size to come; running again goes on to that size.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, StaleGeneration
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded, Record

SETTLED = frozenset({"available", "in-use"})
PENDING = frozenset({"extending"})


def begin(conn: sa.Connection, found: Record, size: int) -> Record:
    """Claim and count what is to be added, and record the size to come.

    :raises QuotaExceeded: the project's limit is reached.
    :raises ClaimLost: the backend has not that much left.
    :raises Conflict: it is not in a state to grow.
    """
    added = size - int(found["size"])
    quota.take(conn, found["project_id"], gigabytes=added)
    volumes.claim(conn, found["backend_id"], added)
    spec = {**(found["spec"] or {}), "extend": {"size": size}}
    return volumes.move(conn, found["id"], SETTLED, status="extending", spec=spec)


def finish(request: Request, volume_id: str, *, timeout: int) -> None:
    """Bring a volume in ``extending`` to the size recorded.

    :raises CloudError: the host refused, and nothing has changed; or it did not answer, and running again goes on.
    """
    with request.conductor.read() as conn:
        loaded = orders.load(conn, [volume_id])
    if not loaded or loaded[0].record["status"] not in PENDING:
        return  # another run was first
    found = loaded[0]
    size = int(found.spec["extend"]["size"])
    request.progress(f"volume {found.record['name']}: {found.record['size']} GiB to {size} GiB")
    answers = orders.carry(request, [found.order("extend", size=size)], timeout=timeout)
    if found.id in answers.refused:
        error = answers.refused[found.id]
        if not isinstance(error, StaleGeneration):
            _undo(request, found, size)
        raise _told(found, size, error)
    if found.id in answers.unknown:
        raise _told(found, size, answers.unknown[found.id], " Whether it has grown is not known; run again.")
    _tell_guests(request, found, size, timeout)
    with request.conductor.transaction(label="volume extended") as conn:
        _settle(conn, found, size=size)


def _tell_guests(request: Request, found: Loaded, size: int, timeout: int) -> None:
    """Every guest that has it sees the new size. One that is off sees it when it starts."""
    with request.conductor.read() as conn:
        ids = [row["instance_id"] for row in found.attachments if row["status"] == "attached"]
        guests = {row["id"]: row for row in records.listing(conn, cell.instances, id=ids)} if ids else {}
    calls = []
    for row in found.attachments:
        guest: Mapping[str, object] = guests.get(row["instance_id"]) or {}
        if guest and row["status"] == "attached":
            about = {"id": found.id, "device": row["device"], "size": size}
            operation = {"op": "resize_volume", "id": guest["id"], "generation": guest["generation"], "volume": about}
            calls.append(Call(row["host"], "compute_backend", [operation], timeout=timeout))
    for reply in request.rpc.map(calls) if calls else []:
        try:
            Rpc.results(reply)
        except CloudError as exc:
            raise _told(found, size, exc, " The volume has grown, the guest has not been told; run again.") from exc


def _settle(conn: sa.Connection, found: Loaded, **values: object) -> None:
    now = records.find(conn, tables.volumes, found.id)
    if now is None or now["status"] not in PENDING or now["generation"] != found.record["generation"]:
        return  # another run was first, and came to the same end
    spec = {key: value for key, value in found.spec.items() if key != "extend"}
    status = "in-use" if found.attachments else "available"
    volumes.move(conn, found.id, PENDING, status=status, spec=spec, **values)


def _undo(request: Request, found: Loaded, size: int) -> None:
    added = size - int(found.record["size"])
    with request.conductor.transaction(label="volume not extended") as conn:
        now = records.find(conn, tables.volumes, found.id)
        if now is not None and now["generation"] == found.record["generation"]:
            volumes.release(conn, found.record["backend_id"], added)
            quota.give(conn, found.record["project_id"], gigabytes=added)
            _settle(conn, found)


def _told(found: Loaded, size: int, error: CloudError, more: str = "") -> CloudError:
    said = f"Volume {found.record['name']!r} could not grow to {size} GiB: {error.msg}{more}"
    return type(error)(said, **error.details)
