# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where networking is carried out, and asking that host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call

GROUP = "cloud_network"


def host(groups: Mapping[str, Sequence[str]]) -> str:
    """The OVN central host: the first of its inventory group.

    :raises BadInput: the inventory has none.
    """
    members = groups.get(GROUP) or ()
    if not members:
        raise BadInput(
            f"The inventory has no host in the group {GROUP}, where OVN's databases run. "
            "Put one there and run agentless.cloud.site."
        )
    return members[0]


def push(request: Request, operations: Sequence[Mapping[str, Any]]) -> bool:
    """Have OVN made like the records; whether that changed (or, in check mode, would change) anything there.

    :raises CloudError: the host was not reached or refused an operation.
    """
    if not operations:
        return False
    results = request.rpc.call(Call(host(request.groups), "network_backend", list(operations)))
    return any(result.get("changed") for result in results)
