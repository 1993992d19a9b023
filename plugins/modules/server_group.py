#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(server_group); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_group
short_description: Manage groups of instances that are placed together or apart
version_added: 0.1.0
description:
  - An instance joins a server group when it is booted, with the option O(agentless.cloud.instance#module:server_group).
  - The policies V(affinity) and V(anti-affinity) are kept whatever happens at the same time; the soft ones are wishes.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the group, unique in the project.
    type: str
    required: true
  state:
    description: Whether the group is to exist. One with members cannot be removed.
    type: str
    choices: [present, absent]
    default: present
  policy:
    description: How its members are placed. Needed for a new group; fixed while it has members.
    type: str
    choices: [affinity, anti-affinity, soft-affinity, soft-anti-affinity]
  max_per_host:
    description:
      - With O(policy=anti-affinity), how many members one host may have; one where nothing is said.
      - Fixed while the group has members.
    type: int
seealso:
  - module: agentless.cloud.server_group_info
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Members on different hosts
  agentless.cloud.server_group:
    name: spread
    policy: anti-affinity

- name: Remove the group
  agentless.cloud.server_group:
    name: spread
    state: absent
"""

RETURN = r"""
server_group:
  description: The group; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the group.
      type: str
      returned: always
    project_id:
      description: ID of the project that made it.
      type: str
      returned: always
    policy:
      description: How its members are placed.
      type: str
      returned: always
    max_per_host:
      description: How many members one host may have, where that was said.
      type: int
      returned: always
    members:
      description: The instances in it, each with C(id), C(name) and C(compute_host).
      type: list
      elements: dict
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
