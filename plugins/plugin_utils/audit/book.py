# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records that an audit compares, read in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables

Record = Mapping[str, Any]
Groups = Mapping[Any, Sequence[Record]]

# In which status nothing is under way.
RESTING = {
    "instance": frozenset({"ACTIVE", "SHUTOFF", "ERROR"}),
    "volume": frozenset({"available", "in-use", "error"}),
    "attachment": frozenset({"attached"}),
    "snapshot": frozenset({"available"}),
    "backup": frozenset({"available"}),
}


@dataclass(frozen=True)
class Book:
    """Rows of each table, and the same rows grouped: what is compared host by host is looked up, never searched."""

    hosts: Sequence[Record] = ()
    inventories: Sequence[Record] = ()
    allocations: Sequence[Record] = ()
    instances: Sequence[Record] = ()
    quotas: Sequence[Record] = ()
    backends: Sequence[Record] = ()
    volumes: Sequence[Record] = ()
    attachments: Sequence[Record] = ()
    snapshots: Sequence[Record] = ()
    backups: Sequence[Record] = ()

    @property
    def compute_hosts(self) -> list[str]:
        """Hosts that exist: planned ones are on paper only."""
        return sorted(row["name"] for row in self.hosts if not row["planned"])

    @property
    def storage_hosts(self) -> list[str]:
        """Hosts with backends."""
        return sorted({row["host"] for row in self.backends})

    @cached_property
    def named(self) -> Mapping[str, Record]:
        """Compute hosts by name."""
        return {row["name"]: row for row in self.hosts}

    @cached_property
    def placed(self) -> Groups:
        """Instances by the id of their host."""
        return _grouped(self.instances, "host_id")

    @cached_property
    def building(self) -> frozenset[str]:
        """Instances in the middle of something, which may be on any host."""
        return frozenset(row["id"] for row in self.instances if row["status"] not in RESTING["instance"])

    @cached_property
    def moving(self) -> frozenset[str]:
        """Volumes in the middle of something, which may be open to whoever works on them."""
        return frozenset(row["id"] for row in self.volumes if row["status"] not in ("available", "in-use"))

    @cached_property
    def held(self) -> Groups:
        """Attachments by volume."""
        return _grouped(self.attachments, "volume_id")

    @cached_property
    def owned(self) -> Groups:
        """Attachments by instance."""
        return _grouped(self.attachments, "instance_id")

    @cached_property
    def reached(self) -> Groups:
        """Attachments by the name of the compute host."""
        return _grouped(self.attachments, "host")

    @cached_property
    def volume(self) -> Mapping[str, Record]:
        """Volumes by id."""
        return {row["id"]: row for row in self.volumes}

    @cached_property
    def stored(self) -> Groups:
        """Volumes by the id of each backend that may hold them: one that moves is in two places."""
        found: dict[Any, list[Record]] = defaultdict(list)
        for row in self.volumes:
            for key in ((row["spec"] or {}).get("retype") or {}).get("backends") or [row["backend_id"]]:
                found[key].append(row)
        return found

    @cached_property
    def snapped(self) -> Groups:
        """Snapshots by volume."""
        return _grouped(self.snapshots, "volume_id")

    @cached_property
    def backed(self) -> Groups:
        """Backups by the storage host that keeps them."""
        found: dict[Any, list[Record]] = defaultdict(list)
        for row in self.backups:
            found[(row["location"] or {}).get("host")].append(row)
        return found

    def initiator(self, host: str) -> str | None:
        """The name by which a host logs in, where it is on record."""
        return ((self.named.get(host) or {}).get("facts") or {}).get("initiator")


def _grouped(rows: Sequence[Record], column: str) -> Groups:
    found: dict[Any, list[Record]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


_TABLES = {
    "inventories": cell.inventories,
    "allocations": cell.allocations,
    "quotas": cloud.quotas,
    "backends": tables.volume_backends,
    "volumes": tables.volumes,
    "attachments": tables.volume_attachments,
    "snapshots": tables.volume_snapshots,
    "backups": tables.volume_backups,
}
_HOST = ("id", "name", "planned", "facts")
_INSTANCE = ("id", "name", "project_id", "status", "host_id", "updated_at", "flavor")
_SECRET = "secret"  # of a volume; nothing here needs it


def read(conn: sa.Connection) -> Book:
    """All of it, one query for each table."""
    found = {name: _rows(conn, table) for name, table in _TABLES.items()}
    hosts = _rows(conn, cell.hosts, _HOST)
    instances = _rows(conn, cell.instances, _INSTANCE)
    return Book(hosts=hosts, instances=instances, **found)


def _rows(conn: sa.Connection, table: sa.Table, columns: Sequence[str] = ()) -> list[Record]:
    wanted = [each for each in table.c if (each.name in columns if columns else each.name != _SECRET)]
    return [dict(row) for row in conn.execute(sa.select(*wanted)).mappings()]
