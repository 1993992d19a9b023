#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_snapshot); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_snapshot
short_description: Manage snapshots of volumes
version_added: 0.2.0
description:
  - A snapshot is a volume as it was at one moment, kept beside it on the same backend. New volumes can be made from it.
  - It counts into the project's quotas C(volume_snapshots) and, with the volume's size, C(gigabytes).
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the snapshot, unique in the project.
    type: str
    required: true
  state:
    description: Whether the snapshot is to exist.
    type: str
    choices: [present, absent]
    default: present
  volume:
    description: Name or ID of the volume. Needed for a new snapshot.
    type: str
  force:
    description:
      - Take the snapshot although the volume is attached. It then holds what a disk holds after a power cut; what the
        guest has not written yet is not in it.
    type: bool
    default: false
  metadata:
    description: Free texts by key. Keys that are not named keep what they have.
    type: dict
  timeout:
    description: Seconds that one call to a host may take; a backend without snapshots of its own copies the volume.
    type: int
    default: 3600
seealso:
  - module: agentless.cloud.volume_snapshot_info
  - module: agentless.cloud.volume
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: The volume as it is now, although a guest uses it
  agentless.cloud.volume_snapshot:
    name: data-monday
    volume: data
    force: true

- name: A volume with what the snapshot holds
  agentless.cloud.volume:
    name: data-of-monday
    snapshot: data-monday

- name: Remove the snapshot
  agentless.cloud.volume_snapshot:
    name: data-monday
    state: absent
"""

RETURN = r"""
volume_snapshot:
  description: The snapshot; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the snapshot.
      type: str
      returned: always
    project_id:
      description: ID of the project that owns it.
      type: str
      returned: always
    volume:
      description: Name of the volume.
      type: str
      returned: always
    volume_id:
      description: ID of the volume.
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
"""
