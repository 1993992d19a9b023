# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of volumes, in files of their host or on another of its backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, created
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import checksum
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.copies import Copies, Plan
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Order, Record


class Backups(Copies):
    """The host copies what the volume holds to another place."""

    word = "backup"
    table = tables.volume_backups
    columns = ("id", "name", "project_id", "volume_id", "size", "status", "kind", "parent_id", "checksum")
    told = ("name", "volume", "size", "kind", "backend")
    residue = True

    def planned(self, conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> Plan:
        project_id = str(projects.resolve(conn, args["project"], principal)["id"])
        found = records.find(conn, self.table, args["name"], project_id=project_id)
        if found is None:
            return _new(conn, args, project_id)
        shown = self.shown(conn, [found])[0]
        # Of a volume that is gone the backup knows no name, so that it cannot be another one's.
        given = args.get("volume")
        if given is not None and found["volume_id"] is not None and given not in (shown["volume"], shown["volume_id"]):
            raise ChangeRefused(
                f"Backup {found['name']!r} is of the volume {shown['volume']!r}, and that cannot change.",
                option="volume",
            )
        if args.get("backend") is not None and args["backend"] != shown["backend"]:
            raise ChangeRefused(
                f"Backup {found['name']!r} is kept on {shown['backend'] or 'a file'}; that cannot change.",
                option="backend",
            )
        if found["status"] == "deleting":
            raise InUse(f"Backup {found['name']!r} is being deleted; finish that first, with state absent.")
        changes = [] if found["status"] == "available" else [Change("status", found["status"], "available")]
        unknown = {"checksum"} if changes else set()
        after = {key: value for key, value in {**shown, "status": "available"}.items() if key not in unknown}
        return Plan(project_id, found, {}, changes, after)

    def counts(self, record: Mapping[str, Any]) -> dict[str, int]:
        return {"volume_backups": 1}

    def order(self, conn: sa.Connection, record: Record, *, gone: bool = False) -> Order | None:
        where, operation = record["location"], "backup_absent" if gone else "backup"
        to = {"backend": where["backend"]} if where["backend"] else {"file": record["id"]}
        more = {} if gone else {"volume": record["volume_id"], "since": record["parent_id"]}
        told = orders.operation(operation, record, {"name": where["of"]}, to=to, **more)
        return Order(record["id"], where["host"], told)

    def about(self, row: Record) -> Record:
        where = row["location"] or {}
        return {
            "incremental": row["parent_id"] is not None,
            "host": where.get("host"),
            "backend": where.get("backend"),
        }

    def learned(self, result: Mapping[str, Any]) -> Record:
        return {"checksum": checksum(result.get("checksum"))}

    def spared(self, conn: sa.Connection, record: Record) -> None:
        named = [str(row["name"]) for row in records.listing(conn, tables.volume_backups, parent_id=record["id"])]
        if named:
            raise InUse(
                f"Backup {record['name']!r} is needed by increments: {', '.join(named[:5])}. Remove them first.",
                backups=named,
            )


def _new(conn: sa.Connection, args: Mapping[str, Any], project_id: str) -> Plan:
    if args.get("volume") is None:
        raise BadInput("The backup does not exist yet; to make it, give volume.", missing=["volume"])
    volume = records.get(conn, tables.volumes, args["volume"], project_id=project_id)
    if volume["status"] != "available" and not (volume["status"] == "in-use" and args["force"]):
        hint = " Say force to make the backup nevertheless." if volume["status"] == "in-use" else ""
        raise InUse(f"Volume {volume['name']!r} is {volume['status']}, not available.{hint}")
    home = orders.by_id(conn, [volume["backend_id"]])[volume["backend_id"]]
    wanted = args.get("backend")
    if wanted is not None:
        _other(conn, home, wanted)
    parent = _last(conn, volume["id"], home, wanted) if args["incremental"] else None
    values = {
        "name": args["name"],
        "volume_id": volume["id"],
        "size": volume["size"],
        "parent_id": parent["id"] if parent else None,
        "kind": "backend" if wanted else "file",
        "location": {"host": home["host"], "backend_id": home["id"], "of": home["name"], "backend": wanted},
    }
    about = {"name": args["name"], "volume": volume["name"], "size": volume["size"], "kind": values["kind"]}
    after = {**about, "volume_id": volume["id"], "host": home["host"], "backend": wanted, "status": "available"}
    return Plan(project_id, None, values, created({**about, "backend": wanted}), {**after, "project_id": project_id})


def _other(conn: sa.Connection, home: Record, wanted: str) -> None:
    there = [str(row["name"]) for row in records.listing(conn, tables.volume_backends, host=home["host"])]
    if wanted not in there:
        raise NotFound.of(f"backend of {home['host']}", wanted, there)
    if wanted == home["name"]:
        raise BadInput(f"backend is {wanted!r}, where the volume itself is; a backup would be lost together with it.")


def _last(conn: sa.Connection, volume_id: str, home: Record, wanted: str | None) -> Record | None:
    """The newest backup of the volume in the same place."""
    rows = [
        row
        for row in records.listing(conn, tables.volume_backups, volume_id=volume_id, status="available")
        if (row["location"] or {}).get("backend_id") == home["id"] and row["location"].get("backend") == wanted
    ]
    return max(rows, key=lambda row: str(row["created_at"]), default=None)


_BACKUPS = Backups()
apply, info = _BACKUPS.apply, _BACKUPS.info
