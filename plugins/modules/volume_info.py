#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_info
short_description: List volumes
version_added: 0.2.0
description:
  - Returns the volumes of a project as the database records them, with what they are attached to. No host is
    asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.volume
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of them
  agentless.cloud.volume_info:
  register: listed

- name: Volumes that nothing uses
  agentless.cloud.volume_info:
    query: "[?status=='available'].name"
  register: idle
"""

RETURN = r"""
volumes:
  description: The volumes, each as M(agentless.cloud.volume) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
