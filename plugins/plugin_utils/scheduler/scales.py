# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights on one scale for the whole of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.weighers import WEIGHERS, Weigher


class Scales:
    """Weighs candidates on a scale fixed at the start, so that a pick moves one weight and no other.

    :param multipliers: by setting name, instead of the defaults.
    :raises BadInput: a multiplier that no weigher has.
    """

    def __init__(
        self, request: RequestSpec, candidates: Sequence[Candidate], multipliers: Mapping[str, float] | None
    ) -> None:
        given = dict(multipliers or {})
        unknown = sorted(set(given) - {weigher.setting for weigher in WEIGHERS})
        if unknown:
            known = ", ".join(weigher.setting for weigher in WEIGHERS)
            raise BadInput(f"There is no weight multiplier {unknown[0]!r}; there are {known}.")
        self._parts: list[tuple[Weigher, float, float, float]] = []
        aggregated = any(candidate.host.aggregates for candidate in candidates)
        for weigher in WEIGHERS:
            multiplier = given.get(weigher.setting, weigher.multiplier)
            if not weigher.concerns(request) or not (multiplier or aggregated):
                continue
            numbers = [weigher.raw(candidate) for candidate in candidates] or [0.0]
            low = min(numbers) if weigher.ranged else 0.0
            # A batch adds members where there were none, so an all-equal soft policy still needs a scale.
            span = max(numbers) - low or (1.0 if weigher.policy else 0.0)
            self._parts.append((weigher, multiplier, low, span))

    def weights(self, candidate: Candidate) -> dict[str, float]:
        """The part that each weigher adds, by its name."""
        return {
            weigher.name: _multiplier(candidate, weigher, multiplier) * (weigher.raw(candidate) - low) / span
            for weigher, multiplier, low, span in self._parts
            if span
        }

    def weight(self, candidate: Candidate) -> float:
        """The sum of the parts."""
        return sum(self.weights(candidate).values())


def tie(seed: str, name: str) -> bytes:
    """Breaks ties between equal hosts: the same for the same request, and different for different ones."""
    return hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _multiplier(candidate: Candidate, weigher: Weigher, usual: float) -> float:
    values = []
    for metadata in candidate.host.aggregates.values():
        try:
            values.append(float(metadata[weigher.setting]))
        except (KeyError, ValueError):
            continue
    return min(values, default=usual)
