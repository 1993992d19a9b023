# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The virtual hardware of an instance: from values to libvirt's domain XML. Pure: no Ansible, no database, no host."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.devices import device_names
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.domain import domain_xml, interface_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.operation import spawn_operation
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import Options, options
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.spec import (
    Disk,
    DomainSpec,
    Image,
    Nic,
    VolumeDisk,
)

__all__ = [
    "Disk",
    "DomainSpec",
    "Image",
    "Nic",
    "Options",
    "VolumeDisk",
    "device_names",
    "domain_xml",
    "interface_xml",
    "options",
    "spawn_operation",
]
