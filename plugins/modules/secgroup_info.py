#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(secgroup_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secgroup_info
short_description: List security groups
version_added: 0.1.0
description:
  - Returns the security groups of a project, as the database records them. No host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.secgroup
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All security groups of the project
  agentless.cloud.secgroup_info:
  register: listed

- name: Ports that one group opens
  agentless.cloud.secgroup_info:
    name: web
    query: "[].rules[?direction=='ingress'].port_range_min[]"
  register: open
"""

RETURN = r"""
secgroups:
  description: The security groups, each as M(agentless.cloud.secgroup) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
