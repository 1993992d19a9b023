#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(cell); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cell
short_description: Manage cells, named groups of compute hosts
version_added: 0.1.0
description:
  - A cell is a group of compute hosts. Every cloud has the cell V(default), to which hosts belong that name no other.
  - The schema keeps what belongs to a cell apart from what belongs to the cloud. For now all cells live in the cloud's
    database.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource.whole
options:
  name:
    description: Name of the cell.
    type: str
    required: true
  state:
    description: Whether the cell is to exist. One with hosts cannot be removed, nor can V(default).
    type: str
    choices: [present, absent]
    default: present
  zone:
    description: Availability zone of its hosts, where they name none of their own.
    type: str
  virt_type:
    description: How its hosts run guests.
    type: str
    choices: [kvm, qemu]
seealso:
  - module: agentless.cloud.cell_info
  - module: agentless.cloud.host
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: A cell in the second hall
  agentless.cloud.cell:
    name: east
    zone: east1

- name: Give it up
  agentless.cloud.cell:
    name: east
    state: absent
"""

RETURN = r"""
cell:
  description: The cell; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the cell.
      type: str
      returned: always
    zone:
      description: Its availability zone.
      type: str
      returned: always
    virt_type:
      description: How its hosts run guests.
      type: str
      returned: always
    hosts:
      description: Inventory names of its hosts.
      type: list
      elements: str
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
