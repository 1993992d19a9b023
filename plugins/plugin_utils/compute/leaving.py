# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The volumes of an instance that goes: shut, given back, and deleted where they go with it.

Which ones those are is written down when the deletion begins, so that a run after a killed one still knows when the
attachments are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import attachments, exports, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.exports import Failures
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import volumes as rooms
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, CloudError, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import delete

Record = dict[str, Any]


def refuse(conn: Any, crowd: Sequence[orders.Guest]) -> None:
    """Whether the volumes that go with these instances may go.

    :raises InUse: one has snapshots, which nobody asked to delete.
    """
    for error in _kept_by_snapshots(conn, [guest for guest in crowd if guest.record["status"] != "DELETING"]).values():
        raise error


def begin(conn: Any, guest: orders.Guest) -> Record:
    """From here on its volumes leave. Returns the columns of the instance that remember which go with it."""
    for each in guest.volumes:
        rooms.detaching(conn, each.id)
    doomed = _doomed(guest)
    return {"spec": {**(guest.record["spec"] or {}), "doomed": doomed}} if doomed else {}


def finish(request: Request, crowd: Sequence[orders.Guest], timeout: int) -> Failures:
    """Shut the volumes of guests that no host has any more, and delete those that go with them.

    Returns, by instance id, why something could not be confirmed.
    """
    failed = exports.close(request, [(guest, each) for guest in crowd for each in guest.volumes], timeout)
    with_volumes = [guest for guest in crowd if guest.id not in failed and _doomed(guest)]
    if not with_volumes:
        return failed
    going: dict[str, list[str]] = {}
    with request.conductor.transaction(label="volumes to delete") as conn:
        failed.update(_kept_by_snapshots(conn, with_volumes))
        for guest in with_volumes:
            if guest.id in failed:
                continue
            rows = _free(conn, guest)
            stuck = [row for row in rows if row["status"] == "error" and guest.record["status"] == "BUILD"]
            if stuck:  # its host could not be reached to clear it; the next run makes it
                failed[guest.id] = BackendFailed(f"Volume {stuck[0]['name']!r} could not be cleared from its host.")
                continue
            for row in rows:
                if row["status"] != "deleting":
                    delete.begin(conn, row)
            going[guest.id] = [row["id"] for row in rows]
    failed.update(_deleted(request, going, timeout))
    return failed


def forget(conn: Any, guest: orders.Guest) -> None:
    """Give its volumes back, in the transaction that removes its record."""
    for each in guest.volumes:
        rooms.detach(conn, each.id)


def _free(conn: Any, guest: orders.Guest) -> list[Record]:
    """Those of its doomed volumes that are still there and that nobody else has; from here on it has them no more."""
    doomed = _doomed(guest)
    for each in guest.volumes:
        if each.volume.id in doomed:
            rooms.detach(conn, each.id)
    held = {row["volume_id"] for row in records.listing(conn, tables.volume_attachments, volume_id=doomed)}
    return [row for row in records.listing(conn, tables.volumes, id=doomed) if row["id"] not in held]


def _deleted(request: Request, going: dict[str, list[str]], timeout: int) -> Failures:
    ids = sorted({key for keys in going.values() for key in keys})
    if not ids:
        return {}
    try:
        delete.finish(request, ids, timeout=timeout)
    except CloudError as exc:
        with request.conductor.read() as conn:
            left = {row["id"] for row in records.listing(conn, tables.volumes, id=ids)}
        return {owner: exc for owner, keys in going.items() if left & set(keys)}
    return {}


def _doomed(guest: orders.Guest) -> list[str]:
    """The ids of the volumes that go with an instance; one that could not be booted only gives up what it made."""
    spec, boot = guest.record["spec"] or {}, attachments.boot_of(guest.record)
    found = set(spec.get("doomed", ()))
    if guest.record["status"] != "BUILD":
        found |= {each.volume.id for each in guest.volumes if each.record["delete_on_termination"]}
    held = any(each.boots for each in guest.volumes)
    if boot and boot["made"] and (guest.record["status"] == "BUILD" or not held):
        found.add(boot["volume"])
    return sorted(found)


def _kept_by_snapshots(conn: Any, crowd: Sequence[orders.Guest]) -> Failures:
    doomed = {guest.id: _doomed(guest) for guest in crowd}
    ids = sorted({key for keys in doomed.values() for key in keys})
    snapshots = records.listing(conn, tables.volume_snapshots, volume_id=ids) if ids else []
    found: Failures = {}
    for guest in crowd:
        names = [str(row["name"]) for row in snapshots if row["volume_id"] in doomed[guest.id]]
        if names:
            found[guest.id] = InUse(
                f"A volume that goes with instance {guest.name!r} has snapshots: {', '.join(names[:5])}. Remove them "
                "first, or boot_volume.delete_on_termination: false keeps the volume.",
                snapshots=names,
            )
    return found
