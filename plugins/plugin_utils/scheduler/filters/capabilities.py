# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether capabilities are asked for that no filter knows."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

_SCOPE = "capabilities:"
_KNOWN = frozenset(
    {
        "capabilities:hypervisor_type",
        *(f"capabilities:cpu_info:{key}" for key in ("arch", "model", "vendor", "features")),
    }
)


class Capabilities(Filter):
    """Every ``capabilities:<path>`` of the flavor is one that hosts report; as in Nova, what is not reported fails."""

    def concerns(self, request: RequestSpec) -> bool:
        return any(key.startswith(_SCOPE) and key not in _KNOWN for key in request.extra_specs)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        unknown = sorted(key for key in request.extra_specs if key.startswith(_SCOPE) and key not in _KNOWN)
        return f"{unknown[0]} is not reported by hosts" if unknown else None
