#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_type); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_type
short_description: Manage volume types
version_added: 0.2.0
description:
  - A volume type says where volumes may live and how fast they may be. Its name is known in the whole cloud.
  - It names one backend, or it says with O(extra_specs) what a backend must have, and the scheduler chooses.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource.whole
options:
  name:
    description: Name of the type, unique in the cloud.
    type: str
    required: true
  state:
    description: Whether the type is to exist. One that volumes have cannot be removed.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: Free text of one line.
    type: str
  backend:
    description:
      - Name of the backend where volumes of this type live, as the role P(agentless.cloud.volume#role) configures it.
        Several storage hosts may have a backend of that name; the scheduler chooses among them.
      - Empty or not given, O(extra_specs) decide alone.
      - Fixed while volumes have the type; change the type of the volumes instead.
    type: str
  extra_specs:
    description:
      - What a backend must have, as text by key. C(driver) is the driver's name (C(lvm), C(file), C(nfs), C(rbd),
        C(gluster)), C(volume_backend_name) the backend's name; any other key is compared with what the backend says it
        can do, such as C(thin).
      - C(connection) is not for backends - it says how a compute host reaches a volume on iSCSI. C(qemu), the default,
        is QEMU's own client; C(host) is the host's own initiator, and C(multipath) that by all addresses of the storage
        host at once. Instances go to hosts that can, see C(compute_host_initiator) of the role
        P(agentless.cloud.compute#role).
      - The whole dictionary is compared and replaced. Fixed while volumes have the type.
    type: dict
  qos:
    description:
      - How a guest's disk behaves, by key. Limits are whole numbers under the names of libvirt's C(iotune), which are
        Cinder's as well - C(total_bytes_sec), C(read_bytes_sec), C(write_bytes_sec), C(total_iops_sec),
        C(read_iops_sec), C(write_iops_sec), each also with C(_max) for bursts and C(_max_length) for their seconds, and
        C(size_iops_sec), the bytes that count as one operation. 0 is no limit.
      - C(cache) is C(none) (the default), C(directsync), C(writethrough) or C(writeback). C(unsafe) is refused, since
        it loses what guests were told to be written. With O(multiattach=true) it is C(none) or C(directsync); volumes
        that are multiattach by themselves get C(none) in place of another.
      - C(discard) says what becomes of what a guest discards, C(unmap) (the default, the backend gets the room back) or
        C(ignore). C(detect_zeroes) is C(off) (the default), C(on), or C(unmap) to discard where a guest writes zeros,
        which needs C(discard) to be C(unmap).
      - C(iothread) is the number of the guest's I/O thread that serves the disk, 1 to 8; disks of one number share the
        thread. 0, the default, is QEMU's main loop. Only virtio disks have threads, others go without.
      - The whole dictionary is compared and replaced. A guest's disk gets it when it is attached, when the task of its
        instance starts or reboots the instance, and when its volume gets another type. The limits are in force at once
        then, under a running guest too; the rest from the guest's next start on, unless the disk is new to it.
    type: dict
  encryption:
    description:
      - Kept for encryption of volumes, which no driver does yet. Anything but an empty dictionary is refused, so that
        no volume passes for encrypted that is not.
    type: dict
  multiattach:
    description: Whether volumes of this type may be attached to several instances at once.
    type: bool
seealso:
  - module: agentless.cloud.volume_type_info
  - module: agentless.cloud.volume
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Volumes on the thin pool, at most 500 operations a second
  agentless.cloud.volume_type:
    name: standard
    backend: lvm1
    qos:
      total_iops_sec: 500
      total_iops_sec_max: 2000
      total_iops_sec_max_length: 30

- name: Volumes for databases, each served by a thread of its guest beside the main loop
  agentless.cloud.volume_type:
    name: database
    backend: lvm1
    qos:
      cache: directsync
      discard: ignore
      iothread: 1

- name: Volumes that compute hosts log in to by all addresses of the storage host
  agentless.cloud.volume_type:
    name: two-ways
    backend: lvm1
    extra_specs:
      connection: multipath

- name: Volumes on any backend of one driver
  agentless.cloud.volume_type:
    name: files
    extra_specs:
      driver: file

- name: Remove a type
  agentless.cloud.volume_type:
    name: files
    state: absent
"""

RETURN = r"""
volume_type:
  description: The type; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the type.
      type: str
      returned: always
    description:
      description: Free text, where there is one.
      type: str
      returned: always
    backend:
      description: Name of its backend, where it names one.
      type: str
      returned: always
    extra_specs:
      description: What a backend must have.
      type: dict
      returned: always
    qos:
      description: How a guest's disk behaves.
      type: dict
      returned: always
    encryption:
      description: Always empty; no driver encrypts yet.
      type: dict
      returned: always
    multiattach:
      description: Whether its volumes may be attached to several instances at once.
      type: bool
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
