#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(host_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: List compute hosts
version_added: 0.1.0
description:
  - Lists the compute hosts with what they have, what is used of it, and what they can do. No host is contacted.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.host
author:
  - agentless.cloud contributors (@agentless)
"""

EXAMPLES = r"""
- name: See how full the hosts are that placement may choose
  agentless.cloud.host_info:
    query: "[?state=='enabled'].{name: name, used: used, capacity: capacity}"
  register: found

- name: Show them
  ansible.builtin.debug:
    var: found.hosts
"""

RETURN = r"""
hosts:
  description: The hosts by name, or what the query makes of them.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: UUID of the record.
      returned: always
      type: str
      sample: 0c6a0f0e-3f7d-4c26-9b53-5d2a5f1f3f0a
    name:
      description: Inventory name.
      returned: always
      type: str
      sample: compute1
    state:
      description: Whether placement may choose it; enabled, disabled or maintenance.
      returned: always
      type: str
      sample: enabled
    reason:
      description: Why it is in this state.
      returned: always
      type: str
    cell:
      description: Name of its cell.
      returned: always
      type: str
      sample: default
    zone:
      description: Its availability zone.
      returned: always
      type: str
    identity:
      description: The UUID that the machine carries.
      returned: always
      type: str
    address:
      description: Its address in the management network.
      returned: always
      type: str
      sample: 192.0.2.21
    hostname:
      description: What the machine calls itself.
      returned: always
      type: str
    versions:
      description: Versions of its C(kernel), C(libvirt) and C(qemu).
      returned: always
      type: dict
      sample: {kernel: 6.1.0-18-amd64, libvirt: 9.0.0, qemu: 7.2.9}
    virt_types:
      description: How it runs guests, the best first.
      returned: always
      type: list
      elements: str
      sample: [kvm, qemu]
    cpu:
      description: What guests can have of its processor.
      returned: always
      type: dict
      contains:
        arch:
          description: The architecture.
          returned: always
          type: str
          sample: x86_64
        model:
          description: The model, by its name in libvirt.
          returned: always
          type: str
          sample: EPYC
        vendor:
          description: The vendor.
          returned: always
          type: str
          sample: AMD
        features:
          description: All the features, those that the model implies included.
          returned: always
          type: list
          elements: str
    numa:
      description: Its NUMA nodes with C(id), C(ram) in MiB and C(cpus).
      returned: always
      type: list
      elements: dict
    pci_devices:
      description: Its PCI devices with C(address), C(vendor_id), C(product_id), C(class), C(numa_node) and C(driver).
      returned: always
      type: list
      elements: dict
    capacity:
      description: What is counted of it, as C(vcpus), C(ram) in MiB and C(disk) in GiB.
      returned: always
      type: dict
      sample: {vcpus: 64, ram: 262144, disk: 2000}
    reserved:
      description: What is kept for the host itself, in the same units.
      returned: always
      type: dict
    used:
      description: What instances have claimed, in the same units, and how many C(instances) there are.
      returned: always
      type: dict
      sample: {vcpus: 3, ram: 6144, disk: 60, instances: 3}
    allocation_ratios:
      description: How many times each resource may be given away, as C(cpu), C(ram) and C(disk).
      returned: always
      type: dict
    limits:
      description: What is counted at most, as far as the operator has said so.
      returned: always
      type: dict
    first_capacity:
      description:
        - What the machine said that it has when it was first asked, as C(vcpus), C(ram) in MiB and C(disk) in GiB.
        - Empty for a planned host.
      returned: always
      type: dict
      sample: {vcpus: 64, ram: 262144, disk: 2000}
    aggregates:
      description: Its aggregates, each with its metadata.
      returned: always
      type: dict
    planned:
      description: Whether it exists on paper only.
      returned: always
      type: bool
    trusted:
      description: Whether it counts as trusted.
      returned: always
      type: bool
    seen_at:
      description: When the machine last said something new of itself.
      returned: always
      type: str
    created_at:
      description: When it was registered.
      returned: always
      type: str
    updated_at:
      description: When its record changed last.
      returned: always
      type: str
"""
