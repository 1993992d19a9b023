#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(image_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: List images
version_added: 0.1.0
description:
  - Returns the images that a project can use, its own and those that others share, as the database records them. No
    host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.image
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All images that the project can use
  agentless.cloud.image_info:
  register: listed

- name: Names of those that are tagged stable
  agentless.cloud.image_info:
    query: "[?contains(tags, 'stable')].name"
  register: stable
"""

RETURN = r"""
images:
  description: The images, each as M(agentless.cloud.image) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
