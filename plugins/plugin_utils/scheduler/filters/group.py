# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host keeps to the policy of the request's server group."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class Affinity(Filter):
    """The group has no host yet, or this one. A batch goes to one host as a whole (see the pipeline)."""

    def concerns(self, request: RequestSpec) -> bool:
        return request.policy == "affinity"

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        taken = sorted(request.group.hosts) if request.group else []
        if not taken or candidate.members:
            return None
        return f"the group is on {', '.join(taken)}"


class AntiAffinity(Filter):
    """Fewer members of the group than one host may have are on it."""

    moves = True

    def concerns(self, request: RequestSpec) -> bool:
        return request.policy == "anti-affinity"

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        most = request.group.max_per_host if request.group else 1
        return None if candidate.members < most else f"has {candidate.members} of the group already"
