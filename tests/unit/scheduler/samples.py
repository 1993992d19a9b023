# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and requests for the tests of the scheduler, in few words."""

from __future__ import annotations

import uuid
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Group, HostState, RequestSpec


def host(name: str = "a", **values: Any) -> HostState:
    """An enabled host with plenty of room."""
    size = {"vcpus": 64, "ram": 65536, "disk": 1000}
    return HostState(
        **{"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "name": name, "virt_types": ("kvm",), **size, **values}
    )


def request(**values: Any) -> RequestSpec:
    """A small request."""
    return RequestSpec(**{"vcpus": 1, "ram": 512, "disk": 10, **values})


def group(policy: str, hosts: dict[str, int] | None = None, **values: Any) -> Group:
    """A server group with so many members on hosts."""
    return Group(id="g", policy=policy, hosts=hosts or {}, **values)
