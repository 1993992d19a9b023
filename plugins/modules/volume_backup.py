#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_backup); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_backup
short_description: Manage backups of volumes
version_added: 0.2.0
description:
  - A backup is a copy of a volume in a file, or on another backend, of its storage host. It outlives the volume.
  - A new volume is made from it with the option O(agentless.cloud.volume#module:backup).
  - It counts into the project's quota C(volume_backups).
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the backup, unique in the project.
    type: str
    required: true
  state:
    description: Whether the backup is to exist. One that others are increments of cannot be removed.
    type: str
    choices: [present, absent]
    default: present
  volume:
    description: Name or ID of the volume. Needed for a new backup.
    type: str
  incremental:
    description:
      - Keep only what has changed since the last backup of the same volume, to the same place. Where there is none yet,
        or the driver cannot tell, the backup is a full one.
    type: bool
    default: false
  force:
    description: Make the backup although the volume is attached. It then holds what a disk holds after a power cut.
    type: bool
    default: false
  backend:
    description: Name of another backend of the storage host, where the copy is kept. Without it, it is kept in a file.
    type: str
  timeout:
    description: Seconds that one call to a host may take; copying a large volume needs long.
    type: int
    default: 3600
seealso:
  - module: agentless.cloud.volume_backup_info
  - module: agentless.cloud.volume
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of it on Sundays
  agentless.cloud.volume_backup:
    name: data-sunday
    volume: data

- name: What has changed since then
  agentless.cloud.volume_backup:
    name: data-monday
    volume: data
    incremental: true

- name: Remove the backup
  agentless.cloud.volume_backup:
    name: data-monday
    state: absent
"""

RETURN = r"""
volume_backup:
  description: The backup; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the backup.
      type: str
      returned: always
    project_id:
      description: ID of the project that owns it.
      type: str
      returned: always
    volume:
      description: Name of the volume, as long as that exists.
      type: str
      returned: always
    volume_id:
      description: ID of the volume, as long as that exists.
      type: str
      returned: always
    size:
      description: Size in GiB, as the volume had then.
      type: int
      returned: always
    status:
      description: C(available), or what is being done to it.
      type: str
      returned: always
    kind:
      description: Where it is kept, C(file) or C(backend).
      type: str
      returned: always
    incremental:
      description: Whether it needs another backup.
      type: bool
      returned: always
    parent_id:
      description: ID of the backup that it is an increment of.
      type: str
      returned: always
    host:
      description: Inventory name of the storage host that keeps it.
      type: str
      returned: always
    backend:
      description: Name of the backend that keeps it, where it is not a file.
      type: str
      returned: always
    checksum:
      description: Checksum of its content, where the driver makes one.
      type: str
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
