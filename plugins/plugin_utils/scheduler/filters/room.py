# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether there is room. The claim asks again, in the database, where nobody can slip in between."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


class Ram(Filter):
    """Free RAM, in MiB, overcommit included."""

    moves = True

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return None if candidate.ram >= request.ram else f"{candidate.ram} MiB of RAM left, {request.ram} wanted"


class Vcpus(Filter):
    """Free vCPUs, overcommit included."""

    moves = True

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return None if candidate.vcpus >= request.vcpus else f"{candidate.vcpus} vCPUs left, {request.vcpus} wanted"


class Disk(Filter):
    """Free disk, in GiB, overcommit included."""

    moves = True

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return None if candidate.disk >= request.disk else f"{candidate.disk} GiB of disk left, {request.disk} wanted"
