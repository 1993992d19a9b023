# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter once, weigh, pick many from a heap, and tell the story.

The whole batch is one request: hosts are filtered once, and after each pick only the picked host is asked again by the
filters whose answer moves, and weighed again. The cost is hosts + picks x log hosts.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS, Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.scales import Scales, tie
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import (
    Candidate,
    HostState,
    Placement,
    RequestSpec,
)

MOST_REASONS = 50  # hosts whose reason is told one by one; beyond that only counts
MOST_CANDIDATES = 10


def place(
    hosts: Sequence[HostState],
    request: RequestSpec,
    *,
    count: int = 1,
    weights: Mapping[str, float] | None = None,
    seed: str = "",
) -> Placement:
    """Choose a host for each of ``count`` equal instances.

    :param weights: multipliers by setting name.
    :param seed: breaks ties; the same seed gives the same answer.
    :raises NoValidHost: not all of them find a host; carries the explanation.
    :raises BadInput: a multiplier is not known.
    """
    members = request.group.hosts if request.group else {}
    candidates = [Candidate(host, members.get(host.name, 0)) for host in hosts]
    left, story = _filtered(candidates, request)
    scales = Scales(request, left, weights)
    story["candidates"] = _best(left, scales, seed)
    picked = _pick(left, request, scales, count=count, seed=seed)
    if len(picked) < count:
        raise no_valid_host(story, count, len(picked))
    return Placement(tuple(candidate.host for candidate in picked), story)


def no_valid_host(story: Mapping[str, Any], count: int, found: int) -> NoValidHost:
    """The error that prints the explanation in words."""
    asked = "the instance" if count == 1 else f"all {count} instances"
    if not story["seen"]:
        return NoValidHost(f"No valid host for {asked}: no host is registered (module host).", explanation=dict(story))
    steps = "; ".join(
        f"{step['filter']} left {step['left']} ({reasons})"
        for step in story["survivors"]
        if (reasons := _summary(story, step["filter"]))
    )
    room = f" Room was found for {found} of them." if found else ""
    return NoValidHost(
        f"No valid host for {asked}. Hosts seen: {story['seen']}. {steps or 'Every filter passed'}.{room}",
        explanation=dict(story),
    )


def _summary(story: Mapping[str, Any], name: str) -> str:
    told = [entry for entry in story["filtered"] if entry["filter"] == name]
    words = [f"{entry['host']}: {entry['reason']}" for entry in told[:5]]
    return ", ".join(words + ["..."] * (len(told) > 5))


def _filtered(candidates: list[Candidate], request: RequestSpec) -> tuple[list[Candidate], dict[str, Any]]:
    filtered: list[dict[str, str]] = []
    survivors: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    left = candidates
    for each in FILTERS:
        if not each.concerns(request):
            continue
        passing = []
        for candidate in left:
            reason = each.why_not(candidate, request)
            if reason is None:
                passing.append(candidate)
                continue
            counts[each.name] += 1
            if len(filtered) < MOST_REASONS:
                filtered.append({"filter": each.name, "host": candidate.host.name, "reason": reason})
        left = passing
        survivors.append({"filter": each.name, "left": len(left)})
    story = {"seen": len(candidates), "survivors": survivors, "filtered": filtered, "filtered_counts": dict(counts)}
    return left, story


def _best(left: Sequence[Candidate], scales: Scales, seed: str) -> list[dict[str, Any]]:
    best = heapq.nsmallest(MOST_CANDIDATES, left, key=lambda one: (-scales.weight(one), tie(seed, one.host.name)))
    return [
        {
            "host": candidate.host.name,
            "weight": round(scales.weight(candidate), 6),
            "weights": {name: round(value, 6) for name, value in scales.weights(candidate).items()},
        }
        for candidate in best
    ]


def _pick(left: Sequence[Candidate], request: RequestSpec, scales: Scales, *, count: int, seed: str) -> list[Candidate]:
    if request.group is not None and request.group.policy == "affinity":
        return _pick_together(left, request, scales, count=count, seed=seed)
    moving = [each for each in FILTERS if each.moves and each.concerns(request)]
    heap = [(-scales.weight(one), tie(seed, one.host.name), place, one) for place, one in enumerate(left)]
    heapq.heapify(heap)
    picked: list[Candidate] = []
    while heap and len(picked) < count:
        _weight, rank, place, best = heap[0]
        picked.append(best)
        best.take(request)
        if _passes(best, request, moving):
            heapq.heapreplace(heap, (-scales.weight(best), rank, place, best))
        else:
            heapq.heappop(heap)
    return picked


def _pick_together(
    left: Sequence[Candidate], request: RequestSpec, scales: Scales, *, count: int, seed: str
) -> list[Candidate]:
    """Hard affinity: the best host that can take the whole batch takes it."""
    fitting = [
        one
        for one in left
        if one.vcpus >= count * request.vcpus and one.ram >= count * request.ram and one.disk >= count * request.disk
    ]
    best = min(fitting, key=lambda one: (-scales.weight(one), tie(seed, one.host.name)), default=None)
    return [best] * count if best else []


def _passes(candidate: Candidate, request: RequestSpec, moving: Sequence[Filter]) -> bool:
    return all(each.why_not(candidate, request) is None for each in moving)
