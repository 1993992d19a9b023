# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Placement: records turned into what the scheduler works on, and its choice claimed.

:func:`decide` only looks; :func:`place` also claims, inside the caller's transaction under the lock ``placement``, so
that nobody can take the room between the choice and the claim. The claim tests the room again all the same, and a
place in a hard anti-affinity group is a row that the schema allows once.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import fleet, neighbours
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import claims, hosts, shortlist
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NotFound, NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import narrowing, pipeline, scales
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import traits
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import (
    Group,
    HostState,
    Placement,
    RequestSpec,
)

HINTS = frozenset({"same_host", "different_host"})


@dataclass(frozen=True)
class Want:
    """An instance that is to get a host.

    :param seed: breaks ties between equal hosts; its name, so that the lookup breaks them alike.
    """

    instance_id: str
    spec: RequestSpec
    seed: str = ""


@dataclass(frozen=True)
class Placed:
    """An instance and the host claimed for it."""

    instance_id: str
    host_id: str
    host: str
    explanation: Mapping[str, Any]


def request_spec(
    conn: sa.Connection,
    *,
    flavor: Mapping[str, Any],
    image: Mapping[str, Any] | None,
    group: Mapping[str, Any] | None = None,
    hints: Mapping[str, Any] | None = None,
    zone: str | None = None,
    **more: Any,
) -> RequestSpec:
    """The request of one instance. Who is in the group is read when it is placed.

    :param hints: ``same_host`` and ``different_host``, each one instance or a list, by name or id.
    :param more: ``force_host``, ``exclude``, ``connections``, ``able`` and ``real`` of :class:`RequestSpec`;
        ``project_id`` to find the hints in.
    :raises BadInput: a hint, or a word for a trait, that does not exist.
    :raises NotFound: a hint names an instance that does not exist.
    """
    project_id = more.pop("project_id", None)
    given = dict(hints or {})
    unknown = sorted(set(given) - HINTS)
    if unknown:
        raise BadInput(f"There is no scheduler hint {unknown[0]!r}; there are {', '.join(sorted(HINTS))}.")
    different = neighbours.hosts_of(conn, given.get("different_host"), project_id)
    spec = RequestSpec(
        vcpus=flavor["vcpus"],
        ram=flavor["ram"],
        disk=flavor["disk"] + (flavor.get("ephemeral") or 0) + -(-(flavor.get("swap") or 0) // 1024),
        extra_specs=dict(flavor.get("extra_specs") or {}),
        image_properties=dict((image or {}).get("properties") or {}),
        zone=zone,
        same_host=neighbours.hosts_of(conn, given.get("same_host"), project_id),
        different_host=different or frozenset(),
        group=None if group is None else Group(group["id"], group["policy"], group["max_per_host"] or 1),
        **more,
    )
    for trait, word in traits.asked(spec):
        if word not in (traits.REQUIRED, traits.FORBIDDEN):
            raise BadInput(f"The trait {trait} is {word!r}; it can be {traits.REQUIRED} or {traits.FORBIDDEN}.")
    return spec


def decide(
    conn: sa.Connection,
    spec: RequestSpec,
    *,
    count: int = 1,
    seed: str = "",
    weights: Mapping[str, float] | None = None,
    whole: bool = False,
) -> Placement:
    """Where ``count`` equal instances would go. Writes nothing.

    :param whole: read every host, so that the story tells of each; the choice is the same.
    :raises NoValidHost: they do not all find a host; carries the explanation.
    :raises NotFound: there is no host of the name forced.
    """
    request = _with_members(conn, [spec])[0]
    return _one(conn, request, count=count, seed=seed, weights=weights, whole=whole)


def place(conn: sa.Connection, wants: Sequence[Want], *, weights: Mapping[str, float] | None = None) -> list[Placed]:
    """Choose and claim a host for each, all or none; equal requests go as one batch, large ones first.

    A number of queries that depends on neither the hosts nor the wants; for a few equal ones it reads few hosts.

    :raises NoValidHost: not all find a host; carries the explanation. The caller's transaction must be given up.
    :raises ClaimLost: somebody took the room or the place in the group without the lock ``placement``.
    :raises NotFound: there is no host of the name forced.
    """
    batches = _batches(wants)
    specs = _with_members(conn, [batch[0].spec for batch in batches])
    placed = {
        want.instance_id: Placed(want.instance_id, host.id, host.name, chosen.explanation)
        for batch, chosen in zip(batches, _choose(conn, batches, specs, weights), strict=True)
        for want, host in zip(batch, chosen.hosts, strict=True)
    }
    claims.claim_many(conn, [(want.instance_id, placed[want.instance_id].host_id, _amounts(want)) for want in wants])
    neighbours.join(
        conn, [(want.spec.group, want.instance_id, placed[want.instance_id].host) for want in wants if want.spec.group]
    )
    return [placed[want.instance_id] for want in wants]


def _choose(
    conn: sa.Connection,
    batches: Sequence[Sequence[Want]],
    specs: Sequence[RequestSpec],
    weights: Mapping[str, float] | None,
) -> list[Placement]:
    """The hosts of each batch; a later one knows of those before."""
    seeds = [batch[0].seed or batch[0].instance_id for batch in batches]
    if len(batches) == 1:
        return [_one(conn, specs[0], count=len(batches[0]), seed=seeds[0], weights=weights)]
    states = fleet.read(conn)
    index = {host.id: number for number, host in enumerate(states)}
    joined: dict[str, Counter[str]] = defaultdict(Counter)
    found = []
    for batch, spec, seed in zip(batches, specs, seeds, strict=True):
        _require_forced(states, spec)
        chosen = pipeline.place(states, _joined(spec, joined), count=len(batch), seed=seed, weights=weights)
        for host in chosen.hosts:
            states[index[host.id]] = states[index[host.id]].less(spec)
            if spec.group is not None:
                joined[spec.group.id][host.name] += 1
        found.append(chosen)
    return found


def _one(
    conn: sa.Connection,
    request: RequestSpec,
    *,
    count: int,
    seed: str,
    weights: Mapping[str, float] | None,
    whole: bool = False,
) -> Placement:
    """The hosts of one batch, from the shortlist if there is one, else from the whole fleet."""
    chosen = None if whole else _from_shortlist(conn, request, count=count, seed=seed, weights=weights)
    if chosen is not None:
        return chosen
    states = fleet.read(conn)
    _require_forced(states, request)
    return pipeline.place(states, request, count=count, seed=seed, weights=weights)


def _from_shortlist(
    conn: sa.Connection, request: RequestSpec, *, count: int, seed: str, weights: Mapping[str, float] | None
) -> Placement | None:
    """What :func:`pipeline.place` says of the few best hosts; None: there is no saying without all of them."""
    wanted = narrowing.of(request.times(count) if request.policy == "affinity" else request, weights)
    if count > shortlist.MOST or wanted is None:
        return None
    ties = scales.Ties(seed)
    few = shortlist.read(
        conn,
        shortlist.Wanted(
            needs=wanted.needs,
            multipliers=wanted.multipliers,
            real=wanted.real,
            zone=wanted.zone,
            only=wanted.only,
            never=wanted.never,
            digit=ties.digit,
            start=ties.start,
        ),
    )
    if few is None:
        return None
    try:
        states = fleet.read(conn, few.ids)
        peaks = wanted.by_weigher(few.peaks)
        chosen = pipeline.place(states, request, count=count, seed=seed, weights=weights, peaks=peaks)
    except NoValidHost:  # fewer pass than there are instances, and the story must be told of all hosts
        return None
    # The pipeline's own counts are those of the shortlist, on which every host passes.
    narrowed = {"filters": list(wanted.filters), "left": few.fit, "read": len(few.ids)}
    return replace(
        chosen,
        explanation={
            "seen": few.seen,
            "survivors": [],
            "filtered": [],
            "filtered_counts": {},
            "candidates": chosen.explanation["candidates"],
            "narrowed": narrowed,
        },
    )


def _amounts(want: Want) -> dict[str, int]:
    return {hosts.CLASSES[name]: amount for name, amount in want.spec.needs.items() if amount}


def _batches(wants: Sequence[Want]) -> list[list[Want]]:
    """Equal requests together, the large ones first: small ones find room in what is left."""
    found: dict[str, list[Want]] = defaultdict(list)
    for want in wants:
        found[json.dumps(asdict(want.spec), sort_keys=True, default=sorted)].append(want)
    return sorted(found.values(), key=lambda one: (-one[0].spec.ram, -one[0].spec.vcpus, -one[0].spec.disk))


def _with_members(conn: sa.Connection, specs: Sequence[RequestSpec]) -> list[RequestSpec]:
    """The requests with their groups as they are now."""
    members = neighbours.members(conn, {spec.group.id for spec in specs if spec.group is not None})
    return [
        spec if spec.group is None else replace(spec, group=replace(spec.group, hosts=members[spec.group.id]))
        for spec in specs
    ]


def _joined(spec: RequestSpec, joined: Mapping[str, Counter[str]]) -> RequestSpec:
    """The request with those counted in its group whom an earlier batch of the same call has put there."""
    if spec.group is None or spec.group.id not in joined:
        return spec
    return replace(spec, group=replace(spec.group, hosts=joined[spec.group.id] + Counter(spec.group.hosts)))


def _require_forced(states: Sequence[HostState], spec: RequestSpec) -> None:
    if spec.force_host is not None and not any(host.name == spec.force_host for host in states):
        raise NotFound.of("host", spec.force_host, [host.name for host in states])
