# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a volume's type says of the disk that a guest has of it, and how guests that run get to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Loaded, Record


def of(volume: Mapping[str, Any], kind: Mapping[str, Any] | None, device: str) -> Record:
    """Limits, cache, discard and io thread of a volume's disk."""
    qos = dict((kind or {}).get("qos") or {})
    made = {key: qos[key] for key in volume_xml.TUNING if qos.get(key)}
    if not device.startswith("vd"):
        made.pop("iothread", None)  # no other bus has them, and the image chooses the bus
    if volume["multiattach"] and made.get("cache") not in volume_xml.SHARED_CACHES:
        made.pop("cache", None)  # such a volume may have a type that is not
    return {**made, "iotune": {key: int(qos[key]) for key in (*volume_xml.RATES, volume_xml.BLOCK) if qos.get(key)}}


def operation(
    guest: Mapping[str, Any], volume: Mapping[str, Any], kind: Mapping[str, Any] | None, device: str
) -> Record:
    """What the host of a guest is told, which has the volume already."""
    about = {"id": volume["id"], "multiattach": bool(volume["multiattach"]), **of(volume, kind, device)}
    return {"op": "tune_volume", "id": guest["id"], "generation": guest["generation"], "volume": about}


def running(conn: sa.Connection, volume_id: str) -> list[tuple[Record, Record]]:
    """The attachments of a volume to guests that run, each with its guest. The others are told at their start."""
    held = records.listing(conn, tables.volume_attachments, volume_id=volume_id, status="attached")
    guests = {row["id"]: row for row in records.listing(conn, cell.instances, id=[row["instance_id"] for row in held])}
    found = [(row, guests[row["instance_id"]]) for row in held if row["instance_id"] in guests]
    return [(row, guest) for row, guest in found if guest["status"] == "ACTIVE"]


def carry(request: Request, found: Loaded, *, timeout: int) -> None:
    """Have the guests that run on the volume as its type says.

    :raises CloudError: a host refused or did not answer; running again goes on.
    """
    with request.conductor.read() as conn:
        kinds = records.listing(conn, tables.volume_types, id=[found.record["volume_type_id"]])
        told = running(conn, found.id)
    for held, guest in told:
        order = operation(guest, found.record, kinds[0] if kinds else None, held["device"])
        request.rpc.call(Call(held["host"], "compute_backend", [order], timeout=timeout))
