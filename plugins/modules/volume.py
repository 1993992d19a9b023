#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume
short_description: Manage volumes
version_added: 0.2.0
description:
  - A volume is a disk that lives on a storage host and outlives the instances it is attached to.
  - It is made empty, from an image, from a snapshot, from another volume or from a backup. Growing O(size) extends it,
    also while it is attached; changing O(volume_type) moves its data to another backend where the new type needs that.
  - A run that was killed is finished, or undone, by running the same task again.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description:
      - Name of the volume, unique in the project.
      - With O(count), the volumes are called V(name-1), V(name-2) and so on.
    type: str
    required: true
  count:
    description:
      - How many equal volumes there are to be. They are made by one call to each storage host.
      - Lowering the number deletes nothing. To remove some, name them with O(state=absent).
    type: int
  state:
    description:
      - Whether the volume is to exist. One that is attached cannot be removed, nor one with snapshots unless
        O(delete_snapshots=true).
      - Its data are discarded or overwritten, so that who gets the same storage next reads zeros.
    type: str
    choices: [present, absent]
    default: present
  size:
    description:
      - Size in GiB. It can grow and never shrink.
      - A new volume needs it, unless it is made from a snapshot or a volume, whose size it then has, or from an image,
        whose virtual size or C(min_disk) it then has.
    type: int
  volume_type:
    description:
      - Name or ID of its type. Without it, a new volume may live on any backend, or, made from a snapshot or a volume,
        has the type of that one.
      - Changed on a volume that exists, its data move to a backend of the new type where its own does not fit.
    type: str
  image:
    description: Name or ID of an image that a new volume gets the content of. Such a volume can be booted from.
    type: str
  snapshot:
    description: Name or ID of a snapshot that a new volume gets the content of.
    type: str
  source_volume:
    description: Name or ID of a volume, not attached, that a new volume gets the content of.
    type: str
  backup:
    description: Name or ID of a backup that a new volume gets the content of. It is made on the backend of the backup.
    type: str
  multiattach:
    description:
      - Whether it may be attached to several instances at once. Without it, as its type says.
      - Changes only while it is not attached.
    type: bool
  metadata:
    description: Free texts by key. Keys that are not named keep what they have.
    type: dict
  zone:
    description: Zone of the backend that a new volume is placed on.
    type: str
  scheduler_hints:
    description: Wishes about where a new volume is placed.
    type: dict
    suboptions:
      same_host:
        description: Names or IDs of volumes whose storage host it must be on.
        type: list
        elements: str
      different_host:
        description: Names or IDs of volumes whose storage hosts it must not be on.
        type: list
        elements: str
  delete_snapshots:
    description: With O(state=absent), remove its snapshots as well.
    type: bool
    default: false
  timeout:
    description: Seconds that one call to a host may take; copying a large image or volume needs long.
    type: int
    default: 3600
seealso:
  - module: agentless.cloud.volume_info
  - module: agentless.cloud.volume_type
  - module: agentless.cloud.volume_snapshot
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Ten GiB for a database
  agentless.cloud.volume:
    name: data
    size: 10
    volume_type: standard

- name: A volume to boot from
  agentless.cloud.volume:
    name: root
    image: debian-12
    size: 10

- name: Four disks at once
  agentless.cloud.volume:
    name: spare
    count: 4
    size: 1

- name: The same volume, larger, and on another backend
  agentless.cloud.volume:
    name: data
    size: 20
    volume_type: fast

- name: A copy
  agentless.cloud.volume:
    name: data-copy
    source_volume: data

- name: Remove it with its snapshots
  agentless.cloud.volume:
    name: data
    state: absent
    delete_snapshots: true
"""

RETURN = r"""
volume:
  description: The volume, with O(count) the first one; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID. A guest sees its first part as the serial number of the disk.
      type: str
      returned: always
    name:
      description: Name of the volume.
      type: str
      returned: always
    project_id:
      description: ID of the project that owns it.
      type: str
      returned: always
    size:
      description: Size in GiB.
      type: int
      returned: always
    status:
      description: C(available), C(in-use), or what is being done to it.
      type: str
      returned: always
    volume_type:
      description: Name of its type, where it has one.
      type: str
      returned: always
    host:
      description: Inventory name of the storage host, and the backend's name after a C(@).
      type: str
      returned: always
    backend:
      description: Name of its backend.
      type: str
      returned: always
    multiattach:
      description: Whether it may be attached to several instances at once.
      type: bool
      returned: always
    bootable:
      description: Whether it was made from an image.
      type: bool
      returned: always
    source:
      description: What it was made from, with C(kind), C(id) and C(name); null for one made empty.
      type: dict
      returned: always
    attachments:
      description: The instances it is attached to, each with C(instance_id), C(instance), C(host), C(device) and
        C(status).
      type: list
      elements: dict
      returned: always
    metadata:
      description: Free texts by key.
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
volumes:
  description: The volumes, each like RV(volume).
  returned: with O(count)
  type: list
  elements: dict
"""
