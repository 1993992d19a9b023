# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances: their records, their moves from state to state, and the log of what was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import clock, records, translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.describe import describe
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

__all__ = [
    "MOVES",
    "actions",
    "begin_action",
    "begin_actions",
    "create",
    "create_many",
    "describe",
    "finish_action",
    "get",
    "get_by_name",
    "move",
    "remove",
]

_SETTLED = frozenset({"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED"})

# The one table of states: from where to where. Staying in a state is always allowed. Out of DELETING there is no way
# back, whatever a slower run still believes: only the row's removal.
MOVES: dict[str, frozenset[str]] = {
    "BUILD": _SETTLED | {"ERROR", "DELETING"},
    "ACTIVE": _SETTLED | {"REBOOT", "MIGRATING", "REBUILD", "ERROR", "DELETING"},
    "SHUTOFF": frozenset({"ACTIVE", "MIGRATING", "REBUILD", "ERROR", "DELETING"}),
    "PAUSED": frozenset({"ACTIVE", "SHUTOFF", "MIGRATING", "ERROR", "DELETING"}),
    "SUSPENDED": frozenset({"ACTIVE", "SHUTOFF", "ERROR", "DELETING"}),
    "REBOOT": frozenset({"ACTIVE", "SHUTOFF", "ERROR", "DELETING"}),
    "MIGRATING": _SETTLED | {"ERROR", "DELETING"},
    "REBUILD": _SETTLED | {"ERROR", "DELETING"},
    "ERROR": _SETTLED | {"BUILD", "REBUILD", "DELETING"},
    "DELETING": frozenset(),
}


def create(conn: sa.Connection, values: Mapping[str, Any], *, cell_id: str | None = None) -> Record:
    """Write a new instance, in status BUILD unless said, and the map that finds its cell.

    :param values: columns of ``instances``; ``project_id`` and ``name`` at least.
    :param cell_id: the cell it will live in; None: the default one.
    :raises AlreadyExists: the project has an instance of that name.
    """
    return create_many(conn, [values], cell_id=cell_id)[0]


def create_many(
    conn: sa.Connection, values: Sequence[Mapping[str, Any]], *, cell_id: str | None = None
) -> list[Record]:
    """Write many new instances of one cell with two statements, all or nothing."""
    rows = [_complete(row) for row in values]
    if cell_id is None:
        cell_id = records.get(conn, cloud.cells, "default")["id"]
    with conn.begin_nested():
        records.insert_many(
            conn,
            cloud.instance_mappings,
            [
                {"instance_id": row["id"], "project_id": row["project_id"], "name": row["name"], "cell_id": cell_id}
                for row in rows
            ],
        )
        return records.insert_many(conn, cell.instances, rows)


def get(conn: sa.Connection, instance_id: str) -> Record:
    """The instance of that id with every column, user data included.

    :raises NotFound: there is none.
    """
    return records.get(conn, cell.instances, instance_id)


def get_by_name(conn: sa.Connection, project_id: str, name: str) -> Record:
    """The project's instance of that name or id.

    :raises NotFound: there is none; carries the nearest names.
    """
    return records.get(conn, cell.instances, name, project_id=project_id)


def move(conn: sa.Connection, instance_id: str, expect_status: Iterable[str], **values: Any) -> Record:
    """Change an instance if its status is one of those expected; its generation rises by one.

    :raises Conflict: the instance is gone, or in another status.
    :raises BadInput: the new status cannot follow one of those expected.
    """
    expected = frozenset(expect_status)
    status = values.get("status")
    illegal = sorted(old for old in expected if status not in (None, old) and status not in MOVES.get(old, ()))
    if illegal or (status is not None and status not in MOVES):
        raise BadInput(f"An instance cannot go from {', '.join(illegal) or 'any status'} to {status}.")
    with conn.begin_nested():
        record = records.update(conn, cell.instances, instance_id, {"status": expected}, **values)
        if "name" in values:
            mapping = sa.update(cloud.instance_mappings).where(cloud.instance_mappings.c.instance_id == instance_id)
            with translate.integrity_of(cloud.instance_mappings, values):
                conn.execute(mapping.values(name=values["name"], updated_at=clock.now()))
    return record


def remove(conn: sa.Connection, instance_id: str) -> None:
    """Remove an instance's rows: itself, its map and its places in server groups. Its log stays.

    Ports, claims and quota are given back by their own functions, in the same transaction.
    """
    conn.execute(sa.delete(cloud.server_group_members).where(cloud.server_group_members.c.instance_id == instance_id))
    conn.execute(sa.delete(cloud.instance_mappings).where(cloud.instance_mappings.c.instance_id == instance_id))
    conn.execute(sa.delete(cell.instances).where(cell.instances.c.id == instance_id))


def begin_action(
    conn: sa.Connection, instance_id: str, action: str, actor: str, *, request_id: str | None = None
) -> str:
    """Write into the log that something begins, and who asked. Returns the entry's id."""
    return begin_actions(conn, [instance_id], action, actor, request_id=request_id)[0]


def begin_actions(
    conn: sa.Connection, instance_ids: Sequence[str], action: str, actor: str, *, request_id: str | None = None
) -> list[str]:
    """Like :func:`begin_action` for many instances, in one statement."""
    shared = {"action": action, "actor": actor, "request_id": request_id, "started_at": clock.now()}
    rows = [{"id": clock.new_id(), "instance_id": instance_id, **shared} for instance_id in instance_ids]
    if rows:
        conn.execute(sa.insert(cell.instance_actions), rows)
    return [row["id"] or "" for row in rows]


def finish_action(conn: sa.Connection, action_id: str, result: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write how it ended. The first result stays: an entry that is finished is never rewritten."""
    log = cell.instance_actions
    open_entry = sa.update(log).where(log.c.id == action_id, log.c.finished_at.is_(None))
    conn.execute(open_entry.values(finished_at=clock.now(), result=result, detail=dict(detail) if detail else None))


def actions(conn: sa.Connection, instance_id: str) -> list[Record]:
    """The log of one instance, oldest first."""
    log = cell.instance_actions
    query = sa.select(log).where(log.c.instance_id == instance_id).order_by(log.c.started_at, log.c.id)
    return [dict(row) for row in conn.execute(query).mappings()]


def _complete(values: Mapping[str, Any]) -> Record:
    row = {"status": "BUILD", "metadata": {}, "tags": [], **values, "id": values.get("id") or clock.new_id()}
    if row["status"] not in MOVES:
        raise BadInput(f"There is no status {row['status']!r} of an instance.")
    # One shape for all rows: they go into one statement.
    return {column.name: row.get(column.name, _DEFAULTS.get(column.name)) for column in cell.instances.columns}


_DEFAULTS: dict[str, Any] = {"config_drive": True}
