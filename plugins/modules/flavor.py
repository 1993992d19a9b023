#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(flavor); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flavor
short_description: Manage flavors
version_added: 0.1.0
description:
  - A flavor says how large an instance is. Flavors are known in the whole cloud; O(project) is the project that may use
    one that is not public.
  - An instance keeps a copy of its flavor as it was at boot, so a flavor can be removed at any time.
  - A change of the sizes of a flavor that instances have is refused, for its name would come to mean two things.
    Make a flavor of another name instead. Everything else changes in place, for instances booted from then on.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the flavor, unique in the cloud.
    type: str
    required: true
  state:
    description: Whether the flavor is to exist.
    type: str
    choices: [present, absent]
    default: present
  vcpus:
    description: Number of virtual processors. Needed for a new flavor.
    type: int
  ram:
    description: Memory in MiB. Needed for a new flavor.
    type: int
  disk:
    description: Root disk in GiB. V(0) takes the size of the image. Needed for a new flavor.
    type: int
  ephemeral:
    description: Size in GiB that is claimed for a second disk. A new flavor has V(0).
    type: int
  swap:
    description: Swap in MiB. A new flavor has V(0).
    type: int
  extra_specs:
    description:
      - Further properties under the names that Nova uses, such as C(hw_rng:allowed) or
        C(aggregate_instance_extra_specs:ssd). All of them together; those left out go. One of C(hw:), C(hw_rng:),
        C(quota:) or C(os:) that does not exist here is refused.
      - C(quota:disk_total_bytes_sec), C(quota:disk_read_bytes_sec), C(quota:disk_write_bytes_sec) and the same with
        C(iops) limit the instance's own disk. With C(_max) they are bursts, with C(_max_length) the seconds that these
        last, and C(quota:disk_size_iops_sec) is what counts as one operation; these three are not Nova's. Volumes have
        the limits of their types alone, as in Nova.
    type: dict
  is_public:
    description: Whether every project can use the flavor. A new flavor has V(true).
    type: bool
seealso:
  - module: agentless.cloud.flavor_info
  - module: agentless.cloud.instance
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: A small flavor
  agentless.cloud.flavor:
    name: small
    vcpus: 1
    ram: 2048
    disk: 20

- name: One for hosts with fast disks
  agentless.cloud.flavor:
    name: fast
    vcpus: 4
    ram: 8192
    disk: 80
    extra_specs:
      aggregate_instance_extra_specs:ssd: "true"

- name: One whose disk does 500 operations a second, and 2000 for half a minute
  agentless.cloud.flavor:
    name: steady
    vcpus: 2
    ram: 4096
    disk: 40
    extra_specs:
      quota:disk_total_iops_sec: "500"
      quota:disk_total_iops_sec_max: "2000"
      quota:disk_total_iops_sec_max_length: "30"

- name: Remove it
  agentless.cloud.flavor:
    name: fast
    state: absent
"""

RETURN = r"""
flavor:
  description: The flavor; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the flavor.
      type: str
      returned: always
    project_id:
      description: ID of the project that made it.
      type: str
      returned: always
    vcpus:
      description: Virtual processors.
      type: int
      returned: always
    ram:
      description: Memory in MiB.
      type: int
      returned: always
    disk:
      description: Root disk in GiB.
      type: int
      returned: always
    extra_specs:
      description: Further properties.
      type: dict
      returned: always
    created_at:
      description: When it was made, as UTC in ISO 8601.
      type: str
      returned: always
    updated_at:
      description: When it last changed, as UTC in ISO 8601.
      type: str
      returned: always
"""
