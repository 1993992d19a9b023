# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters. Each answers one question about one host, and says why not.

Nova's filters are the model; where one of ours asks the same question it carries the same words in flavor extra specs
and image properties (Nova, "Compute schedulers" in its administration guide).
"""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.aggregate import AggregateExtraSpecs
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.base import Filter
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.capabilities import Capabilities
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.connections import Connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.cpu import (
    CpuArchitecture,
    CpuFeatures,
    CpuModel,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.group import Affinity, AntiAffinity
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.hint import DifferentHost, SameHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.host import (
    ForcedHost,
    HostEnabled,
    Retry,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.room import Disk, Ram, Vcpus
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.traits import Traits
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.virt import VirtType, VmMode
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters.zone import Zone

# Cheap and decisive ones first. Those after the line change their answer while a batch is placed.
FILTERS: tuple[Filter, ...] = (
    ForcedHost(),
    Retry(),
    HostEnabled(),
    Zone(),
    VirtType(),
    VmMode(),
    CpuArchitecture(),
    CpuModel(),
    CpuFeatures(),
    Traits(),
    Capabilities(),
    AggregateExtraSpecs(),
    Connections(),
    SameHost(),
    DifferentHost(),
    Affinity(),
    # ----
    AntiAffinity(),
    Ram(),
    Vcpus(),
    Disk(),
)

__all__ = ["FILTERS", "Filter"]
