# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How any resource that is only a record is made, changed, removed and listed.

A :class:`Kind` is a table: its fields, where it is kept, who uses it. The same plan serves check mode, diff and the
real run. Only options that the user gave are compared. The plan is made once to look, without a lock, and again in the
transaction that carries it out, because another run may have been there in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.values import Check

Record = dict[str, Any]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One option of a resource.

    :param check: refuses what cannot be meant and returns what is stored.
    :param default: what a new resource has where the user says nothing.
    :param required: whether a new resource cannot do without.
    :param by_key: the value is a dictionary of which only the keys given are compared and changed.
    """

    name: str
    check: Check
    default: Any = None
    required: bool = False
    by_key: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    :param scoped: whether a name belongs to one project; otherwise to the whole cloud.
    :param owned: whether its record carries the project that it was made in.
    :param counted: the quota that one of them takes.
    :param blank: what a new one returns beside its fields.
    :param shown: records in the form that modules return.
    :param allow: raises where the values cannot be, or cannot become so: (connection, record now or None, what the
        resource would be, changes).
    :param unused: raises InUse while others depend on the record.
    :param derived: further columns that follow from the values.
    """

    name: str
    table: sa.Table
    fields: tuple[Field, ...]
    shown: Callable[[sa.Connection, Sequence[Record]], list[Record]]
    scoped: bool = True
    owned: bool = True
    counted: str | None = None
    blank: Values = field(default_factory=dict)
    allow: Callable[[sa.Connection, Record | None, Values, Sequence[Change]], None] = lambda *_given: None
    unused: Callable[[sa.Connection, Record], None] = lambda *_given: None
    derived: Callable[[Values], Record] = lambda _values: {}
    insert: Callable[[sa.Connection, Kind, Values], Record] = lambda conn, kind, row: records.insert(
        conn, kind.table, **row
    )
    update: Callable[[sa.Connection, Kind, Record, Values], Record] = lambda conn, kind, record, row: records.update(
        conn, kind.table, record["id"], {"generation": record["generation"]}, **row
    )
    delete: Callable[[sa.Connection, Kind, Record], None] = lambda conn, kind, record: records.delete(
        conn, kind.table, record["id"]
    )

    @property
    def plural(self) -> str:
        """The name of the list that the info module returns."""
        return f"{self.name}s"


@dataclass(frozen=True)
class Plan:
    """What is to become of one resource.

    :param found: its record now, None while there is none.
    :param values: what to write.
    :param after: the resource as it would be returned, as far as that is known beforehand.
    """

    project_id: str | None
    found: Record | None
    values: Values
    changes: Sequence[Change]
    after: Record


def apply(kind: Kind, request: Request) -> Outcome:
    """Have the resource as the task says.

    :raises CloudError: what cannot be meant, or what others depend on.
    """
    name = values.label(f"{kind.name}'s name", request.args["name"])
    header = f"{kind.name} {name}"
    if request.args["state"] == "absent":
        return _absent(kind, request, header)
    wanted = read(kind.fields, request.args)
    with request.conductor.read() as conn:
        plan = _planned(kind, conn, request, wanted)
    row = plan.after
    if plan.changes and not request.check:
        with request.conductor.transaction(lock=header, label=kind.name) as conn:
            plan = _planned(kind, conn, request, wanted)
            row = kind.shown(conn, [_carried_out(kind, conn, plan)])[0]
    return Outcome(bool(plan.changes), {kind.name: row}, plan.changes, header)


def info(kind: Kind, request: Request) -> Outcome:
    """The resources of this kind that the project can use, or that there are."""
    with request.conductor.read() as conn:
        project_id = _project(kind, conn, request)
        rows = kind.shown(conn, records.listing(conn, kind.table, project_id=project_id))
    return answer(kind.plural, rows, request.args)


def read(fields: Sequence[Field], args: Values) -> Record:
    """The options that the user gave, checked.

    :raises BadInput: one of them cannot be meant.
    """
    return {each.name: each.check(each.name, args[each.name]) for each in fields if args.get(each.name) is not None}


def differences(fields: Sequence[Field], wanted: Values, actual: Values) -> list[Change]:
    """What differs, in the order of the table; a field compared by key gives one change for each key."""
    found: list[Change] = []
    for each in fields:
        if each.name not in wanted:
            continue
        if each.by_key:
            apart = compare(wanted[each.name], actual.get(each.name) or {})
            found += [Change(f"{each.name}.{change.what}", change.before, change.after) for change in apart]
        else:
            found += compare({each.name: wanted[each.name]}, actual)
    return found


def complete(kind: str, fields: Sequence[Field], wanted: Values) -> Record:
    """The values of a new resource: what the user gave, else the defaults.

    :raises BadInput: an option is missing that a new one cannot do without.
    """
    missing = [each.name for each in fields if each.required and each.name not in wanted]
    if missing:
        raise BadInput(f"The {kind} does not exist yet; to make it, give {', '.join(missing)}.", missing=missing)
    return {each.name: wanted.get(each.name, each.default) for each in fields}


def find(kind: Kind, conn: sa.Connection, name: str, project_id: str | None) -> Record | None:
    """The record of that name or id that the project may change."""
    found = records.find(conn, kind.table, name, project_id=project_id if kind.scoped else None)
    return found if found is None or not kind.scoped or found["project_id"] == project_id else None


def _planned(kind: Kind, conn: sa.Connection, request: Request, wanted: Values) -> Plan:
    args = request.args
    project_id = _project(kind, conn, request)
    found = find(kind, conn, args["name"], project_id)
    if found is None:
        whole = {"name": args["name"], **complete(kind.name, kind.fields, wanted)}
        flat = {key: value for key, value in whole.items() if key not in _by_key(kind)}
        changes = [*created(flat), *differences([each for each in kind.fields if each.by_key], wanted, {})]
        after = _merged(kind, {**kind.blank}, {**whole, **kind.derived(whole)})
        kind.allow(conn, None, after, changes)
        return Plan(project_id, None, {**whole, **kind.derived(whole)}, changes, after)
    before = kind.shown(conn, [found])[0]
    changes = differences(kind.fields, wanted, before)
    changed = {change.what.partition(".")[0] for change in changes}
    row = {key: value for key, value in wanted.items() if key in changed}
    row.update(kind.derived(row))
    after = _merged(kind, before, row)
    if changes:
        kind.allow(conn, found, after, changes)
    return Plan(project_id, found, row, changes, after)


def _carried_out(kind: Kind, conn: sa.Connection, plan: Plan) -> Record:
    if plan.found is not None:
        return kind.update(conn, kind, plan.found, plan.values) if plan.changes else plan.found
    owner = {"project_id": plan.project_id} if kind.owned else {}
    if kind.counted and plan.project_id:
        quota.take(conn, plan.project_id, **{kind.counted: 1})
    return kind.insert(conn, kind, {**owner, **plan.values})


def _absent(kind: Kind, request: Request, header: str) -> Outcome:
    with request.conductor.read() as conn:
        project_id = _project(kind, conn, request)
        found = find(kind, conn, request.args["name"], project_id)
        if found is None:
            return Outcome(False, {kind.name: None}, (), header)
        kind.unused(conn, found)
        changes = removed(kind.shown(conn, [found])[0], ("name", *(each.name for each in kind.fields)))
    if not request.check:
        with request.conductor.transaction(lock=header, label=kind.name) as conn:
            found = find(kind, conn, found["id"], project_id)
            if found is not None:  # otherwise another run was first
                kind.unused(conn, found)
                kind.delete(conn, kind, found)
                if kind.counted and project_id:
                    quota.give(conn, project_id, **{kind.counted: 1})
    return Outcome(True, {kind.name: None}, changes, header)


def _project(kind: Kind, conn: sa.Connection, request: Request) -> str | None:
    if not kind.owned:
        return None
    return str(projects.resolve(conn, request.args["project"], request.principal)["id"])


def _by_key(kind: Kind) -> set[str]:
    return {each.name for each in kind.fields if each.by_key}


def _merged(kind: Kind, before: Values, row: Values) -> Record:
    merged = {**before, **row}
    for name in _by_key(kind) & set(row):
        merged[name] = {**(before.get(name) or {}), **(row[name] or {})}
    return merged
