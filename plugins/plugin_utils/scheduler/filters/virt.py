# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host offers the kind of virtualisation that the image or flavor asks for."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


def wanted(request: RequestSpec) -> str | None:
    """``kvm``, ``qemu`` or ``lxc``, by the image's ``img_hv_type`` or the flavor's ``hypervisor_type``."""
    found = request.extra_specs.get("hypervisor_type") or request.image_properties.get("img_hv_type")
    return str(found).lower() if found else None


class VirtType(Filter):
    """The host runs guests of the type asked for: ``img_hv_type`` of the image, ``hypervisor_type`` of the flavor."""

    def concerns(self, request: RequestSpec) -> bool:
        return wanted(request) is not None

    def why_not(self, candidate: Candidate, request: RequestSpec) -> str | None:
        offered = candidate.host.virt_types
        asked = wanted(request)
        return None if asked in offered else f"offers {', '.join(offered) or 'nothing'}, not {asked}"
