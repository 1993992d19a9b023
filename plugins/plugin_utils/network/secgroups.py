# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security groups: rules compared as sets; records first, then OVN, where running guests follow at once.

As with networks, OVN is asked in every run, so that a run which was killed is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits, names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.ports import holders
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import network as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AlreadyExists, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import central, ports, rules
from ansible_collections.agentless.cloud.plugins.plugin_utils.network.networks import IN_OVN
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values as words

Record = dict[str, Any]

DEFAULT = "default"
_PLAIN = ("description", "stateful")
_SHOWN = ("id", "name", "project_id", "description", "stateful")
SELF = "\0self"  # stands for the id of a group that has none yet; no id or name can be this


@dataclass(frozen=True)
class Plan:
    """What is to become of a group.

    :param found: its record, None while there is none.
    :param values: columns to set.
    :param added: rules to make; ``dropped``: rules to remove; ``altered``: descriptions by rule id.
    """

    project_id: str
    found: Record | None
    values: Mapping[str, Any]
    changes: Sequence[Change]
    added: Sequence[Record]
    dropped: Sequence[Record]
    altered: Mapping[str, str]


def apply(request: Request) -> Outcome:
    """Make the security group as the task says."""
    central.host(request.groups)
    name = names.label("name of a security group", request.args["name"])
    if request.args["state"] == "absent":
        return _absent(request, name)
    with request.conductor.read() as conn:
        plan = planned(conn, request.args, request.principal)
        wires = _operations(conn, plan.found)
        before = _shown_one(conn, plan.found)
    header = f"secgroup {name}"
    if request.check:
        predicted = plan.found is not None and not plan.changes and central.push(request, wires)
        listed = [*plan.changes, IN_OVN] if predicted else list(plan.changes)
        return Outcome(bool(listed), {"secgroup": _predicted(plan, before)}, listed, header)
    if plan.changes:
        with request.conductor.transaction(lock=f"secgroup:{name}") as conn:
            plan = planned(conn, request.args, request.principal)
            group = _carried_out(conn, plan)
            wires, before = _operations(conn, group), _shown_one(conn, group)
    corrected = central.push(request, wires)
    listed = list(plan.changes) or ([IN_OVN] if corrected else [])
    return Outcome(bool(listed), {"secgroup": before}, listed, header)


def info(request: Request) -> Outcome:
    """The security groups of the project."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        found = records.listing(conn, tables.secgroups, project_id=project["id"])
        rows = shown(conn, found)
    return answer("secgroups", rows, request.args)


def ensure_default(conn: sa.Connection, project_id: str) -> Record:
    """The project's group ``default``: all outbound, and inbound from its own members. Made on first use."""
    found = records.find(conn, tables.secgroups, DEFAULT, project_id=project_id)
    if found is not None:
        return found
    try:
        group = records.insert(
            conn, tables.secgroups, project_id=project_id, name=DEFAULT, description="Default security group"
        )
    except AlreadyExists:  # a parallel transaction was first
        return records.get(conn, tables.secgroups, DEFAULT, project_id=project_id)
    first = [*rules.allow_outbound(), *rules.allow_members(group["id"])]
    records.insert_many(conn, tables.secgroup_rules, [{"secgroup_id": group["id"], **rule} for rule in first])
    return group


def planned(conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> Plan:
    """Compare what the task says with the record.

    :raises BadInput: a rule means nothing, or something is too long.
    :raises NotFound: a remote group does not exist.
    """
    project = projects.resolve(conn, args["project"], principal)
    name = args["name"]
    found = records.find(conn, tables.secgroups, name, project_id=project["id"])
    values = {key: args[key] for key in _PLAIN if args.get(key) is not None}
    if "description" in values:
        values["description"] = words.description("description", values["description"])
    limits.check("rules", "rules", args.get("rules") or ())
    present = _rules_of(conn, [found["id"]]) if found else []
    given = args.get("rules")
    called = {SELF: name}
    if given is None:
        wanted = None if found else rules.allow_outbound()
        if found is None and name == DEFAULT:
            wanted = [*rules.allow_outbound(), *rules.allow_members(SELF)]
    else:
        remote = _remote_ids(conn, given, project["id"], name, found)
        wanted = rules.wanted([rules.normalized(rule, remote) for rule in given])
        called = {key: label for label, key in remote.items()}
    added, dropped, altered = _matched(wanted, present, purge=args.get("purge_rules") is not False)
    changes = compare(values, found) if found else created({"name": name, "stateful": True, **values})
    changes += [
        Change(f"rule {rules.text({**rule, 'remote_group': called.get(rule['remote_group_id'])})}", None, "present")
        for rule in added
    ]
    changes += [Change(f"rule {rules.text(rule)}", "present", None) for rule in dropped]
    by_id = {rule["id"]: rule for rule in present}
    changes += [
        Change(f"rule {rules.text(by_id[key])} description", by_id[key]["description"], value)
        for key, value in altered.items()
    ]
    return Plan(project["id"], found, values, changes, added, dropped, altered)


def shown(conn: sa.Connection, groups: Sequence[Record]) -> list[Record]:
    """Groups with their rules as modules return them."""
    listed = _rules_of(conn, [group["id"] for group in groups])
    remote = {rule["remote_group_id"] for rule in listed if rule["remote_group_id"]}
    known = records.listing(conn, tables.secgroups, id=remote) if remote else []
    by_id = {row["id"]: row["name"] for row in known}
    return [
        {
            **{key: group[key] for key in _SHOWN},
            "rules": [_rule_shown(rule, by_id) for rule in listed if rule["secgroup_id"] == group["id"]],
            "created_at": group["created_at"],
            "updated_at": group["updated_at"],
        }
        for group in groups
    ]


def _matched(
    wanted: Sequence[Record] | None, present: Sequence[Record], *, purge: bool
) -> tuple[list[Record], list[Record], dict[str, str]]:
    """Rules to add, rules to drop, and descriptions to change."""
    if wanted is None:
        return [], [], {}
    there = {rules.key(rule): rule for rule in present}
    keys = {rules.key(rule) for rule in wanted}
    altered = {}
    for rule in wanted:
        actual = there.get(rules.key(rule))
        if actual and rule["description"] is not None and rule["description"] != actual["description"]:
            altered[actual["id"]] = rule["description"]
    added = [rule for rule in wanted if rules.key(rule) not in there]
    return added, [rule for rule in present if purge and rules.key(rule) not in keys], altered


def _carried_out(conn: sa.Connection, plan: Plan) -> Record:
    """The plan as records, in the caller's transaction."""
    if plan.found is None:
        name = next(change.after for change in plan.changes if change.what == "name")
        if name != DEFAULT:  # every project has that one; it counts nowhere
            quota.take(conn, plan.project_id, secgroups=1)
        group = records.insert(conn, tables.secgroups, project_id=plan.project_id, name=name, **plan.values)
    else:
        # also when only rules change: the group's generation stands for them too
        group = records.update(conn, tables.secgroups, plan.found["id"], **plan.values)
    if group["name"] != DEFAULT:
        quota.take(conn, plan.project_id, secgroup_rules=len(plan.added))
        quota.give(conn, plan.project_id, secgroup_rules=len(plan.dropped))
    for rule in plan.dropped:
        records.delete(conn, tables.secgroup_rules, rule["id"])
    for key, description in plan.altered.items():
        records.update(conn, tables.secgroup_rules, key, description=description)
    own = [{**rule, "secgroup_id": group["id"], "remote_group_id": _settled(rule, group)} for rule in plan.added]
    records.insert_many(conn, tables.secgroup_rules, own)
    return group


def _absent(request: Request, name: str) -> Outcome:
    """OVN first: a run that is killed in between finds the record and finishes."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        group = records.find(conn, tables.secgroups, name, project_id=project["id"])
        if group is not None:
            _unused(conn, group)
    if group is None:
        return Outcome(False, {"secgroup": None})
    if not request.check:
        central.push(request, [ports.absent("secgroup", group)])
        with request.conductor.transaction(lock=f"secgroup:{name}") as conn:
            if records.find(conn, tables.secgroups, group["id"]) is not None:
                _unused(conn, group)
                count = len(_rules_of(conn, [group["id"]]))
                records.delete(conn, tables.secgroups, group["id"])
                if group["name"] != DEFAULT:
                    quota.give(conn, project["id"], secgroups=1, secgroup_rules=count)
    return Outcome(True, {"secgroup": None}, [Change("name", group["name"], None)], f"secgroup {name}")


def _unused(conn: sa.Connection, group: Record) -> None:
    """No port has the group and no other group's rule names it."""
    members = sa.select(tables.port_secgroups.c.port_id).where(tables.port_secgroups.c.secgroup_id == group["id"])
    used = holders(conn, tables.ports.c.id.in_(members))
    if used:
        raise InUse(f"Security group {group['name']} is on ports of {', '.join(used)}; take it off them first.")
    column = tables.secgroup_rules.c
    query = sa.select(tables.secgroups.c.name).join(tables.secgroup_rules, column.secgroup_id == tables.secgroups.c.id)
    others = query.where(column.remote_group_id == group["id"], column.secgroup_id != group["id"]).distinct()
    named = sorted(conn.execute(others).scalars())
    if named:
        raise InUse(f"Rules of the security groups {', '.join(named)} name {group['name']}; remove these rules first.")


def _operations(conn: sa.Connection, group: Record | None) -> list[ports.Operation]:
    """The group, and the groups that its rules name: OVN knows their members by them."""
    if group is None:
        return []
    own = _rules_of(conn, [group["id"]])
    named = {rule["remote_group_id"] for rule in own if rule["remote_group_id"]} - {group["id"]}
    others = records.listing(conn, tables.secgroups, id=named) if named else []
    theirs = _rules_of(conn, [other["id"] for other in others])
    return [
        ports.secgroup_operation(each, [rule for rule in [*own, *theirs] if rule["secgroup_id"] == each["id"]])
        for each in [group, *others]
    ]


def _rules_of(conn: sa.Connection, group_ids: Sequence[str]) -> list[Record]:
    found = records.listing(conn, tables.secgroup_rules, secgroup_id=list(group_ids)) if group_ids else []
    return sorted(found, key=lambda rule: tuple(str(value) for value in rules.key(rule)))


def _remote_ids(
    conn: sa.Connection, given: Iterable[Mapping[str, Any]], project_id: str, name: str, found: Record | None
) -> dict[str, str]:
    """The ids of the groups that the rules name; the group itself may be one before it exists."""
    wanted = {str(rule["remote_group"]) for rule in given if rule.get("remote_group")}
    ids = {name: found["id"] if found else SELF} if name in wanted else {}
    for other in sorted(wanted - {name}):
        ids[other] = records.get(conn, tables.secgroups, other, project_id=project_id)["id"]
    return ids


def _settled(rule: Record, group: Record) -> str | None:
    return str(group["id"]) if rule["remote_group_id"] == SELF else rule["remote_group_id"]


def _rule_shown(rule: Mapping[str, Any], names: Mapping[str, str]) -> Record:
    return {
        "id": rule.get("id"),
        **{key: rule[key] for key in rules.KEY},
        "remote_group": names.get(rule["remote_group_id"]) if rule["remote_group_id"] else None,
        "description": rule["description"],
    }


def _shown_one(conn: sa.Connection, group: Record | None) -> Record:
    return shown(conn, [group])[0] if group else {}


def _predicted(plan: Plan, before: Record) -> Record:
    """The group as it would be; what is not known before it exists is left out."""
    gone = {rule["id"] for rule in plan.dropped}
    kept = [
        {**rule, "description": plan.altered.get(rule["id"], rule["description"])}
        for rule in before.get("rules", [])
        if rule["id"] not in gone
    ]
    new = [
        {key: value for key, value in _rule_shown(rule, {}).items() if key != "id" and value != SELF}
        for rule in plan.added
    ]
    first = {"name": next((c.after for c in plan.changes if c.what == "name"), None), "stateful": True}
    return {**(before or first), **plan.values, "rules": [*kept, *new]}
