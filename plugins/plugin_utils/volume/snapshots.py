# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.copies import Copies, Plan
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Order, Record


class Snapshots(Copies):
    """The host keeps what the volume holds beside it."""

    word = "snapshot"
    table = tables.volume_snapshots
    columns = ("id", "name", "project_id", "volume_id", "size", "status")
    told = ("name", "volume", "size")
    residue = False

    def planned(self, conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> Plan:
        project_id = str(projects.resolve(conn, args["project"], principal)["id"])
        metadata = values.texts("metadata", args["metadata"]) if args.get("metadata") is not None else {}
        found = records.find(conn, self.table, args["name"], project_id=project_id)
        if found is None:
            return _new(conn, args, project_id, metadata)
        shown = self.shown(conn, [found])[0]
        if args.get("volume") is not None and args["volume"] not in (shown["volume_id"], shown["volume"]):
            raise ChangeRefused(
                f"Snapshot {found['name']!r} is of the volume {shown['volume']!r}, and that cannot change. "
                "Take one of another name.",
                option="volume",
            )
        if found["status"] == "deleting":
            raise InUse(f"Snapshot {found['name']!r} is being deleted; finish that first, with state absent.")
        whole = {**shown["metadata"], **metadata}
        limits.check("entries", "metadata with what is there", whole)
        changes = [] if found["status"] == "available" else [Change("status", found["status"], "available")]
        changes += [
            Change(f"metadata.{each.what}", each.before, each.after) for each in compare(metadata, shown["metadata"])
        ]
        after = {**shown, "status": "available", "metadata": whole}
        told = after["metadata"] != (found["metadata"] or {})
        return Plan(project_id, found, {"metadata": after["metadata"]} if told else {}, changes, after)

    def counts(self, record: Mapping[str, Any]) -> dict[str, int]:
        return {"volume_snapshots": 1, "gigabytes": int(record["size"])}

    def order(self, conn: sa.Connection, record: Record, *, gone: bool = False) -> Order | None:
        (volume,) = orders.load(conn, [record["volume_id"]])
        if volume.backend is None:
            if gone:
                return None
            raise InUse(f"Volume {volume.record['name']!r} has no place yet.")
        operation = "snapshot_absent" if gone else "snapshot"
        told = orders.operation(operation, record, volume.backend, volume=volume.id)
        return Order(record["id"], volume.backend["host"], told)

    def about(self, row: Record) -> Record:
        return {"metadata": row["metadata"] or {}}


def _new(conn: sa.Connection, args: Mapping[str, Any], project_id: str, metadata: Record) -> Plan:
    if args.get("volume") is None:
        raise BadInput("The snapshot does not exist yet; to make it, give volume.", missing=["volume"])
    volume = records.get(conn, tables.volumes, args["volume"], project_id=project_id)
    if volume["status"] == "in-use" and not args["force"]:
        raise InUse(
            f"Volume {volume['name']!r} is attached, and what its guest has not written yet would not be in the "
            "snapshot. Say force to take it nevertheless."
        )
    if volume["status"] not in ("available", "in-use"):
        raise InUse(f"Volume {volume['name']!r} is {volume['status']}; a snapshot can be taken when that is done.")
    about = {"name": args["name"], "volume": volume["name"], "size": volume["size"], "metadata": metadata or None}
    after = {**about, "project_id": project_id, "volume_id": volume["id"], "status": "available", "metadata": metadata}
    kept = {"name": args["name"], "volume_id": volume["id"], "size": volume["size"], "metadata": metadata}
    return Plan(project_id, None, kept, created(about), after)


_SNAPSHOTS = Snapshots()
apply, info = _SNAPSHOTS.apply, _SNAPSHOTS.info
