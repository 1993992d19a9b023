# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Weights on one scale for the whole of a batch, and an order among equals."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.weighers import WEIGHERS, Weigher

# The first and the last of a UUID, those that leave enough behind them to tell hosts apart.
_DIGITS = (*range(1, 9), *range(25, 31))


class Scales:
    """Weighs candidates on a scale fixed at the start, so that a pick moves one weight and no other.

    :param multipliers: by setting name, instead of the defaults.
    :param peaks: by weigher, the largest number among more hosts than these.
    :raises BadInput: a multiplier that no weigher has.
    """

    def __init__(
        self,
        request: RequestSpec,
        candidates: Sequence[Candidate],
        multipliers: Mapping[str, float] | None,
        peaks: Mapping[str, float] | None = None,
    ) -> None:
        given = dict(multipliers or {})
        unknown = sorted(set(given) - {weigher.setting for weigher in WEIGHERS})
        if unknown:
            known = ", ".join(weigher.setting for weigher in WEIGHERS)
            raise BadInput(f"There is no weight multiplier {unknown[0]!r}; there are {known}.")
        settings = {key for one in candidates for metadata in one.host.aggregates.values() for key in metadata}
        self._parts: list[tuple[Weigher, float, float, float]] = []
        for weigher in WEIGHERS:
            multiplier = given.get(weigher.setting, weigher.multiplier)
            if not weigher.concerns(request) or not (multiplier or weigher.setting in settings):
                continue
            numbers = [weigher.raw(candidate) for candidate in candidates] or [0.0]
            low = min(numbers) if weigher.ranged else 0.0
            high = max(numbers)
            high = max(high, (peaks or {}).get(weigher.name, high))
            # A batch adds members where there were none, so an all-equal soft policy still needs a scale.
            span = high - low or (1.0 if weigher.policy else 0.0)
            if span:
                self._parts.append((weigher, multiplier, low, span))
        self._overridden = not settings.isdisjoint(weigher.setting for weigher in WEIGHERS)

    def parts(self, candidate: Candidate) -> dict[str, float]:
        """The part that each weigher adds, by its name."""
        own = self._overridden and candidate.host.aggregates
        return {
            weigher.name: (_of_aggregates(candidate, weigher, multiplier) if own else multiplier)
            * ((weigher.raw(candidate) - low) / span)
            for weigher, multiplier, low, span in self._parts
        }

    def weight(self, candidate: Candidate) -> float:
        """The sum of the parts."""
        if self._overridden:
            return sum(self.parts(candidate).values())
        total = 0.0
        for weigher, multiplier, low, span in self._parts:
            total += multiplier * ((weigher.raw(candidate) - low) / span)
        return total


class Ties:
    """An order among equal hosts: the same for the same seed, and another for another, so that requests spread.

    Hosts stand in a circle by their ids, which are random; the seed says where it starts, and from which digit on ids
    are compared, since one circle has wide gaps and narrow ones. A database can do the same.

    :ivar digit: the first digit that is compared, counted from 1.
    :ivar start: what the circle starts with, whether or not a host has it.
    """

    def __init__(self, seed: str) -> None:
        digest = hashlib.blake2b(seed.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        self.digit = _DIGITS[digest[-1] % len(_DIGITS)]
        self.start = str(uuid.UUID(bytes=digest))[self.digit - 1 :]

    def rank(self, host_id: str) -> tuple[bool, str, str]:
        """Where the host stands among its equals."""
        place = host_id[self.digit - 1 :]
        return place < self.start, place, host_id


def _of_aggregates(candidate: Candidate, weigher: Weigher, usual: float) -> float:
    """The lowest multiplier that an aggregate of the host sets; the usual one where none does, or one is no number."""
    given = [
        metadata[weigher.setting] for metadata in candidate.host.aggregates.values() if weigher.setting in metadata
    ]
    try:
        return min((float(value) for value in given), default=usual)
    except (TypeError, ValueError):
        return usual
