# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records that an audit compares, read in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Book:
    """Rows of each table."""

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
    held: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    @property
    def compute_hosts(self) -> list[str]:
        """Hosts that exist: planned ones are on paper only."""
        return sorted(row["name"] for row in self.hosts if not row["planned"])

    @property
    def storage_hosts(self) -> list[str]:
        """Hosts with backends."""
        return sorted({row["host"] for row in self.backends})

    def initiator(self, host: str) -> str | None:
        """The name by which a host logs in, where it is on record."""
        return next(((row["facts"] or {}).get("initiator") for row in self.hosts if row["name"] == host), None)


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
    held: dict[str, list[Record]] = defaultdict(list)
    for row in found["attachments"]:
        held[row["volume_id"]].append(row)
    return Book(hosts=hosts, instances=instances, held=held, **found)


def _rows(conn: sa.Connection, table: sa.Table, columns: Sequence[str] = ()) -> list[Record]:
    wanted = [each for each in table.c if (each.name in columns if columns else each.name != _SECRET)]
    return [dict(row) for row in conn.execute(sa.select(*wanted)).mappings()]
