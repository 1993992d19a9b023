# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who lives with whom: members of server groups, and the instances that hints name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import groups
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ClaimLost, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Group

_HARD = "anti-affinity"


def members(conn: sa.Connection, group_ids: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
    """How many members of each group are on each host, by group id and host name."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    wanted = sorted(set(group_ids))
    if wanted:
        table = cloud.server_group_members.c
        query = sa.select(table.group_id, table.host, sa.func.count()).group_by(table.group_id, table.host)
        for group_id, host, count in conn.execute(query.where(table.group_id.in_(wanted), table.host.is_not(None))):
            found[group_id][host] = int(count)
    return found


def join(conn: sa.Connection, joining: Sequence[tuple[Group, str, str]]) -> None:
    """Write down that instances (by id) are members of their groups on their hosts (by name).

    With hard anti-affinity each takes one of the slots that its host has for the group. The schema keeps a slot
    unique, so the limit holds even against a filter that errs and a caller who forgot the lock.

    :raises ClaimLost: a host has no slot left for the group.
    """
    if not joining:
        return
    used = _slots(conn, {group.id for group, _instance, _host in joining if group.policy == _HARD})
    rows = []
    for group, instance_id, host in joining:
        slot = None
        if group.policy == _HARD:
            slot = _free_slot(used[group.id, host], group.max_per_host)
            if slot is None:
                raise ClaimLost(f"The host {host} has {group.max_per_host} of the server group already.", host=host)
            used[group.id, host].add(slot)
        rows.append({"group_id": group.id, "instance_id": instance_id, "host": host, "slot": slot})
    try:
        with conn.begin_nested():
            groups.join(conn, rows)
    except sa.exc.IntegrityError as exc:
        raise ClaimLost("Somebody else joined the server group on the same host at the same time.") from exc


def hosts_of(conn: sa.Connection, named: Any, project_id: str | None) -> frozenset[str] | None:
    """The hosts of the instances that a hint names, one or a list, by name or id; None: there is no such hint.

    :raises BadInput: it is neither.
    :raises NotFound: it names an instance that does not exist.
    """
    if named is None:
        return None
    given = [named] if isinstance(named, str) else named
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
        raise BadInput("A scheduler hint is the name of an instance, or a list of names.")
    table, hosts = cell.instances, cell.hosts
    query = sa.select(table.c.id, table.c.name, hosts.c.name).select_from(table.outerjoin(hosts))
    query = query.where(table.c.id.in_(given) | table.c.name.in_(given))
    if project_id is not None:
        query = query.where(table.c.project_id == project_id)
    found = conn.execute(query).all()
    known = {label for key, name, _host in found for label in (key, name)}
    for one in given:
        if one not in known:
            said = f"The scheduler hint names instance {one!r}, which was not found."
            raise NotFound(said, kind="instance", name=one)
    return frozenset(host for _key, _name, host in found if host is not None)


def _slots(conn: sa.Connection, group_ids: set[str]) -> dict[tuple[str, str], set[int]]:
    table = cloud.server_group_members.c
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    if group_ids:
        query = sa.select(table.group_id, table.host, table.slot).where(table.group_id.in_(sorted(group_ids)))
        for group_id, host, slot in conn.execute(query.where(table.slot.is_not(None))):
            found[group_id, host].add(slot)
    return found


def _free_slot(used: set[int], most: int) -> int | None:
    return next((number for number in range(most) if number not in used), None)
