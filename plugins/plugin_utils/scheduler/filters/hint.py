# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host keeps to the hints about other instances."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class SameHost(Filter):
    """One of the instances named by the hint ``same_host`` is on it."""

    def concerns(self, request: RequestSpec) -> bool:
        return request.same_host is not None

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        there = request.same_host or frozenset()
        return None if candidate.host.name in there else "has none of the instances of same_host"


class DifferentHost(Filter):
    """None of the instances named by the hint ``different_host`` is on it."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(request.different_host)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return "has an instance of different_host" if candidate.host.name in request.different_host else None
