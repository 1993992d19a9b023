# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server groups: instances that are to be placed together, or apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

_SHOWN = ("id", "name", "project_id", "policy", "max_per_host", "created_at", "updated_at")
_NAMED = 5  # members that a message names


def apply(request: Request) -> Outcome:
    """Have the server group as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """The server groups of the project."""
    return engine.info(KIND, request)


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    members = _members(conn, rows)
    return [{**{key: row[key] for key in _SHOWN}, "members": members[row["id"]]} for row in rows]


def _members(conn: sa.Connection, rows: Sequence[Record]) -> defaultdict[str, list[Record]]:
    """The members of these groups, by group; one query, by project where there are several groups."""
    found: defaultdict[str, list[Record]] = defaultdict(list)
    if not rows:
        return found
    links, names, groups = cloud.server_group_members, cloud.instance_mappings, cloud.server_groups
    query = (
        sa.select(links.c.group_id, links.c.instance_id, links.c.host, names.c.name)
        .join_from(links, groups)
        .outerjoin(names, names.c.instance_id == links.c.instance_id)
        .order_by(names.c.name, links.c.instance_id)
    )
    if len(rows) == 1:
        query = query.where(links.c.group_id == rows[0]["id"])
    else:
        query = query.where(groups.c.project_id.in_(sorted({row["project_id"] for row in rows})))
    for row in conn.execute(query).mappings():
        member = {"id": row["instance_id"], "name": row["name"], "compute_host": row["host"]}
        found[row["group_id"]].append(member)
    return found


def _allow(conn: sa.Connection, found: Record | None, after: Mapping[str, Any], changes: Sequence[Change]) -> None:
    if after.get("max_per_host") is not None and after["policy"] != "anti-affinity":
        raise BadInput(f"max_per_host goes with the policy anti-affinity, not with {after['policy']}.")
    if found is not None and after["members"]:
        raise ChangeRefused(
            f"Server group {found['name']!r} has members ({_names(after['members'])}), which were placed by its "
            "policy; it cannot change under them. Make another group.",
            option=changes[0].what,
        )


def _unused(conn: sa.Connection, record: Record) -> None:
    members = _members(conn, [record])[record["id"]]
    if members:
        raise InUse(
            f"Server group {record['name']!r} has members: {_names(members)}. Remove these instances first.",
            instances=[member["name"] for member in members],
        )


def _names(members: Sequence[Record]) -> str:
    rest = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    return ", ".join(str(member["name"] or member["id"]) for member in members[:_NAMED]) + rest


KIND = Kind(
    name="server_group",
    table=cloud.server_groups,
    fields=(
        Field("policy", values.label, required=True),
        Field("max_per_host", values.number(1)),
    ),
    shown=_shown,
    counted="server_groups",
    blank={"members": []},
    allow=_allow,
    unused=_unused,
)
