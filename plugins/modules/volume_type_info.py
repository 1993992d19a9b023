#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_type_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_type_info
short_description: List volume types
version_added: 0.2.0
description:
  - Returns the volume types of the cloud. No host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info.whole
seealso:
  - module: agentless.cloud.volume_type
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of them
  agentless.cloud.volume_type_info:
  register: listed

- name: Types of one backend
  agentless.cloud.volume_type_info:
    query: "[?backend=='lvm1'].name"
  register: names
"""

RETURN = r"""
volume_types:
  description: The volume types, each as M(agentless.cloud.volume_type) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
