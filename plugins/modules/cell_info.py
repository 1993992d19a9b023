#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(cell_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cell_info
short_description: List cells
version_added: 0.1.0
description:
  - Returns the cells of the cloud as the database records them. No host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info.whole
seealso:
  - module: agentless.cloud.cell
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of them
  agentless.cloud.cell_info:
  register: listed

- name: Only their names
  agentless.cloud.cell_info:
    query: "[].name"
  register: names
"""

RETURN = r"""
cells:
  description: The cells, each as M(agentless.cloud.cell) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
