# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host can reach the volumes of the instance."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class Connections(Filter):
    """The host has the initiator that the types of the instance's volumes demand (``connection``)."""

    def concerns(self, request: RequestSpec) -> bool:
        return request.able is not None

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        there = request.able or frozenset()
        return None if candidate.host.name in there else f"cannot reach volumes by {' and '.join(request.connections)}"
