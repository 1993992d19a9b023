# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New volumes: placed, claimed and recorded in one transaction, then made on their storage hosts.

A run that dies after the first transaction leaves volumes in ``creating`` with their claim; running again makes them,
because every operation is idempotent by UUID. A host that refuses gives its claim back and the next one is tried,
:data:`TRIES` in all. Where no answer came, the volume stays as it is, since it may be there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, NoValidHost, StaleGeneration
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import store
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders, placement, places
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded, Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import Wish

TRIES = 3  # backends that are tried for one volume
PENDING = frozenset({"creating", "error"})

Failures = dict[str, CloudError]  # by volume id


def begin(conn: sa.Connection, wishes: Sequence[Wish]) -> list[Record]:
    """Place, claim and record new volumes, in the caller's transaction under the lock ``placement``.

    :raises NoValidHost: no backend passes; carries the explanation.
    :raises QuotaExceeded: the project's limit is reached.
    """
    made = []
    for wish in wishes:
        quota.take(conn, wish.project_id, volumes=1, gigabytes=wish.size)
        chosen = placement.place(conn, places.asked(wish))
        volumes.claim(conn, chosen, wish.size)
        made.append(
            volumes.create(
                conn,
                {
                    "project_id": wish.project_id,
                    "name": wish.name,
                    "size": wish.size,
                    "volume_type_id": wish.type["id"] if wish.type else None,
                    "backend_id": chosen,
                    "multiattach": wish.multiattach,
                    "bootable": wish.bootable,
                    "image": wish.image,
                    "source": wish.source,
                    "metadata": dict(wish.metadata),
                    "spec": {"place": places.remembered(wish)},
                },
            )
        )
    return made


def finish(request: Request, ids: Sequence[str], *, timeout: int) -> None:
    """Make volumes that are recorded, each on its backend or on the next best; one call to each host.

    :raises CloudError: the first that could not be made. What failed is undone, the rest is there.
    """
    pending, lost = list(ids), Failures()
    for attempt in range(1, TRIES + 1):
        answers = _make(request, pending, timeout)
        lost.update(answers.unknown)
        pending = []
        for key, error in answers.refused.items():
            if isinstance(error, StaleGeneration) or attempt == TRIES or not _elsewhere(request, key, error, timeout):
                lost[key] = error
            else:
                pending.append(key)
        if not pending:
            break
    if lost:
        _give_up(request, lost, timeout)


def _make(request: Request, ids: Sequence[str], timeout: int) -> orders.Answers:
    with request.conductor.read() as conn:
        crowd = [each for each in orders.load(conn, ids) if each.record["status"] in PENDING]
    for each in crowd:
        request.progress(f"volume {each.record['name']}: {each.record['size']} GiB on {places.named(each.backend)}")
    listed = [order for each in crowd for order in _orders(request, each)]
    answers = orders.carry(request, listed, timeout=timeout)
    made = [each for each in crowd if each.id not in answers.failed]
    if made:
        with request.conductor.transaction(label="volumes made") as conn:
            for each in made:
                _available(conn, each)
    return answers


def _available(conn: sa.Connection, made: Loaded) -> None:
    """Another run may have come to the same end first, or have begun to delete it."""
    now = records.find(conn, tables.volumes, made.id)
    if now is not None and now["status"] in PENDING and now["generation"] == made.record["generation"]:
        volumes.move(conn, made.id, PENDING, status="available", fault=None, spec={})


def _orders(request: Request, made: Loaded) -> list[orders.Order]:
    new = made.order("create", size=made.record["size"], source=source(request, made.record, made.backend))
    origin = made.record["source"] or {}
    if origin.get("kind") != "backup":
        return [new]
    kept = origin["location"]["backend"]
    taken = {"backend": kept} if kept else {"file": origin["id"]}
    return [new, made.order("restore", backup=origin["id"], **{"from": taken})]


def source(request: Request, record: Mapping[str, object], backend: Record | None = None) -> Record | None:
    """What a new volume gets its content from, as the host of the backend is told."""
    image, origin = record["image"], record["source"]
    if isinstance(image, Mapping):
        near = {key: (backend or {}).get(key) for key in ("host", "zone")}
        url, *mirrors = store.sources(image, request.hostvars, request.groups, **near)
        about = {key: image[key] for key in ("checksum", "size", "virtual_size")}
        if mirrors:
            about["mirrors"] = mirrors
        return {"image": {**about, "format": image["disk_format"], "url": url}}
    if isinstance(origin, Mapping) and origin["kind"] != "backup":
        return {str(origin["kind"]): origin["id"]}
    return None


def clear(request: Request, ids: Sequence[str], *, timeout: int) -> Failures:
    """Have hosts rid of what a failed creation may have left; returns what could not be confirmed."""
    with request.conductor.read() as conn:
        crowd = orders.load(conn, ids)
    return orders.carry(request, [each.order("delete") for each in crowd], timeout=timeout).failed


def _elsewhere(request: Request, volume_id: str, why: CloudError, timeout: int) -> bool:
    """Clear the host that refused and claim another backend; whether there is one."""
    if clear(request, [volume_id], timeout=timeout):
        return False
    try:
        with request.conductor.transaction(lock="placement") as conn:
            (found,) = orders.load(conn, [volume_id])
            place = found.spec.get("place") or {}
            tried = [*place.get("tried", ()), found.record["backend_id"]]
            place = {**place, "tried": tried}
            kind_id = found.record["volume_type_id"]
            kind = records.get(conn, tables.volume_types, kind_id) if kind_id else None
            chosen = placement.place(conn, places.again(found.record, place, kind))
            volumes.release(conn, found.record["backend_id"], found.record["size"])
            volumes.claim(conn, chosen, found.record["size"])
            volumes.move(conn, volume_id, PENDING, status="creating", backend_id=chosen, spec={"place": place})
    except NoValidHost:
        return False
    request.progress(f"  {found.record['name']}: {places.named(found.backend)} failed ({why.msg}); trying the next")
    return True


def _give_up(request: Request, lost: Failures, timeout: int) -> None:
    """Undo what could not be made, and say why.

    :raises CloudError: always, the first failure.
    """
    unclear = clear(request, list(lost), timeout=timeout)
    with request.conductor.transaction(label="volumes given up") as conn:
        crowd = orders.load(conn, list(lost))
        for each in crowd:
            if each.record["status"] not in PENDING or isinstance(lost[each.id], StaleGeneration):
                continue  # another run has taken it over
            if each.id in unclear:
                fault = {"error": lost[each.id].error, "msg": lost[each.id].msg}
                volumes.move(conn, each.id, PENDING, status="error", fault=fault)
            else:
                forget(conn, each)
    first, error = next(iter(lost.items()))
    names = {each.id: each.record["name"] for each in crowd}
    others = f" ({len(lost) - 1} more failed.)" if len(lost) > 1 else ""
    kept = (
        " It stays as error with its claim, because the host could not be reached to clear it: run again."
        if first in unclear
        else ""
    )
    raise type(error)(
        f"Volume {names.get(first, first)!r} could not be made: {error.msg}{others}{kept}",
        **error.details,
    )


def forget(conn: sa.Connection, gone: Loaded) -> None:
    """Remove the record of a volume that no host has any more, with its claims and quota."""
    size = int(gone.record["size"])
    growing = int((gone.spec.get("extend") or {}).get("size") or size) - size
    held = {gone.record["backend_id"], *(gone.spec.get("retype") or {}).get("backends", ())} - {None}
    for backend_id in sorted(held):
        volumes.release(conn, backend_id, size + growing)
    quota.give(conn, gone.record["project_id"], volumes=1, gigabytes=size + growing)
    volumes.remove(conn, gone.id)
