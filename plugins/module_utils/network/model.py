# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the northbound rows that one call needs, on which the wanted state is worked out. Pure.

Operations change the copy and the copy remembers what differs from what was read. So several operations of one call
see each other's rows, check mode is the same work without the last step, and a second run finds nothing to write.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]
Writes = dict[tuple[str, str], dict[str, Any]]


class Model:
    """Rows by table and UUID, and the writes that would make the database like them.

    Sets are lists of values (references are UUID texts), maps are dictionaries. A row that is new has a UUID of our
    own, which stands for it until the database gives it one.
    """

    def __init__(self, tables: Tables) -> None:
        self._rows = copy.deepcopy(tables)
        self._by_name: dict[str, dict[str, Row]] = {
            table: {row["name"]: row for row in rows.values() if row.get("name")}
            for table, rows in self._rows.items()
            if table != "ACL"
        }
        self.inserts: dict[tuple[str, str], Row] = {}
        self.updates: Writes = {}
        self.mutations: list[tuple[str, str, str, str, Any]] = []
        self.deletes: list[tuple[str, str]] = []
        self.touched = False

    @property
    def empty(self) -> bool:
        """Nothing to write."""
        return not (self.inserts or self.updates or self.mutations or self.deletes)

    def named(self, table: str, name: str) -> Row | None:
        """The row with this name."""
        return self._by_name.get(table, {}).get(name)

    def tied(self, table: str, key: str, value: str) -> list[Row]:
        """The rows whose external_ids carry this key and value."""
        return [row for row in self._rows.get(table, {}).values() if row["external_ids"].get(key) == value]

    def holding(self, table: str, column: str, reference: str) -> list[Row]:
        """The rows that refer to another one."""
        return [row for row in self._rows.get(table, {}).values() if reference in row[column]]

    def insert(self, table: str, columns: Mapping[str, Any]) -> Row:
        """A new row; columns that are left out are empty."""
        row = {"_uuid": str(uuid.uuid4()), "_table": table, **copy.deepcopy(dict(columns))}
        self._rows.setdefault(table, {})[row["_uuid"]] = row
        if row.get("name"):
            self._by_name.setdefault(table, {})[row["name"]] = row
        self.inserts[(table, row["_uuid"])] = row
        self.touched = True
        return row

    def update(self, row: Row, columns: Mapping[str, Any], *, quiet: bool = False) -> None:
        """Set columns where they differ; ``quiet`` differences are written and not reported as a change."""
        place = (row["_table"], row["_uuid"])
        for column, value in columns.items():
            if _same(row.get(column), value):
                continue
            row[column] = copy.deepcopy(value)
            if place not in self.inserts:
                self.updates.setdefault(place, {})[column] = row[column]
            self.touched = self.touched or not quiet

    def add(self, row: Row, column: str, reference: str) -> None:
        """Put a reference into a set, without writing the rest of the set."""
        if reference in row.setdefault(column, []):
            return
        row[column].append(reference)
        self._mutate(row, "add", column, reference)

    def remove(self, row: Row, column: str, reference: str) -> None:
        """Take a reference out of a set."""
        if reference not in row.get(column, []):
            return
        row[column].remove(reference)
        self._mutate(row, "remove", column, reference)

    def set_key(self, row: Row, column: str, key: str, value: str | None) -> None:
        """Set one key of a map, or delete it with None."""
        if row.setdefault(column, {}).get(key) == value:
            return
        if value is None:
            del row[column][key]
            self._mutate(row, "delkey", column, key)
        else:
            row[column][key] = value
            self._mutate(row, "setkey", column, (key, value))

    def delete(self, row: Row) -> None:
        """Delete a row of a root table; rows of other tables go when the last reference to them does."""
        place = (row["_table"], row["_uuid"])
        del self._rows[place[0]][place[1]]
        if row.get("name"):
            self._by_name.get(place[0], {}).pop(row["name"], None)
        self.updates.pop(place, None)
        self.mutations = [item for item in self.mutations if (item[1], item[2]) != place]
        if self.inserts.pop(place, None) is None:
            self.deletes.append(place)
        self.touched = True

    def _mutate(self, row: Row, verb: str, column: str, value: Any) -> None:
        if (row["_table"], row["_uuid"]) not in self.inserts:
            self.mutations.append((verb, row["_table"], row["_uuid"], column, value))
        self.touched = True


def _same(actual: Any, wanted: Any) -> bool:
    """Equality of column values; the order of a set means nothing."""
    if isinstance(actual, list) and isinstance(wanted, list):
        return sorted(actual) == sorted(wanted)
    return bool(actual == wanted)
