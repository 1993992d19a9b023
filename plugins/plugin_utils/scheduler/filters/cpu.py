# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host's processor is what the flavor and the image ask for."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import operators
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

_SCOPE = "capabilities:cpu_info:"
_TRAIT = "trait:HW_CPU_X86_"


class CpuArchitecture(Filter):
    """The architecture is the image's ``hw_architecture``."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(request.image_properties.get("hw_architecture"))

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        wanted, found = request.image_properties["hw_architecture"], candidate.host.cpu.get("arch")
        return None if found == wanted else f"architecture is {found or 'not known'}, not {wanted}"


class CpuModel(Filter):
    """Model, vendor and architecture meet the flavor's ``capabilities:cpu_info:...``."""

    def concerns(self, request: RequestSpec) -> bool:
        return any(f"{_SCOPE}{key}" in request.extra_specs for key in ("model", "vendor", "arch"))

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        for key in ("model", "vendor", "arch"):
            wanted = request.extra_specs.get(f"{_SCOPE}{key}")
            found = str(candidate.host.cpu.get(key) or "")
            if wanted is not None and not operators.matches(found, wanted):
                return f"cpu {key} is {found or 'not known'}, not {wanted}"
        return None


class CpuFeatures(Filter):
    """The features are there, or absent: ``capabilities:cpu_info:features``, ``trait:HW_CPU_X86_AVX2=required``."""

    def concerns(self, request: RequestSpec) -> bool:
        return any(key.startswith(_TRAIT) or key == f"{_SCOPE}features" for key in request.extra_specs)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        present = {str(name).lower() for name in candidate.host.cpu.get("features") or ()}
        plain = {name.replace("-", "").replace("_", "").replace(".", "") for name in present}
        for key, value in request.extra_specs.items():
            if key == f"{_SCOPE}features" and not operators.matches(" ".join(sorted(present)), value):
                return f"cpu features do not meet {value!r}"
            if not key.startswith(_TRAIT):
                continue
            feature = key[len(_TRAIT) :].lower().replace("_", "")
            if value == "required" and feature not in plain:
                return f"cpu lacks {feature}"
            if value == "forbidden" and feature in plain:
                return f"cpu has {feature}, which is forbidden"
        return None
