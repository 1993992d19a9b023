# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The weighers. Each gives one number for a host; more is better.

A weight is the sum of multiplier x normalised number, as in Nova. RAM, vCPUs and disk are scaled by the largest of the
candidates; the others between the smallest and the largest. Multipliers carry Nova's names, and a host's aggregates
may set them by metadata of that name (the lowest wins).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate, RequestSpec


@dataclass(frozen=True)
class Weigher:
    """One number for a host.

    :param setting: the name of its multiplier.
    :param multiplier: the default; 0 leaves the weigher out.
    :param ranged: whether it is scaled from smallest to largest, instead of by the largest.
    :param policy: the server group policy that it belongs to, None for every request.
    """

    name: str
    setting: str
    multiplier: float
    raw: Callable[[Candidate], float]
    ranged: bool = False
    policy: str | None = None

    def concerns(self, request: RequestSpec) -> bool:
        """Whether it has anything to say about the request."""
        return self.policy is None or request.policy == self.policy


WEIGHERS: tuple[Weigher, ...] = (
    Weigher("ram", "ram_weight_multiplier", 1.0, attrgetter("ram")),
    Weigher("cpu", "cpu_weight_multiplier", 1.0, attrgetter("vcpus")),
    Weigher("disk", "disk_weight_multiplier", 1.0, attrgetter("disk")),
    Weigher("instances", "num_instances_weight_multiplier", 0.0, attrgetter("instances"), ranged=True),
    Weigher(
        "soft_affinity",
        "soft_affinity_weight_multiplier",
        1.0,
        attrgetter("members"),
        ranged=True,
        policy="soft-affinity",
    ),
    Weigher(
        "soft_anti_affinity",
        "soft_anti_affinity_weight_multiplier",
        1.0,
        lambda candidate: -candidate.members,
        ranged=True,
        policy="soft-anti-affinity",
    ),
)
