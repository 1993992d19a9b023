# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume that becomes an image: held still, opened to the store that reads it, and shut again.

While it is read it is in the status ``reading``, in which nobody can attach, extend or move it. A run that dies leaves
it so, with what it is read for; the next run of the same task goes on, and removing the image or the volume ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import initiators
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import store
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders, sources

READING = "reading"

Record = dict[str, Any]


def look(conn: sa.Connection, name: str, project_id: str, image: Mapping[str, Any] | None) -> Record:
    """The volume that is to become an image.

    :param image: the image's record, if a run before has begun it.
    :raises NotFound: there is no such volume.
    :raises InUse: it is attached, or something else is being done with it.
    """
    found = records.get(conn, tables.volumes, name, project_id=project_id)
    mine = found["status"] == READING and image is not None and _reader(found) == image["id"]
    if found["status"] != "available" and not mine:
        hint = {
            "in-use": "Detach it, or make the image of a volume that is made from a snapshot of it.",
            READING: "Another image is being made of it; wait, or remove that image.",
        }.get(found["status"], "Run again when that is done.")
        raise InUse(f"Volume {found['name']!r} is {found['status']}. {hint}", status=found["status"])
    return found


def defaults(volume: Mapping[str, Any]) -> Record:
    """What its image has, unless the task says something else."""
    return {"properties": (volume["image"] or {}).get("properties") or {}, "min_disk": volume["size"]}


def opened(request: Request, volume_id: str, image: Mapping[str, Any]) -> Record:
    """Hold the volume still and let the store of the image in; what the store is told, until :func:`release`."""
    keeper = str(image["store_host"])
    initiator = initiators.name(request, keeper, store.BACKEND)
    _hold(request, volume_id, image)
    with request.conductor.read() as conn:
        (found,) = orders.load(conn, [volume_id])
    order = found.order("export", initiator=initiator, **found.login)
    (answer,) = request.rpc.call(Call(order.host, orders.BACKEND, [order.operation]))
    export = sources.confirmed(request, order.host, found.backend or {}, order.operation, answer)
    return {"id": found.id, "generation": found.record["generation"], "export": export, **found.login}


def release(request: Request, image_id: str) -> None:
    """Have volumes that are read for this image shut, and free again.

    :raises CloudError: a storage host failed; it stays as it is.
    """
    with request.conductor.read() as conn:
        held = [row["id"] for row in records.listing(conn, tables.volumes, status=READING) if _reader(row) == image_id]
        crowd = orders.load(conn, held)
    for each in crowd:
        order = each.order("unexport")
        request.rpc.call(Call(order.host, orders.BACKEND, [order.operation]))
        with request.conductor.transaction(label="volume read") as conn:
            now = records.find(conn, tables.volumes, each.id)
            if now is not None and now["status"] == READING and _reader(now) == image_id:
                volumes.move(conn, each.id, {READING}, status="available", spec={})


def _hold(request: Request, volume_id: str, image: Mapping[str, Any]) -> None:
    with request.conductor.transaction(label="volume read") as conn:
        now = records.get(conn, tables.volumes, volume_id)
        if now["status"] == READING and _reader(now) == image["id"]:
            return
        look(conn, volume_id, now["project_id"], image)
        volumes.move(conn, volume_id, {"available"}, status=READING, spec={"upload": {"image": image["id"]}})


def _reader(volume: Mapping[str, Any]) -> str | None:
    found = ((volume["spec"] or {}).get("upload") or {}).get("image")
    return None if found is None else str(found)
