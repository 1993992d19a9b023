#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(server_group_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_group_info
short_description: List server groups
version_added: 0.1.0
description:
  - Returns the server groups of a project as the database records them. No host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.server_group
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of them
  agentless.cloud.server_group_info:
  register: listed

- name: Only their names
  agentless.cloud.server_group_info:
    query: "[].name"
  register: names
"""

RETURN = r"""
server_groups:
  description: The server groups, each as M(agentless.cloud.server_group) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
