# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cells: groups of compute hosts, with the zone and the kind of guests that are theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import cells
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

_SHOWN = ("id", "name", "zone", "virt_type", "created_at", "updated_at")


def apply(request: Request) -> Outcome:
    """Have the cell as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """All cells."""
    return engine.info(KIND, request)


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    mapped = cloud.host_mappings
    query = sa.select(mapped.c.cell_id, mapped.c.name).where(mapped.c.cell_id.is_not(None)).order_by(mapped.c.name)
    if len(rows) == 1:
        query = query.where(mapped.c.cell_id == rows[0]["id"])
    for cell_id, name in conn.execute(query):
        hosts[cell_id].append(name)
    return [{**{key: row[key] for key in _SHOWN}, "hosts": hosts[row["id"]]} for row in rows]


def _unused(conn: sa.Connection, record: Record) -> None:
    if record["name"] == cells.DEFAULT:
        raise InUse("The default cell always exists: hosts that name no cell belong to it.")
    hosts = _shown(conn, [record])[0]["hosts"]
    if hosts:
        raise InUse(
            f"Cell {record['name']!r} has hosts: {', '.join(hosts[:5])}. Remove them (module host, state: absent) or "
            "give them another cell first.",
            hosts=hosts,
        )


KIND = Kind(
    name="cell",
    table=cloud.cells,
    fields=(Field("zone", values.label), Field("virt_type", values.label)),
    shown=_shown,
    scoped=False,
    owned=False,
    blank={"hosts": []},
    unused=_unused,
)
