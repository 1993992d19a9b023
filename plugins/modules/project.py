#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(project); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: project
short_description: Manage projects and their quota
version_added: 0.1.0
description:
  - A project owns resources, within limits. The project V(default) always exists, and is meant where none is named.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource.whole
options:
  name:
    description: Name of the project.
    type: str
    required: true
  state:
    description: Whether the project is to exist. One that owns anything cannot be removed, nor can V(default).
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What it is for.
    type: str
  enabled:
    description: Whether it is in use, for the reader; nothing is refused to one that is not. A new one has V(true).
    type: bool
  quota:
    description:
      - Limits by resource. V(-1) is no limit. Those left out stay as they are. A limit below what is used is refused.
      - Known are C(instances), C(vcpus), C(ram) (MiB), C(keypairs), C(images), C(server_groups), C(networks),
        C(subnets), C(ports), C(secgroups), C(secgroup_rules), C(volumes), C(gigabytes) and C(floating_ips).
    type: dict
seealso:
  - module: agentless.cloud.project_info
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: A project of at most twenty instances
  agentless.cloud.project:
    name: shop
    description: The web shop
    quota:
      instances: 20
      ram: 65536

- name: The shop is closed
  agentless.cloud.project:
    name: shop
    state: absent
"""

RETURN = r"""
project:
  description: The project; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the project.
      type: str
      returned: always
    description:
      description: What it is for.
      type: str
      returned: always
    enabled:
      description: Whether it is in use.
      type: bool
      returned: always
    quota:
      description: Limits by resource.
      type: dict
      returned: always
    usage:
      description: By resource, how much of the limit is used.
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
