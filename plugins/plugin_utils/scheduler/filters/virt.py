# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host offers the kind of virtualisation that the image or flavor asks for."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import operators
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec

_FLAVOR = "capabilities:hypervisor_type"
_MODES = {"lxc": "exe"}  # the rest are full machines, hvm


def wanted(request: RequestSpec) -> str | None:
    """``kvm``, ``qemu`` or ``lxc``, by the image's ``img_hv_type`` or the flavor's ``hypervisor_type``."""
    found = request.extra_specs.get("hypervisor_type") or request.image_properties.get("img_hv_type")
    return str(found).lower() if found else None


class VirtType(Filter):
    """The host runs guests of the type asked for.

    ``img_hv_type`` of the image, ``hypervisor_type`` or ``capabilities:hypervisor_type`` of the flavor.
    """

    def concerns(self, request: RequestSpec) -> bool:
        return wanted(request) is not None or _FLAVOR in request.extra_specs

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        offered, asked, rule = candidate.host.virt_types, wanted(request), request.extra_specs.get(_FLAVOR)
        if asked is not None and asked not in offered:
            return f"offers {', '.join(offered) or 'nothing'}, not {asked}"
        if rule is not None and not any(operators.matches(one, rule.lower()) for one in offered):
            return f"offers {', '.join(offered) or 'nothing'}, not {rule}"
        return None


class VmMode(Filter):
    """The host runs guests of the image's ``hw_vm_mode``: ``hvm`` for machines, ``exe`` for containers."""

    def concerns(self, request: RequestSpec) -> bool:
        return bool(request.image_properties.get("hw_vm_mode"))

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        mode = str(request.image_properties["hw_vm_mode"]).lower()
        modes = {_MODES.get(one, "hvm") for one in candidate.host.virt_types}
        return None if mode in modes else f"runs {', '.join(sorted(modes)) or 'nothing'}, not {mode}"
