# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of batches, on random fleets: never past the room, never past a group's limits, all or nothing."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Group, HostState, RequestSpec

FLEETS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.sampled_from(["enabled"] * 4 + ["disabled"])),
    max_size=7,
).map(
    lambda sizes: [
        HostState(str(number), f"h{number}", vcpus, ram, disk, state)
        for number, (vcpus, ram, disk, state) in enumerate(sizes)
    ]
)
GROUPS = st.none() | st.builds(
    Group,
    id=st.just("g"),
    policy=st.sampled_from(["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]),
    max_per_host=st.integers(1, 3),
    hosts=st.dictionaries(st.sampled_from([f"h{number}" for number in range(7)]), st.integers(1, 3), max_size=3),
)
REQUESTS = st.builds(RequestSpec, vcpus=st.integers(1, 3), ram=st.integers(0, 3), disk=st.integers(0, 3), group=GROUPS)


def capacity(host: HostState, request: RequestSpec) -> int:
    """How many of the request the host could take, worked out in another way than the pipeline's."""
    if host.state != "enabled":
        return 0
    room = min(
        left // wanted
        for left, wanted in ((host.vcpus, request.vcpus), (host.ram, request.ram), (host.disk, request.disk))
        if wanted
    )
    group = request.group
    if group is not None and group.policy == "anti-affinity":
        room = min(room, max(group.max_per_host - group.hosts.get(host.name, 0), 0))
    if group is not None and group.policy == "affinity" and group.hosts and host.name not in group.hosts:
        room = 0
    return room


def check(hosts: list[HostState], request: RequestSpec, count: int) -> None:
    rooms = {host.name: capacity(host, request) for host in hosts}
    together = request.policy == "affinity"
    possible = any(room >= count for room in rooms.values()) if together else sum(rooms.values()) >= count
    try:
        placed = pipeline.place(hosts, request, count=count, seed="s")
    except NoValidHost:
        assert not possible, "refused, though there is room"
        return
    taken = Counter(host.name for host in placed.hosts)
    assert sum(taken.values()) == count
    assert all(taken[name] <= rooms[name] for name in taken), "more than there is room for"
    assert not together or len(taken) == 1


@settings(max_examples=300, deadline=None)
@given(FLEETS, REQUESTS, st.integers(1, 12))
def test_a_batch_keeps_to_room_and_limits(hosts: list[HostState], request: RequestSpec, count: int) -> None:
    check(hosts, request, count)


@pytest.mark.parametrize("blind", ["Ram", "AntiAffinity", "HostEnabled", "Affinity"])
def test_a_filter_that_lets_everything_pass_is_found_out(blind: str) -> None:
    """The property can fail: without one of the filters it does."""

    @settings(max_examples=2000, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(FLEETS, REQUESTS, st.integers(1, 12))
    def broken(hosts: list[HostState], request: RequestSpec, count: int) -> None:
        check(hosts, request, count)

    rest = tuple(one for one in FILTERS if one.name != blind)
    with mock.patch.object(pipeline, "FILTERS", rest), pytest.raises(AssertionError):
        broken()
