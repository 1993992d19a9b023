#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(network_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: List networks
version_added: 0.1.0
description:
  - Returns the networks that a project can use, its own and those that others share, as the database records them. No
    host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.network
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All networks of the project
  agentless.cloud.network_info:
  register: listed

- name: Prefixes of one network
  agentless.cloud.network_info:
    name: private
    query: "[].subnets[].cidr"
  register: prefixes
"""

RETURN = r"""
networks:
  description: The networks, each as M(agentless.cloud.network) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
