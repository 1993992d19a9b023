# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host's aggregates carry what the flavor asks for."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import operators
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

_SCOPE = "aggregate_instance_extra_specs:"


class AggregateExtraSpecs(Filter):
    """Each ``aggregate_instance_extra_specs:<key>`` of the flavor is met by an aggregate of the host.

    Metadata may name several values, divided by commas; one of them must match.

    Nova also takes keys without a scope for this; here a key needs the scope, so that a misspelt one of another kind
    does not empty the cloud.
    """

    def concerns(self, request: RequestSpec) -> bool:
        return any(key.startswith(_SCOPE) for key in request.extra_specs)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        for key, wanted in request.extra_specs.items():
            if not key.startswith(_SCOPE):
                continue
            word = key[len(_SCOPE) :]
            values = {
                value.strip()
                for metadata in candidate.host.aggregates.values()
                if word in metadata
                for value in str(metadata[word]).split(",")
            }
            if not any(operators.matches(value, wanted) for value in values):
                found = f"is {', '.join(sorted(values))}" if values else "is in no aggregate"
                return f"{word} {found}, wanted {wanted}"
        return None
