#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(instance_info); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_info
short_description: List instances
version_added: 0.1.0
description:
  - Returns the instances of a project as the database records them. No host is asked, so that C(status) and
    C(power_state) are what the last task left; whether a guest runs at this moment only its host knows.
  - To ask it, run M(agentless.cloud.instance) with O(agentless.cloud.instance#module:state=running) in check mode. It
    is changed when the guest is off.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.info
seealso:
  - module: agentless.cloud.instance
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: All instances of the project
  agentless.cloud.instance_info:
  register: listed

- name: Names of those that are placed on one host
  agentless.cloud.instance_info:
    query: "[?compute_host=='kvm1'].name"
  register: on_kvm1

- name: See whether a guest runs at this moment
  agentless.cloud.instance:
    name: web1
    state: running
  check_mode: true
  register: asked # asked is changed: it is off
"""

RETURN = r"""
instances:
  description: The instances, each as M(agentless.cloud.instance) returns it, or what O(query) made of them.
  returned: success
  type: list
  elements: dict
"""
