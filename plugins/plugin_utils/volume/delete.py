# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletion: the data on every backend that the record names, its snapshots, its claims, and the record last.

Until every host has confirmed that nothing is left there, the volume is in ``deleting``; running again goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import create, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded, Record

FROM = frozenset({"creating", "available", "extending", "retyping", "reading", "error", "deleting"})
_NAMED = 5  # instances or snapshots that a message names


def allowed(conn: sa.Connection, found: Record, *, with_snapshots: bool) -> list[Record]:
    """The snapshots that go with the volume.

    :raises InUse: it is attached, or has snapshots that are not to go.
    """
    held = records.listing(conn, tables.volume_attachments, volume_id=found["id"])
    if held or found["status"] in ("in-use", "attaching", "detaching"):
        named = sorted({str(row["instance_id"]) for row in held})
        shown = volumes.describe(conn, found["project_id"], ids=[found["id"]])
        words = (
            [str(each.get("instance") or each["instance_id"]) for each in shown[0]["attachments"]] if shown else named
        )
        raise InUse(
            f"Volume {found['name']!r} is attached to {_listed(words) or 'an instance'}. Detach it or remove the "
            "instance first.",
            instances=words,
        )
    snapshots = records.listing(conn, tables.volume_snapshots, volume_id=found["id"])
    if snapshots and not with_snapshots and found["status"] != "deleting":
        words = [str(row["name"]) for row in snapshots]
        raise InUse(
            f"Volume {found['name']!r} has snapshots: {_listed(words)}. Remove them first, or say delete_snapshots.",
            snapshots=words,
        )
    return snapshots


def begin(conn: sa.Connection, found: Record) -> Record:
    """From here on there is no way back."""
    return volumes.move(conn, found["id"], FROM, status="deleting")


def finish(request: Request, volume_ids: Sequence[str], *, timeout: int) -> None:
    """Have volumes in ``deleting`` gone from their hosts and from the records; one call to each host.

    :raises CloudError: the first that a host could not confirm; it stays in ``deleting``.
    """
    with request.conductor.read() as conn:
        crowd = [each for each in orders.load(conn, volume_ids) if each.record["status"] == "deleting"]
        snapshots = records.listing(conn, tables.volume_snapshots, volume_id=[each.id for each in crowd])
        backends = orders.by_id(conn, [place for each in crowd for place in _places(each)])
    listed = [order for each in crowd for order in _orders(each, snapshots, backends)]
    for each in crowd:
        request.progress(f"volume {each.record['name']}: deleting its {each.record['size']} GiB")
    failed = orders.carry(request, listed, timeout=timeout).failed
    gone = [each for each in crowd if each.id not in failed]
    if gone:
        with request.conductor.transaction(label="volumes deleted") as conn:
            for each in gone:
                _forget(conn, each)
    if failed:
        _say(crowd, failed)


def _orders(doomed: Loaded, snapshots: Sequence[Record], backends: dict[str, Record]) -> list[orders.Order]:
    """First the exports, so that nobody can reach it any more, then what depends on it, then the data."""
    found = []
    own = [row for row in snapshots if row["volume_id"] == doomed.id]
    for key in _places(doomed):
        backend = backends[key]
        found.append(doomed.order("unexport", backend=backend))
        if key == doomed.record["backend_id"]:
            for row in own:
                gone = orders.operation("snapshot_absent", row, backend, volume=doomed.id)
                found.append(orders.Order(doomed.id, backend["host"], gone))
        found.append(doomed.order("delete", backend=backend))
    return found


def _places(doomed: Loaded) -> list[str]:
    """Every backend that may have some of it: its own, and both while it moves."""
    moving = (doomed.spec.get("retype") or {}).get("backends", ())
    return sorted({str(each) for each in (doomed.record["backend_id"], *moving) if each})


def _forget(conn: sa.Connection, gone: Loaded) -> None:
    now = records.find(conn, tables.volumes, gone.id)
    if now is None:
        return  # another run was first
    for row in records.listing(conn, tables.volume_snapshots, volume_id=gone.id):
        quota.give(conn, row["project_id"], volume_snapshots=1, gigabytes=int(row["size"]))
        records.delete(conn, tables.volume_snapshots, row["id"])
    create.forget(conn, gone)


def _say(crowd: Sequence[Loaded], failed: dict[str, CloudError]) -> None:
    names = sorted(str(each.record["name"]) for each in crowd if each.id in failed)
    error = next(iter(failed.values()))
    raise type(error)(
        f"{', '.join(names)} could not be deleted entirely and stays in deleting: {error.msg} Run the task again when "
        "the cause is mended.",
        **error.details,
    )


def _listed(words: Sequence[str]) -> str:
    rest = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + rest
