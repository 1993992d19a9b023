# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pipeline: batches, ties, what is told, and the text of NoValidHost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.story import FIRST_REASONS, MOST_REASONS
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import HostState
from tests.unit.scheduler.samples import group, host, request


def names(hosts: list[HostState], count: int = 1, seed: str = "", **wanted: Any) -> list[str]:
    return [one.name for one in pipeline.place(hosts, request(**wanted), count=count, seed=seed).hosts]


def refusal(hosts: list[HostState], count: int = 1, **wanted: Any) -> NoValidHost:
    with pytest.raises(NoValidHost) as caught:
        pipeline.place(hosts, request(**wanted), count=count)
    return caught.value


def test_a_batch_spreads_and_fills_up() -> None:
    hosts = [host("big", vcpus=6), host("small", vcpus=2)]
    assert Counter(names(hosts, 8)) == {"big": 6, "small": 2}


def test_a_batch_goes_where_the_same_requests_would_go_one_by_one() -> None:
    # Equal hosts, whose scale does not change before each has been used as often as any other.
    hosts = {f"h{number}": host(f"h{number}") for number in range(5)}
    batch = names(list(hosts.values()), 20, seed="web")
    single = []
    for _number in range(20):
        chosen = names(list(hosts.values()), seed="web")[0]
        single.append(chosen)
        hosts[chosen] = hosts[chosen].less(request())
    assert batch == single


@pytest.mark.parametrize(("most", "count", "expected"), [(1, 3, 1), (2, 6, 2), (3, 4, 3)])
def test_anti_affinity_holds_within_a_batch(most: int, count: int, expected: int) -> None:
    hosts = [host("a", ram=10**6), host("b"), host("c")]
    limits = group("anti-affinity", max_per_host=most)
    assert max(Counter(names(hosts, count, group=limits)).values()) <= expected


def test_anti_affinity_counts_those_who_are_there() -> None:
    hosts = [host("a"), host("b"), host("c")]
    found = names(hosts, 3, group=group("anti-affinity", {"a": 2, "b": 1}, max_per_host=2))
    assert sorted(found) == ["b", "c", "c"]


def test_affinity_takes_one_host_with_room_for_all() -> None:
    hosts = [host("a", ram=2000), host("b", ram=1000, disk=5000)]
    assert names(hosts, 3, group=group("affinity")) == ["a", "a", "a"]
    error = refusal(hosts, 4, group=group("affinity"))
    assert "a: 2000 MiB of RAM left, 2048 wanted" in error.msg


def test_soft_policies_bend() -> None:
    hosts = [host("a", vcpus=2), host("b", vcpus=64)]
    assert Counter(names(hosts, 8, group=group("soft-anti-affinity"))) == {"a": 2, "b": 6}
    # Neighbours are worth more than a little room.
    hosts = [host("a", ram=65536), host("b", ram=64512)]
    assert names(hosts, 4, group=group("soft-affinity", {"b": 1})) == ["b"] * 4
    assert Counter(names([host("a", vcpus=3), host("b", vcpus=1)], 4, group=group("soft-affinity"))) == {"a": 3, "b": 1}


def test_ties_repeat_for_one_seed_and_spread_over_many() -> None:
    hosts = [host(f"h{number}") for number in range(8)]
    assert names(hosts, seed="web1") == names(list(reversed(hosts)), seed="web1")
    chosen = Counter(names(hosts, seed=f"web{number}")[0] for number in range(400))
    assert set(chosen) == {one.name for one in hosts}
    assert max(chosen.values()) < 100


def test_the_story_says_who_fell_where() -> None:
    hosts = [host("a", state="disabled", reason="fan"), host("b", ram=256), host("c")]
    told = pipeline.place(hosts, request()).explanation
    assert told["seen"] == 3
    assert told["filtered"] == [
        {"filter": "HostEnabled", "host": "a", "reason": "disabled: fan"},
        {"filter": "Ram", "host": "b", "reason": "256 MiB of RAM left, 512 wanted"},
    ]
    assert told["filtered_counts"] == {"HostEnabled": 1, "Ram": 1}
    assert told["survivors"] == [
        {"filter": "HostEnabled", "left": 2},
        {"filter": "Ram", "left": 1},
        {"filter": "Vcpus", "left": 1},
        {"filter": "Disk", "left": 1},
    ]
    assert [one["host"] for one in told["candidates"]] == ["c"]


def test_the_story_stays_short_and_still_hears_every_filter() -> None:
    hosts = [host(f"off{number}", state="disabled") for number in range(200)]
    hosts += [host(f"small{number}", ram=1) for number in range(200)]
    told = refusal(hosts).details["explanation"]
    assert len(told["filtered"]) == MOST_REASONS + FIRST_REASONS
    assert told["filtered_counts"] == {"HostEnabled": 200, "Ram": 200}
    assert len(pipeline.place([host(f"h{number}") for number in range(99)], request()).explanation["candidates"]) == 10


def test_no_valid_host_in_words() -> None:
    assert refusal([]).msg == "No valid host for the instance. No host is registered (module agentless.cloud.host)."
    hosts = [host("a", state="maintenance", reason="new disks"), host("b", ram=256), host("c", ram=300)]
    assert refusal(hosts).msg == (
        "No valid host for the instance. Hosts seen: 3. HostEnabled left 2 (a: maintenance: new disks); "
        "Ram left 0 (b: 256 MiB of RAM left, 512 wanted, c: 300 MiB of RAM left, 512 wanted)."
    )
    many = refusal([host(f"h{number}", zone="east") for number in range(9)], zone="west")
    assert many.msg.endswith("h4: zone is east, not west and 4 more).")


def test_no_valid_host_for_a_batch_says_what_ran_out() -> None:
    error = refusal([host("a", vcpus=2), host("b", vcpus=1)], 4)
    assert error.msg == (
        "No valid host for all 4 instances. Hosts seen: 2. Every filter passed. 3 of them found room, then no host was "
        "left: Vcpus (b: 0 vCPUs left, 1 wanted, a: 0 vCPUs left, 1 wanted)."
    )
    error = refusal([host("a"), host("b")], 3, group=group("anti-affinity"))
    assert "AntiAffinity (" in error.msg
    assert {one["host"] for one in error.details["explanation"]["used_up"]} == {"a", "b"}


def test_a_forced_host_gets_no_favours() -> None:
    hosts = [host("a", state="disabled"), host("b")]
    assert names(hosts, force_host="b") == ["b"]
    assert "a: disabled" in refusal(hosts, force_host="a").msg
