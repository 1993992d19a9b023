#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(host); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Register, change and remove compute hosts
version_added: 0.1.0
description:
  - Asks a machine of the inventory what it is and can do, and keeps the answer as the record that placement works with.
  - With O(resources), a host is planned on paper and no machine is touched.
  - A machine is recognized by a UUID of its own. When another one answers under the same name, nothing is done.
  - Only options that are given are compared with an existing host. What the machine says can raise no limit that its
    operator has set with O(limits), O(reserved) or O(allocation_ratios).
  - What the machine says of its size when it is first asked is kept for good. Where it later says more than a tenth
    above that, the task fails and nothing is recorded, until its operator gives a limit for that resource.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Inventory name of the host. Without it, the host that the task runs for.
    type: str
  state:
    description:
      - V(enabled) lets placement choose the host.
      - V(disabled) and V(maintenance) keep new instances away. A host that is known already is not contacted for it,
        since it may be dead.
      - V(absent) forgets the host. It is refused while instances are on it, and the machine itself is not touched.
    type: str
    choices: [enabled, disabled, maintenance, absent]
    default: enabled
  reason:
    description: Why the host is in this state. Enabling the host without a reason removes the present one.
    type: str
  cell:
    description: Name or ID of the cell that the host belongs to. The default cell for a new host.
    type: str
  zone:
    description: The availability zone of the host. That of its cell for a new host.
    type: str
  address:
    description:
      - Address of the host in the management network.
      - Without it, the address where the controller's connection arrives.
    type: str
  aggregates:
    description:
      - All the aggregates that the host is in, each with its metadata as a dictionary.
      - Flavors ask for the metadata with extra specs C(aggregate_instance_extra_specs:KEY).
    type: dict
  allocation_ratios:
    description: How many times each resource may be given away.
    type: dict
    suboptions:
      cpu:
        description: For virtual CPUs. 4.0 for a new host.
        type: float
      ram:
        description: For memory. 1.0 for a new host.
        type: float
      disk:
        description: For disk space. 1.0 for a new host.
        type: float
  reserved:
    description: What is kept for the host itself.
    type: dict
    suboptions:
      vcpus:
        description: Threads of the processors. 0 for a new host.
        type: int
      ram:
        description: MiB of memory. 512 for a new host, and 0 for a planned one.
        type: int
      disk:
        description: GiB of disk space. 0 for a new host.
        type: int
  limits:
    description:
      - What is counted at most, whatever the machine says that it has.
      - A resource with a limit may also grow up to it. One without stays as it was when the machine was first asked,
        but for a tenth more.
    type: dict
    suboptions:
      vcpus:
        description: Threads of the processors.
        type: int
      ram:
        description: MiB of memory.
        type: int
      disk:
        description: GiB of disk space.
        type: int
  resources:
    description:
      - What a planned host has. No connection is made.
      - Without it, a planned host of the inventory becomes a real one.
    type: dict
    suboptions:
      vcpus:
        description: Threads of the processors.
        type: int
        required: true
      ram:
        description: MiB of memory.
        type: int
        required: true
      disk:
        description: GiB of disk space.
        type: int
        required: true
  virt_types:
    description: What a planned host is to run guests with. V(kvm) without it. A real host says so itself.
    type: list
    elements: str
    choices: [kvm, qemu]
notes:
  - C(kvm) is among the RV(host.virt_types) only where a small guest really ran under it. The device C(/dev/kvm) alone
    proves nothing.
seealso:
  - module: agentless.cloud.host_info
  - module: agentless.cloud.cell
author:
  - agentless.cloud contributors (@agentless)
"""

EXAMPLES = r"""
- name: Register the host that the play runs for with what it finds there
  agentless.cloud.host:
    zone: rack1
    aggregates:
      fast:
        ssd: "true"
    allocation_ratios:
      cpu: 8.0
    reserved:
      ram: 2048

- name: Plan with a machine that is not there yet
  agentless.cloud.host:
    name: planned1
    resources:
      vcpus: 64
      ram: 262144
      disk: 2000

- name: Keep new instances away from a host
  agentless.cloud.host:
    name: planned1
    state: maintenance
    reason: a new power supply

- name: Give the plan up
  agentless.cloud.host:
    name: planned1
    state: absent
"""

RETURN = r"""
host:
  description: The host, or null when it is absent. In check mode without what only the real run decides.
  returned: success
  type: dict
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
    datapath:
      description: Where Open vSwitch moves the host's frames, V(system) (the kernel) or V(netdev) (its own process).
      returned: when the machine was asked
      type: str
    connections:
      description: How the host can reach volumes itself, beside QEMU's own client.
      returned: always
      type: list
      elements: str
      sample: [host, multipath]
    initiator:
      description:
        - The name by which the host logs in to the iSCSI targets of volumes. A volume is opened to this name alone.
        - Where somebody changes C(/etc/iscsi/initiatorname.iscsi), the host must be registered again.
      returned: when the machine was asked
      type: str
      sample: iqn.2026-01.cloud.agentless:8d3f0b52-7a43-4b8e-9f0a-6f2b1c7d9e10
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
