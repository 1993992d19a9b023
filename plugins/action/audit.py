# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front desk of the module ``audit``."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import flow
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import CloudAction


class ActionModule(CloudAction):
    """Read the task, call the flow, return its result."""

    flow = staticmethod(flow.apply)
