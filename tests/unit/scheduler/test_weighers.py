# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every weigher: hosts and a request give the weights that Nova's formula gives."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import HostState
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.weighers import WEIGHERS
from tests.unit.scheduler.samples import group, host, request

OFF = {weigher.setting: 0.0 for weigher in WEIGHERS}


def weights(hosts: list[HostState], only: dict[str, float], **wanted: Any) -> dict[str, float]:
    """The weight of each host with these multipliers and no others."""
    placed = pipeline.place(hosts, request(**wanted), weights={**OFF, **only})
    return {one["host"]: one["weight"] for one in placed.explanation["candidates"]}


@pytest.mark.parametrize(
    ("setting", "resource", "values", "expected"),
    [
        ("ram_weight_multiplier", "ram", (512, 1024, 3072, 8192), (0.0625, 0.125, 0.375, 1.0)),
        ("cpu_weight_multiplier", "vcpus", (2, 4, 8, 8), (0.25, 0.5, 1.0, 1.0)),
        ("disk_weight_multiplier", "disk", (10, 20, 40, 80), (0.125, 0.25, 0.5, 1.0)),
        ("num_instances_weight_multiplier", "instances", (2, 4, 6, 10), (0.0, 0.25, 0.5, 1.0)),
        ("num_instances_weight_multiplier", "instances", (3, 3, 3, 3), (0.0, 0.0, 0.0, 0.0)),
        ("ram_weight_multiplier", "ram", (1024, 1024, 1024, 1024), (1.0, 1.0, 1.0, 1.0)),
    ],
)
@pytest.mark.parametrize("multiplier", [1.0, 2.5, -1.0])
def test_resources(
    setting: str, resource: str, values: tuple[int, ...], expected: tuple[float, ...], multiplier: float
) -> None:
    hosts = [host(name, **{resource: value}) for name, value in zip("abcd", values, strict=True)]
    found = weights(hosts, {setting: multiplier})
    assert found == pytest.approx({name: multiplier * value for name, value in zip("abcd", expected, strict=True)})


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("soft-affinity", {"a": 1.0, "b": 0.5, "c": 0.0}),
        ("soft-anti-affinity", {"a": 0.0, "b": 0.5, "c": 1.0}),
    ],
)
def test_soft_policies(policy: str, expected: dict[str, float]) -> None:
    setting = f"{policy.replace('-', '_')}_weight_multiplier"
    hosts = [host(name) for name in "abc"]
    assert weights(hosts, {setting: 1.0}, group=group(policy, {"a": 4, "b": 2})) == expected
    assert weights(hosts, {setting: 3.0}, group=group(policy, {"a": 4, "b": 2}))["b"] == 1.5
    assert set(weights(hosts, {setting: 1.0}).values()) == {0}  # another request


def test_defaults_sum_up() -> None:
    hosts = [host("a", vcpus=8, ram=4096, disk=50), host("b", vcpus=4, ram=8192, disk=100)]
    placed = pipeline.place(hosts, request())
    assert [one.name for one in placed.hosts] == ["b"]
    assert placed.explanation["candidates"] == [
        {"host": "b", "weight": 2.5, "weights": {"ram": 1.0, "cpu": 0.5, "disk": 1.0}},
        {"host": "a", "weight": 2.0, "weights": {"ram": 0.5, "cpu": 1.0, "disk": 0.5}},
    ]


@pytest.mark.parametrize(
    ("aggregates", "expected"),
    [
        ({"x": {"ram_weight_multiplier": "-1"}}, -1.0),
        ({"x": {"ram_weight_multiplier": "3"}, "y": {"ram_weight_multiplier": "2.0"}}, 2.0),
        ({"x": {"ram_weight_multiplier": "3"}, "y": {"ram_weight_multiplier": "much"}}, 1.0),
        ({"x": {"cpu_weight_multiplier": "3"}}, 1.0),
        ({"x": {"ram_weight_multiplier": None}}, 1.0),
    ],
)
def test_aggregates_set_multipliers_and_the_lowest_wins(aggregates: dict[str, Any], expected: float) -> None:
    hosts = [host("a", aggregates=aggregates), host("b")]
    placed = pipeline.place(hosts, request(), weights={**OFF, "ram_weight_multiplier": 1.0})
    found = {one["host"]: one["weights"]["ram"] for one in placed.explanation["candidates"]}
    assert found == {"a": expected, "b": 1.0}


def test_an_aggregate_can_turn_on_a_weigher_that_is_off() -> None:
    crowded = {"x": {"num_instances_weight_multiplier": "-5"}}
    hosts = [host("a", instances=4, aggregates=crowded), host("b", instances=2, ram=32768)]
    assert [one.name for one in pipeline.place(hosts, request()).hosts] == ["b"]


def test_packing_by_a_negative_multiplier() -> None:
    hosts = [host("full", ram=1024), host("empty", ram=65536)]
    placed = pipeline.place(hosts, request(), count=3, weights={**OFF, "ram_weight_multiplier": -1.0})
    assert [one.name for one in placed.hosts] == ["full", "full", "empty"]


def test_an_unknown_multiplier_is_refused() -> None:
    with pytest.raises(BadInput, match="'rma_weight_multiplier'; there are ram_weight_multiplier, cpu_"):
        pipeline.place([host()], request(), weights={"rma_weight_multiplier": 1})
