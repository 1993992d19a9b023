# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge of what check mode returns (functional/instances) lets nothing missing or wrong pass."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import compare, orders, planning
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic
from tests.functional.instances.predictions import check_prediction, kind_of

FRONT = {"front": [{"addr": "10.30.0.3", "version": 4}]}
REAL = {"name": "a", "status": "ACTIVE", "updated_at": "now", "addresses": FRONT}


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        ({**REAL, "updated_at": "before"}, True),
        ({**REAL, "addresses": {"front": []}}, True),
        ({**REAL, "addresses": {"front": [{"addr": "10.30.0.3"}]}}, True),
        ({**REAL, "addresses": {"front": [{"addr": "10.30.0.4"}]}}, False),
        ({**REAL, "addresses": {}}, False),
        ({**REAL, "status": "SHUTOFF"}, False),
        ({**REAL, "more": 1}, False),
        ({key: value for key, value in REAL.items() if key != "status"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_prediction_can_be_wrong(predicted: dict[str, Any] | None, right: bool) -> None:
    check = {} if predicted is None else {"instance": predicted}
    try:
        check_prediction("there", check, {"instance": REAL})
    except (AssertionError, KeyError):
        assert not right
    else:
        assert right


@pytest.mark.parametrize(
    ("wish", "before", "after", "kind"),
    [
        ({"state": "absent"}, {}, {}, "absent"),
        ({"image": "halt", "networks": ["front"]}, {}, {"networks": ["front"]}, "new"),
        ({"networks": ["front", "back"]}, {"networks": ["front"]}, {"networks": ["front", "back"]}, "wired"),
        ({"networks": ["back"]}, {"networks": ["front", "back"]}, {"networks": ["back"]}, "there"),
        ({"tags": ["red"]}, {}, {"tags": ["red"]}, "there"),
    ],
)
def test_kind_of(wish: dict[str, Any], before: dict[str, Any], after: dict[str, Any], kind: str) -> None:
    assert kind_of(wish, {"diff": {"before": before, "after": after}}) == kind


def port(network: str, status: str = "ACTIVE") -> orders.Port:
    return orders.Port({"id": f"{network}-port", "status": status}, (), {"name": network}, {}, ())


def address(network: str, addr: str) -> dict[str, Any]:
    return {"addr": addr, "version": 6 if ":" in addr else 4, "port_id": f"{network}-port", "type": "fixed"}


@pytest.mark.parametrize(
    ("unplug", "plug", "known"),
    [
        (["back"], [], {"addresses": {"front": ["10.30.0.3"]}, "access_ipv4": "10.30.0.3", "access_ipv6": ""}),
        (["front"], [], {"addresses": {"back": ["fd00::3"]}, "access_ipv4": "", "access_ipv6": "fd00::3"}),
        (
            [],
            [Nic("tiny")],
            {
                "addresses": {"front": ["10.30.0.3"], "back": ["fd00::3"], "tiny": []},
                "access_ipv4": "10.30.0.3",
                "access_ipv6": "fd00::3",
            },
        ),
        (["front"], [Nic("tiny")], {"addresses": {"back": ["fd00::3"], "tiny": []}, "access_ipv6": "fd00::3"}),
        (
            ["front", "back"],
            [Nic("tiny", fixed_ip="10.32.0.2")],
            {"addresses": {"tiny": ["10.32.0.2"]}, "access_ipv4": "10.32.0.2", "access_ipv6": ""},
        ),
    ],
)
def test_addresses_of_ports_that_come_and_go(unplug: list[str], plug: list[Nic], known: dict[str, Any]) -> None:
    ports = [port("front"), port("back"), port("left", "UNPLUGGING")]
    guest = orders.Guest({"id": "i"}, None, tuple(ports))
    row = {
        "addresses": {
            "front": [address("front", "10.30.0.3")],
            "back": [address("back", "fd00::3")],
            "left": [address("left", "10.31.0.3")],
        },
        "access_ipv4": "10.30.0.3",
        "access_ipv6": "fd00::3",
    }
    going = [each for each in ports if each.network["name"] in unplug]
    found = Found("p", None, None, None, None, {"tiny": {"name": "tiny"}}, {})
    planning._alter(row, compare.Difference(guest, plug=list(enumerate(plug)), unplug=going), found)
    shown = {name: [entry["addr"] for entry in entries] for name, entries in row.pop("addresses").items()}
    assert {"addresses": shown, **row} == known
