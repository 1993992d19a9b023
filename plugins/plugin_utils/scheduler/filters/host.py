# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host may be used at all."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class HostEnabled(Filter):
    """The host is enabled, and for a guest that is to run it is more than a plan."""

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        host = candidate.host
        if host.state != "enabled":
            return f"{host.state}: {host.reason}" if host.reason else host.state
        if request.real and host.planned:
            return "planned: registered with resources, without a machine"
        return None


class ForcedHost(Filter):
    """It is the host asked for by name."""

    def concerns(self, request: RequestSpec) -> bool:
        return request.force_host is not None

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return None if candidate.host.name == request.force_host else f"{request.force_host} was asked for"


class Retry(Filter):
    """It has not failed for this instance in this run."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(request.exclude)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return "tried already" if candidate.host.name in request.exclude else None
