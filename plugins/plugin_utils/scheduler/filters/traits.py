# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Traits: what a flavor's extra specs or an image's properties require or forbid of a host by a word of Placement's."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

SCOPE = "trait:"
CPU = "HW_CPU_X86_"
REQUIRED, FORBIDDEN = "required", "forbidden"


def asked(request: RequestSpec) -> list[tuple[str, str]]:
    """Each trait with ``required`` or ``forbidden``, of the flavor and of the image: both must be met."""
    return [
        (key[len(SCOPE) :], str(value))
        for source in (request.extra_specs, request.image_properties)
        for key, value in source.items()
        if key.startswith(SCOPE)
    ]


def of_cpu(trait: str) -> bool:
    """Whether the trait is a feature of an x86 processor."""
    return trait.startswith(CPU)


class Traits(Filter):
    """No trait is required that hosts here are not known to have. Those of processors are :class:`CpuFeatures`' own."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(_strange(request))

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        return f"trait {_strange(request)[0]} is not known of any host"


def _strange(request: RequestSpec) -> list[str]:
    return sorted(trait for trait, value in asked(request) if value == REQUIRED and not of_cpu(trait))
