# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of any table with an ``id``, as plain dicts.

Each function that writes does all of it or nothing, and leaves the transaction usable when it raises. Who asks for a
record gives the project; what other projects share publicly is found as well, a project's own first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import clock, translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, Conflict, NotFound

Record = dict[str, Any]

# An expected or wanted value: equal to it, or, for a set, list or tuple, equal to one of them.
Match = object


def visible(table: sa.Table, project_id: str | None) -> sa.ColumnElement[bool]:
    """The rows that a project may use: its own and what is public or shared. None: every row."""
    if project_id is None or "project_id" not in table.c:
        return sa.true()
    own = table.c.project_id == project_id
    if table is cloud.flavors:
        return own | table.c.is_public
    if table is cloud.images:
        return own | table.c.visibility.in_(["public", "community"])
    if table is cloud.networks:
        return own | table.c.shared
    return own


def get(conn: sa.Connection, table: sa.Table, name_or_id: str, *, project_id: str | None = None) -> Record:
    """The record of that id or name.

    :raises NotFound: there is none; carries the nearest names that the project can see.
    :raises BadInput: the name fits records of several projects.
    """
    found = find(conn, table, name_or_id, project_id=project_id)
    if found is not None:
        return found
    known: list[str] = []
    if "name" in table.c:
        names = sa.select(table.c.name).where(visible(table, project_id), table.c.name.is_not(None))
        known = sorted(set(conn.execute(names.limit(10_000)).scalars()))
    raise NotFound.of(translate.kind_of(table), name_or_id, known)


def find(conn: sa.Connection, table: sa.Table, name_or_id: str, *, project_id: str | None = None) -> Record | None:
    """Like :func:`get`, with None for a record that is not there."""
    _storable({"name": name_or_id})
    mine = visible(table, project_id)
    asked = table.c.id == name_or_id
    if "name" in table.c:
        # Written out so that each side finds its own index: the id's, and that of project and name.
        asked = sa.and_(asked, mine) | sa.and_(table.c.name == name_or_id, mine)
    rows = [dict(row) for row in conn.execute(sa.select(table).where(asked)).mappings()]
    # An id is never ambiguous; a project's own name hides the same name shared by others.
    ranked = [row for row in rows if row["id"] == name_or_id] or [
        row for row in rows if project_id is not None and row.get("project_id") == project_id
    ]
    if ranked or len(rows) < 2:
        return next(iter(ranked or rows), None)
    kind = translate.kind_of(table)
    raise BadInput(
        f"{kind} {name_or_id!r} is a name in several projects; give the id.", ids=[row["id"] for row in rows]
    )


def listing(conn: sa.Connection, table: sa.Table, *, project_id: str | None = None, **equals: Match) -> list[Record]:
    """The records that the project can see and whose columns are as said, by name."""
    query = sa.select(table).where(visible(table, project_id), *(_fits(table, equals)))
    order = [table.c[column] for column in ("name", "created_at", "id") if column in table.c]
    return [dict(row) for row in conn.execute(query.order_by(*order)).mappings()]


def insert(conn: sa.Connection, table: sa.Table, **values: Any) -> Record:
    """Add a record; ``id``, times and generation are filled in.

    :raises AlreadyExists: the name is taken in the project.
    :raises BadInput: a value breaks a rule of the table or cannot be stored.
    """
    row = stamped(table, values)
    with translate.integrity_of(table, row), conn.begin_nested():
        conn.execute(sa.insert(table), row)
    return _again(conn, table, row["id"])


def insert_many(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Add records in one statement. Returns what was written; unlike :func:`insert` without the database's defaults."""
    stamped_rows = [stamped(table, row) for row in rows]
    if stamped_rows:
        first = stamped_rows[0] if len(stamped_rows) == 1 else {}
        with translate.integrity_of(table, first), conn.begin_nested():
            conn.execute(sa.insert(table), stamped_rows)
    return stamped_rows


def update(
    conn: sa.Connection, table: sa.Table, record_id: str, expect: Mapping[str, Match] | None = None, **values: Any
) -> Record:
    """Change a record, if it is still as expected; its generation rises by one.

    :param expect: columns and the value, or the values, that they must have now.
    :raises Conflict: the record is gone or not as expected.
    :raises AlreadyExists: the new name is taken.
    """
    _storable(values)
    changed: dict[str, Any] = dict(values)
    if "generation" in table.c:
        changed["generation"] = table.c.generation + 1
        changed["updated_at"] = clock.now()
    where = [table.c.id == record_id, *_fits(table, expect or {})]
    with translate.integrity_of(table, values), conn.begin_nested():
        done = conn.execute(sa.update(table).where(*where).values(changed)).rowcount
    if done != 1:
        raise _moved(conn, table, record_id, expect or {})
    return _again(conn, table, record_id)


def delete(conn: sa.Connection, table: sa.Table, record_id: str) -> None:
    """Remove a record and what is a part of it; one that is gone already is no error.

    :raises InUse: others depend on it.
    """
    with translate.integrity_of(table, {}), conn.begin_nested():
        if table is cloud.secgroups:
            # A rule may name its own group as remote. The cascade alone would do, if PostgreSQL did not check that
            # reference before or after it as the order of their creation has it.
            conn.execute(sa.delete(cloud.secgroup_rules).where(cloud.secgroup_rules.c.secgroup_id == record_id))
        conn.execute(sa.delete(table).where(table.c.id == record_id))


def stamped(table: sa.Table, values: Mapping[str, Any]) -> Record:
    """The values with id, times and first generation, as far as the table has them.

    :raises BadInput: a text cannot be stored.
    """
    _storable(values)
    row = dict(values)
    if "id" in table.c:
        row.setdefault("id", clock.new_id())
    if "generation" in table.c:
        row["created_at"] = row["updated_at"] = clock.now()
        row["generation"] = 1
    return row


def _again(conn: sa.Connection, table: sa.Table, record_id: str) -> Record:
    return dict(conn.execute(sa.select(table).where(table.c.id == record_id)).mappings().one())


def _fits(table: sa.Table, wanted: Mapping[str, Match]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    for column, value in wanted.items():
        if isinstance(value, (set, frozenset, list, tuple)):
            conditions.append(table.c[column].in_(sorted(value, key=str)))
        else:
            conditions.append(table.c[column].is_(None) if value is None else table.c[column] == value)
    return conditions


def _moved(conn: sa.Connection, table: sa.Table, record_id: str, expect: Mapping[str, Match]) -> Conflict:
    kind = translate.kind_of(table)
    row = conn.execute(sa.select(table).where(table.c.id == record_id)).mappings().one_or_none()
    if row is None:
        return Conflict(f"The {kind} {record_id} is gone.", kind=kind, id=record_id)
    found = {column: row[column] for column in expect}
    wanted = ", ".join(f"{column} {_words(value)}" for column, value in expect.items())
    return Conflict(
        f"The {kind} {record_id} is not as expected: wanted {wanted}; found {found}.",
        kind=kind,
        id=record_id,
        found=found,
    )


def _words(value: Match) -> str:
    if isinstance(value, (set, frozenset, list, tuple)):
        return "one of " + ", ".join(sorted(str(item) for item in value))
    return repr(value)


def _storable(values: Mapping[str, Any]) -> None:
    # PostgreSQL refuses a NUL in text and SQLite cuts comparisons at it: refused in both, with one message.
    for column, value in values.items():
        if isinstance(value, str) and ("\x00" in value or (not value.isprintable() and _unpaired(value))):
            raise BadInput(f"The {column} holds a character that no database can store (NUL or half a surrogate pair).")


def _unpaired(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)
