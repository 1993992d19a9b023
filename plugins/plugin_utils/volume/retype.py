# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another type for a volume, and another backend where the new type needs one.

======  ==============================================================================================
step    what
======  ==============================================================================================
begin   the new backend claimed, both backends and the new type recorded                   (database)
copy    the data to the new backend: by the storage hosts, or by the guest's own host while it writes
swap    the volume lives on the new backend; the old one is only to be cleared             (database)
tune    guests that run have its disk as the new type says
clear   the old data deleted
settle  the old claim given back                                                           (database)
======  ==============================================================================================

Where its backend fits the new type too, nothing is claimed, copied or cleared. Each step is idempotent; a run that dies
leaves it in ``retyping``, and running again goes on where it was.
"""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, InUse, StaleGeneration
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import (
    moving,
    orders,
    placement,
    places,
    reach,
    tuning,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded, Record

SETTLED = frozenset({"available", "in-use"})
PENDING = frozenset({"retyping"})


def begin(conn: sa.Connection, found: Record, kind: Record) -> Record:
    """Give the type at once where the backend fits it and no guest runs; else record the move, and claim its place.

    :raises InUse: it has snapshots, which would be left behind, or nobody could copy it.
    :raises NoValidHost: no backend fits the new type.
    """
    if found["volume_type_id"] == kind["id"] or found["status"] in PENDING:
        return found  # another run was first
    chosen = where(conn, found, kind)
    if chosen is None and not tuning.running(conn, found["id"]):
        return volumes.move(conn, found["id"], SETTLED, volume_type_id=kind["id"])
    backends = [found["backend_id"]]
    if chosen is not None:
        volumes.claim(conn, chosen, int(found["size"]))
        backends.append(chosen)
    move = {"type": kind["id"], "from": backends[0], "to": backends[-1], "backends": backends}
    spec = {**(found["spec"] or {}), "retype": move}
    return volumes.move(conn, found["id"], SETTLED, status="retyping", spec=spec)


def where(conn: sa.Connection, found: Record, kind: Record) -> str | None:
    """The backend that it has to move to for that type; None where its own fits. Nothing is written.

    :raises InUse: it has snapshots, which would be left behind, or nobody could copy it.
    :raises NoValidHost: no backend fits the new type.
    """
    fits = placement.fits(conn, found, kind)
    reach.steady(conn, found, kind, moves=not fits)
    if fits:
        return None
    named = [str(row["name"]) for row in records.listing(conn, tables.volume_snapshots, volume_id=found["id"])]
    if named:
        raise InUse(
            f"Volume {found['name']!r} has snapshots ({', '.join(named[:5])}), which stay on its backend. Remove them "
            f"before it moves to the type {kind['name']!r}.",
            snapshots=named,
        )
    chosen = placement.place(conn, places.Asked(size=int(found["size"]), type=kind, tried=[found["backend_id"]]))
    moving.movable(conn, found, orders.by_id(conn, [chosen])[chosen])
    return chosen


def finish(request: Request, volume_id: str, *, timeout: int) -> None:
    """Bring a volume in ``retyping`` to its new backend.

    :raises CloudError: a host refused, and it is where it was; or one did not answer, and running again goes on.
    """
    found = _loaded(request, volume_id)
    if found is None:
        return  # nothing to move, or another run was first
    move = found.spec["retype"]
    moves = move["from"] != move["to"]
    if found.record["backend_id"] == move["from"]:
        if moves:
            _copy(request, found, timeout)
        with request.conductor.transaction(label="volume moved") as conn:
            volumes.move(conn, found.id, PENDING, backend_id=move["to"], volume_type_id=move["type"])
        found = _loaded(request, volume_id)
        if found is None:
            return
    tuning.carry(request, found, timeout=timeout)
    if moves:
        _clear(request, found, move["from"], timeout)
    with request.conductor.transaction(label="volume retyped") as conn:
        _settle(conn, found, move["from"] if moves else None)


def _copy(request: Request, found: Loaded, timeout: int) -> None:
    with request.conductor.read() as conn:
        both = orders.by_id(conn, found.spec["retype"]["backends"])
    source, target = both[found.spec["retype"]["from"]], both[found.spec["retype"]["to"]]
    request.progress(f"volume {found.record['name']}: moving from {places.named(source)} to {places.named(target)}")
    answers = moving.copy(request, found, (source, target), timeout=timeout)
    for error in answers.unknown.values():
        raise _told(found, error, " How far it came is not known; run again.")
    for error in answers.refused.values():
        if not isinstance(error, StaleGeneration):
            _clear(request, found, target["id"], timeout)
            with request.conductor.transaction(label="volume not moved") as conn:
                _settle(conn, found, target["id"])
        raise _told(found, error)


def _clear(request: Request, found: Loaded, backend_id: str, timeout: int) -> None:
    """The data on one of the two backends deleted.

    :raises CloudError: that could not be confirmed; it stays in ``retyping``.
    """
    with request.conductor.read() as conn:
        backend = orders.by_id(conn, [backend_id])[backend_id]
    gone = [found.order("unexport", backend=backend), found.order("delete", backend=backend)]
    for error in orders.carry(request, gone, timeout=timeout).failed.values():
        raise _told(found, error, f" What lies on {places.named(backend)} is not cleared yet; run again.")


def _settle(conn: sa.Connection, found: Loaded, cleared: str | None) -> None:
    """The claim on the backend that was cleared is given back; another run may have done it."""
    now = records.find(conn, tables.volumes, found.id)
    if now is None or now["status"] not in PENDING or now["generation"] != found.record["generation"]:
        return
    if cleared is not None:
        volumes.release(conn, cleared, int(now["size"]))
    spec = {key: value for key, value in (now["spec"] or {}).items() if key != "retype"}
    volumes.move(conn, found.id, PENDING, status="in-use" if found.attachments else "available", spec=spec)


def _loaded(request: Request, volume_id: str) -> Loaded | None:
    with request.conductor.read() as conn:
        found = orders.load(conn, [volume_id])
    return found[0] if found and found[0].record["status"] in PENDING else None


def _told(found: Loaded, error: CloudError, more: str = "") -> CloudError:
    said = f"Volume {found.record['name']!r} could not change its type: {error.msg}{more}"
    return type(error)(said, **error.details)
