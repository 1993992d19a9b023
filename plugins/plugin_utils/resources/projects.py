# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Projects: who owns resources, and within which limits."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud, network
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

_SHOWN = ("id", "name", "description", "enabled", "created_at", "updated_at")


def apply(request: Request) -> Outcome:
    """Have the project as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """All projects."""
    return engine.info(KIND, request)


def limits(option: str, value: Mapping[str, Any]) -> dict[str, int]:
    """Limits by resource; -1 is none.

    :raises BadInput: there is no such quota, or a limit is not a number.
    """
    for name in value:
        if name not in quota.DEFAULTS:
            near = difflib.get_close_matches(str(name), list(quota.DEFAULTS), n=3, cutoff=0.5)
            hint = f" Nearest: {', '.join(near)}." if near else ""
            raise BadInput(f"There is no quota {name!r}.{hint} There are: {', '.join(sorted(quota.DEFAULTS))}.")
    check = values.number(quota.UNLIMITED)
    return {name: check(f"{option}.{name}", limit) for name, limit in value.items()}


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    table = cloud.quotas
    query = sa.select(table.c.project_id, table.c.resource, table.c.limit, table.c.used)
    if len(rows) == 1:
        query = query.where(table.c.project_id == rows[0]["id"])
    limit: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict(quota.DEFAULTS))
    used: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(quota.DEFAULTS, 0))
    for row in conn.execute(query).mappings():
        limit[row["project_id"]][row["resource"]] = row["limit"]
        used[row["project_id"]][row["resource"]] = row["used"]
    return [{**{key: row[key] for key in _SHOWN}, "quota": limit[row["id"]], "usage": used[row["id"]]} for row in rows]


def _allow(conn: sa.Connection, found: Record | None, after: Mapping[str, Any], changes: Sequence[Change]) -> None:
    for name, limit in after["quota"].items():
        used = after["usage"][name]
        if limit != quota.UNLIMITED and used > limit:
            raise InUse(
                f"Project {after['name']!r} uses {used} {name} already, above a quota of {limit}. Remove some first.",
                resource=name,
                used=used,
                limit=limit,
            )


def _unused(conn: sa.Connection, record: Record) -> None:
    if record["name"] == projects.DEFAULT:
        raise InUse("The default project always exists: resources that name no project belong to it.")
    left = {name: row["used"] for name, row in quota.usage(conn, record["id"]).items() if row["used"]}
    owned = sa.select(cloud.flavors.c.name).where(cloud.flavors.c.project_id == record["id"]).limit(5)
    flavors = sorted(str(name) for name in conn.execute(owned).scalars())
    if flavors:
        raise InUse(f"Project {record['name']!r} still has flavors: {', '.join(flavors)}. Remove these first.")
    if left:
        named = ", ".join(f"{used} {name}" for name, used in sorted(left.items()))
        raise InUse(f"Project {record['name']!r} still has {named}. Remove these first.", used=left)
    owned = sa.select(network.secgroups.c.name).where(network.secgroups.c.project_id == record["id"]).limit(5)
    groups = sorted(str(name) for name in conn.execute(owned).scalars())
    if groups:  # the default one, which counts nowhere: the first instance made it
        raise InUse(f"Project {record['name']!r} still has security groups: {', '.join(groups)}. Remove these first.")


def _insert(conn: sa.Connection, kind: Kind, row: Mapping[str, Any]) -> Record:
    project = projects.create(conn, row["name"], description=row["description"], enabled=row["enabled"])
    quota.set_limits(conn, project["id"], row["quota"] or {})
    return project


def _update(conn: sa.Connection, kind: Kind, record: Record, row: Mapping[str, Any]) -> Record:
    quota.set_limits(conn, record["id"], row.get("quota") or {})
    columns = {key: value for key, value in row.items() if key != "quota"}
    return records.update(conn, kind.table, record["id"], {"generation": record["generation"]}, **columns)


KIND = Kind(
    name="project",
    table=cloud.projects,
    fields=(
        Field("description", values.description),
        Field("enabled", values.flag, default=True),
        Field("quota", limits, by_key=True),
    ),
    shown=_shown,
    scoped=False,
    owned=False,
    blank={"quota": dict(quota.DEFAULTS), "usage": dict.fromkeys(quota.DEFAULTS, 0)},
    allow=_allow,
    unused=_unused,
    insert=_insert,
    update=_update,
)
