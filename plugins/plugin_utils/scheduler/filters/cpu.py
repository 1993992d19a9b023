# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host's processor is what the flavor and the image ask for."""

from __future__ import annotations

from functools import lru_cache

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import operators
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import traits
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

SCOPE = "capabilities:cpu_info:"
_MODEL = ("model", "vendor", "arch")
_ALIASES = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64", "powerpc64le": "ppc64le"}
# Traits whose feature has another name in libvirt.
_FEATURES = {
    "aesni": "aes",
    "clmul": "pclmuldq",
    "intelvmx": "vmx",
    "amdsvm": "svm",
    "sha": "shani",
}


class CpuArchitecture(Filter):
    """The architecture is the image's ``hw_architecture``."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(request.image_properties.get("hw_architecture"))

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        wanted, found = request.image_properties["hw_architecture"], candidate.host.cpu.get("arch")
        if _canonical(str(found)) == _canonical(str(wanted)):
            return None
        return f"architecture is {found or 'not known'}, not {wanted}"


class CpuModel(Filter):
    """Model, vendor and architecture meet the flavor's ``capabilities:cpu_info:...``."""

    def concerns(self, request: RequestSpec) -> bool:
        return any(f"{SCOPE}{key}" in request.extra_specs for key in _MODEL)

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        for key in _MODEL:
            wanted = request.extra_specs.get(f"{SCOPE}{key}")
            found = str(candidate.host.cpu.get(key) or "")
            if wanted is not None and not operators.matches(found, wanted):
                return f"cpu {key} is {found or 'not known'}, not {wanted}"
        return None


class CpuFeatures(Filter):
    """The features are there, or absent: ``capabilities:cpu_info:features``, ``trait:HW_CPU_X86_AVX2=required``.

    Traits may stand in the flavor's extra specs and in the image's properties.
    """

    def concerns(self, request: RequestSpec) -> bool:
        return f"{SCOPE}features" in request.extra_specs or any(
            traits.of_cpu(trait) for trait, _value in traits.asked(request)
        )

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        names = tuple(candidate.host.cpu.get("features") or ())
        wanted = request.extra_specs.get(f"{SCOPE}features")
        if wanted is not None and not operators.matches_list(names, wanted):
            return f"cpu features do not meet {wanted!r}"
        plain = _plain(names)
        for trait, value in traits.asked(request):
            if not traits.of_cpu(trait):
                continue
            feature = _feature(trait)
            if value == traits.REQUIRED and feature not in plain:
                return f"cpu lacks {feature} ({trait})"
            if value == traits.FORBIDDEN and feature in plain:
                return f"cpu has {feature}, which is forbidden ({trait})"
        return None


def _canonical(name: str) -> str:
    return _ALIASES.get(name.lower(), name.lower())


def _feature(trait: str) -> str:
    """What libvirt calls it, without signs: HW_CPU_X86_SSE42 is ``sse4.2`` there."""
    word = trait[len(traits.CPU) :].lower().replace("_", "")
    return _FEATURES.get(word, word)


@lru_cache(maxsize=256)
def _plain(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(str(name).lower().replace("-", "").replace("_", "").replace(".", "") for name in names)
