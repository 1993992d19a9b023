# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter once, weigh, pick many from a heap, and tell the story.

The whole batch is one request: hosts are filtered once, and after each pick only the picked host is asked again by the
filters whose answer moves, and weighed again. The cost is hosts + picks x log hosts. The scale of the weights is that
of the batch's beginning, so that a pick moves one weight and no other; for a single request that is Nova's exactly.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS, Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.scales import Scales, Ties
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.story import MOST_CANDIDATES, Story
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import (
    Candidate,
    HostState,
    Placement,
    RequestSpec,
)

_Entry = tuple[float, tuple[bool, str, str], int, Candidate]  # what the heap is ordered by, and whom it means


def place(
    hosts: Sequence[HostState],
    request: RequestSpec,
    *,
    count: int = 1,
    weights: Mapping[str, float] | None = None,
    seed: str = "",
    peaks: Mapping[str, float] | None = None,
) -> Placement:
    """Choose a host for each of ``count`` equal instances.

    :param weights: multipliers by setting name.
    :param seed: breaks ties; the same seed gives the same answer.
    :param peaks: where these hosts are the best of many: by weigher, the largest number among all that pass.
    :raises NoValidHost: not all of them find a host; carries the explanation.
    :raises BadInput: a multiplier is not known.
    """
    members = request.group.hosts if request.group else {}
    story = Story(len(hosts))
    together = request.policy == "affinity"
    wanted = request.times(count) if together else request
    left = _filtered([Candidate(host, members.get(host.name, 0)) for host in hosts], wanted, story)
    scales, ties = Scales(request, left, weights, peaks), Ties(seed)
    heap = [(-scales.weight(one), ties.rank(one.host.id), place, one) for place, one in enumerate(left)]
    _tell_best(heap, scales, story)
    if together:
        picked = [min(heap)[3]] * count if heap else []
    else:
        picked = _pick(heap, request, scales, count=count, story=story)
    if len(picked) < count:
        raise story.no_valid_host(count, len(picked))
    return Placement(tuple(candidate.host for candidate in picked), story.told())


def _filtered(candidates: list[Candidate], request: RequestSpec, story: Story) -> list[Candidate]:
    left = candidates
    for each in FILTERS:
        if not each.concerns(request):
            continue
        why_not, passing = each.why_not, []
        for candidate in left:
            reason = why_not(candidate, request)
            if reason is None:
                passing.append(candidate)
            else:
                story.fell(each.name, candidate.host.name, reason)
        left = passing
        story.left(each.name, len(left))
    return left


def _tell_best(heap: Sequence[_Entry], scales: Scales, story: Story) -> None:
    for weight, _tie, _place, candidate in heapq.nsmallest(MOST_CANDIDATES, heap):
        parts = {name: round(value, 6) for name, value in scales.parts(candidate).items()}
        story.candidates.append({"host": candidate.host.name, "weight": round(-weight, 6), "weights": parts})


def _pick(heap: list[_Entry], request: RequestSpec, scales: Scales, *, count: int, story: Story) -> list[Candidate]:
    moving = [each for each in FILTERS if each.moves and each.concerns(request)]
    heapq.heapify(heap)
    picked: list[Candidate] = []
    while heap and len(picked) < count:
        _weight, tie, place, best = heap[0]
        picked.append(best)
        best.take(request)
        if _still_passes(best, request, moving, story):
            heapq.heapreplace(heap, (-scales.weight(best), tie, place, best))
        else:
            heapq.heappop(heap)
    return picked


def _still_passes(candidate: Candidate, request: RequestSpec, moving: Sequence[Filter], story: Story) -> bool:
    for each in moving:
        reason = each.why_not(candidate, request)
        if reason is not None:
            story.filled(each.name, candidate.host.name, reason)
            return False
    return True
