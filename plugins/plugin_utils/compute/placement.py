# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Placement: records turned into what the scheduler works on, and its choice claimed.

:func:`decide` only looks; :func:`place` also claims, inside the caller's transaction under the lock ``placement``, so
that nobody can take the room between the choice and the claim. The claim tests the room again all the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import claims, hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import (
    Group,
    HostState,
    Placement,
    RequestSpec,
)

HINTS = frozenset({"same_host", "different_host"})


@dataclass(frozen=True)
class Want:
    """An instance that is to get a host."""

    instance_id: str
    spec: RequestSpec


@dataclass(frozen=True)
class Placed:
    """An instance and the host claimed for it."""

    instance_id: str
    host_id: str
    host: str
    explanation: Mapping[str, Any]


def request_spec(
    conn: Any,
    *,
    flavor: Mapping[str, Any],
    image: Mapping[str, Any] | None,
    group: Mapping[str, Any] | None = None,
    hints: Mapping[str, Any] | None = None,
    zone: str | None = None,
    **more: Any,
) -> RequestSpec:
    """The request of one instance.

    :param hints: ``same_host`` and ``different_host``, each one instance or a list, by name or id.
    :param more: ``force_host``, ``exclude`` and ``real`` of :class:`RequestSpec`; ``project_id`` to find the hints in.
    :raises BadInput: a hint that does not exist.
    :raises NotFound: a hint names an instance that does not exist.
    """
    project_id = more.pop("project_id", None)
    given = dict(hints or {})
    unknown = sorted(set(given) - HINTS)
    if unknown:
        raise BadInput(f"There is no scheduler hint {unknown[0]!r}; there are {', '.join(sorted(HINTS))}.")
    return RequestSpec(
        vcpus=flavor["vcpus"],
        ram=flavor["ram"],
        disk=flavor["disk"] + (flavor.get("ephemeral") or 0),
        extra_specs=dict(flavor.get("extra_specs") or {}),
        image_properties=dict((image or {}).get("properties") or {}),
        zone=zone,
        same_host=_instances(conn, given.get("same_host"), project_id),
        different_host=_instances(conn, given.get("different_host"), project_id),
        group=None if group is None else _group(conn, group),
        **more,
    )


def decide(
    conn: Any, spec: RequestSpec, *, count: int = 1, seed: str = "", weights: Mapping[str, float] | None = None
) -> Placement:
    """Where ``count`` equal instances would go. Writes nothing.

    :raises NoValidHost: they do not all find a host; carries the explanation.
    """
    return pipeline.place(states(conn), spec, count=count, seed=seed, weights=weights)


def place(conn: Any, wants: Sequence[Want], *, weights: Mapping[str, float] | None = None) -> list[Placed]:
    """Choose and claim a host for each, all or none; equal requests go as one batch, large ones first.

    :raises NoValidHost: not all find a host; carries the explanation. The caller's transaction must be given up.
    """
    batches: dict[str, list[Want]] = defaultdict(list)
    for want in wants:
        batches[_key(want.spec)].append(want)
    placed: dict[str, Placed] = {}
    for batch in sorted(batches.values(), key=lambda one: (-one[0].spec.ram, -one[0].spec.vcpus)):
        spec = _current(conn, batch[0].spec)
        chosen = decide(conn, spec, count=len(batch), seed=batch[0].instance_id, weights=weights)
        for want, host in zip(batch, chosen.hosts, strict=True):
            placed[want.instance_id] = Placed(want.instance_id, host.id, host.name, chosen.explanation)
        amounts = {hosts.CLASSES[name]: amount for name, amount in spec.needs.items() if amount}
        claims.claim_many(conn, [(w.instance_id, h.id, amounts) for w, h in zip(batch, chosen.hosts, strict=True)])
        if spec.group is not None:
            _join(conn, spec.group, [(w.instance_id, h.name) for w, h in zip(batch, chosen.hosts, strict=True)])
    return [placed[want.instance_id] for want in wants]


def states(conn: Any) -> list[HostState]:
    """Every host as the scheduler sees it."""
    return [_state(row) for row in hosts.states(conn)]


def _state(row: Mapping[str, Any]) -> HostState:
    free = {}
    for need, name in hosts.CLASSES.items():
        found = row["inventories"].get(name)
        room = 0 if found is None else (found["total"] - found["reserved"]) * found["allocation_ratio"] - found["used"]
        free[need] = int(room)
    return HostState(
        id=row["id"],
        name=row["name"],
        free=free,
        state=row["state"],
        reason=row["reason"],
        zone=row["zone"],
        virt_types=tuple(row["virt_types"] or ()),
        cpu=row["cpu"] or {},
        aggregates=row["aggregates"],
        instances=row["instance_count"],
        instance_ids=frozenset(row["instances"]),
        planned=bool(row["planned"]),
    )


def _key(spec: RequestSpec) -> str:
    """Equal for equal requests."""
    plain = asdict(spec)
    return json.dumps(plain, sort_keys=True, default=sorted)


def _group(conn: Any, record: Mapping[str, Any]) -> Group:
    members = cloud.server_group_members
    query = (
        sa.select(members.c.host, sa.func.count())
        .where(members.c.group_id == record["id"], members.c.host.is_not(None))
        .group_by(members.c.host)
    )
    there = {host: int(count) for host, count in conn.execute(query)}
    return Group(record["id"], record["policy"], record["max_per_host"] or 1, there)


def _current(conn: Any, spec: RequestSpec) -> RequestSpec:
    """The request with its group as it is now: an earlier batch of this call may have moved it."""
    if spec.group is None:
        return spec
    old = spec.group
    fresh = _group(conn, {"id": old.id, "policy": old.policy, "max_per_host": old.max_per_host})
    return replace(spec, group=fresh)


def _join(conn: Any, group: Group, joining: Sequence[tuple[str, str]]) -> None:
    """Write the members down. With hard anti-affinity each takes a slot of its host, which the schema keeps unique."""
    members = cloud.server_group_members
    used: dict[str, set[int]] = defaultdict(set)
    query = sa.select(members.c.host, members.c.slot).where(members.c.group_id == group.id, members.c.slot.is_not(None))
    for host, slot in conn.execute(query):
        used[host].add(slot)
    rows = []
    for instance_id, host in joining:
        slot = None
        if group.policy == "anti-affinity":
            slot = next(number for number in range(len(used[host]) + 1) if number not in used[host])
            used[host].add(slot)
        rows.append({"group_id": group.id, "instance_id": instance_id, "host": host, "slot": slot})
    conn.execute(sa.insert(members), rows)


def _instances(conn: Any, given: Any, project_id: str | None) -> frozenset[str]:
    """The ids of the instances that a hint names."""
    if given is None:
        return frozenset()
    names = [given] if isinstance(given, str) else list(_texts(given))
    table = cell.instances
    found: set[str] = set()
    for name in names:
        query = sa.select(table.c.id).where((table.c.id == name) | (table.c.name == name))
        if project_id is not None:
            query = query.where(table.c.project_id == project_id)
        ids = conn.execute(query).scalars().all()
        if not ids:
            raise NotFound(
                f"The scheduler hint names instance {name!r}, which was not found.", kind="instance", name=name
            )
        found.update(ids)
    return frozenset(found)


def _texts(given: Any) -> Iterable[str]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
        raise BadInput("A scheduler hint is the name of an instance, or a list of names.")
    return given
