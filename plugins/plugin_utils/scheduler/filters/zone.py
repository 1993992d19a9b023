# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is in the availability zone asked for."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class Zone(Filter):
    """The host's zone is the one asked for."""

    def concerns(self, request: RequestSpec) -> bool:
        return request.zone is not None

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        zone = candidate.host.zone
        return None if zone == request.zone else f"zone is {zone or 'not set'}, not {request.zone}"
