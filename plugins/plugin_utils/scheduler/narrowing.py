# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A request in terms that a database understands, so that it can pick the few best hosts among many.

What is picked so must be what the pipeline would have picked from every host. So each filter and each weigher that the
request concerns must be one of those below; for any other request the whole fleet is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import RequestSpec
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.weighers import WEIGHERS

# Filters that `of` puts into words.
_FILTERS = frozenset(
    {
        "ForcedHost",
        "Retry",
        "HostEnabled",
        "Connections",
        "Zone",
        "SameHost",
        "DifferentHost",
        "Affinity",
        "AntiAffinity",
        "Ram",
        "Vcpus",
        "Disk",
    }
)
# Weighers by the room that each of them weighs.
_ROOM = {"ram": "ram", "cpu": "vcpus", "disk": "disk"}
_MOST_NAMES = 1000  # that one statement may carry


@dataclass(frozen=True)
class Narrowing:
    """What a host must be to pass, and what its weight is.

    :param needs: the least room of each kind.
    :param multipliers: by the kind of room that is weighed, in the order of the weighers, none of them 0.
    :param only: names of which the host must have one; None: any.
    :param never: names that it must not have.
    :param filters: the filters that are answered so.
    """

    needs: Mapping[str, int]
    multipliers: Mapping[str, float]
    real: bool
    zone: str | None
    only: frozenset[str] | None
    never: frozenset[str]
    filters: tuple[str, ...]

    @staticmethod
    def by_weigher(peaks: Mapping[str, float]) -> dict[str, float]:
        """What is known of kinds of room, by the weighers of each."""
        return {name: peaks[kind] for name, kind in _ROOM.items() if kind in peaks}


def of(request: RequestSpec, weights: Mapping[str, float] | None = None) -> Narrowing | None:
    """The request put into such words; None: it asks for more than they can say."""
    filters = tuple(each.name for each in FILTERS if each.concerns(request))
    multipliers: dict[str, float] = {
        weigher.name: float((weights or {}).get(weigher.setting, weigher.multiplier))
        for weigher in WEIGHERS
        if weigher.concerns(request)
    }
    multipliers = {name: multiplier for name, multiplier in multipliers.items() if multiplier}
    only, never = _names(request)
    clear = _FILTERS.issuperset(filters) and _ROOM.keys() >= multipliers.keys()
    if not clear or not multipliers or not any(request.needs.values()) or len(never | (only or never)) > _MOST_NAMES:
        return None
    by_room = {_ROOM[name]: multiplier for name, multiplier in multipliers.items()}
    return Narrowing(request.needs, by_room, request.real, request.zone, only, never, filters)


def _names(request: RequestSpec) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The names of which the host must have one, and those that it must not have."""
    members = request.group.hosts if request.group else {}
    most = request.group.max_per_host if request.group else 1
    demands = [
        None if request.force_host is None else frozenset({request.force_host}),
        request.same_host,
        request.able,
        frozenset(members) if request.policy == "affinity" and members else None,
    ]
    given = [names for names in demands if names is not None]
    full = {name for name, count in members.items() if request.policy == "anti-affinity" and count >= most}
    return (
        frozenset.intersection(*given) if given else None,
        request.exclude | request.different_host | full,
    )
