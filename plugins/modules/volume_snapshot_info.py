#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(volume_snapshot_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_snapshot_info
short_description: List snapshots of volumes
version_added: 0.2.0
description:
  - Returns the snapshots of a project's volumes as the database records them. No host is asked.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.volume_snapshot
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All of them
  agentless.cloud.volume_snapshot_info:
  register: listed

- name: Snapshots of one volume
  agentless.cloud.volume_snapshot_info:
    query: "[?volume=='data'].name"
  register: names
"""

RETURN = r"""
volume_snapshots:
  description: The snapshots, each as M(agentless.cloud.volume_snapshot) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
