# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses a subnet can give, and in which order it is searched."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import subnets
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError

SMALL = "10.0.0.5 10.0.0.9"


def subnet(cidr: str, *pools: str, gateway: str | None = None, last: str | None = None) -> subnets.Subnet:
    row: dict[str, Any] = {
        "id": "s1",
        "name": None,
        "network_id": "n1",
        "cidr": cidr,
        "ip_version": 6 if ":" in cidr else 4,
        "gateway_ip": gateway,
        "allocation_pools": [dict(zip(("start", "end"), pool.split(" "), strict=True)) for pool in pools],
        "last_number": subnets.key(subnets.number_of(last)) if last else None,
    }
    return subnets.parse(row)


def shown(made: subnets.Subnet, spans: Any) -> list[str]:
    return [f"{made.text(start)} {made.text(end)}" for start, end in spans]


@pytest.mark.parametrize(
    ("made", "pools"),
    [
        (subnet("10.0.0.0/24"), ["10.0.0.1 10.0.0.254"]),
        (subnet("10.0.0.0/24", gateway="10.0.0.1"), ["10.0.0.2 10.0.0.254"]),
        (subnet("10.0.0.0/24", gateway="10.0.0.254"), ["10.0.0.1 10.0.0.253"]),
        (subnet("10.0.0.0/24", gateway="10.0.0.9"), ["10.0.0.1 10.0.0.8", "10.0.0.10 10.0.0.254"]),
        (subnet("10.0.0.0/30", gateway="10.0.0.1"), ["10.0.0.2 10.0.0.2"]),
        (subnet("10.0.0.0/31"), ["10.0.0.0 10.0.0.1"]),
        (subnet("10.0.0.7/32"), ["10.0.0.7 10.0.0.7"]),
        (subnet("10.0.0.7/32", gateway="10.0.0.7"), []),
        (subnet("fd00::/126"), ["fd00::1 fd00::3"]),
        (subnet("fd00::/127"), ["fd00:: fd00::1"]),
        (
            subnet("10.0.0.0/24", "10.0.0.20 10.0.0.29", "10.0.0.5 10.0.0.9"),
            ["10.0.0.5 10.0.0.9", "10.0.0.20 10.0.0.29"],
        ),
        (
            subnet("10.0.0.0/24", "10.0.0.5 10.0.0.9", "10.0.0.8 10.0.0.12"),
            ["10.0.0.5 10.0.0.9", "10.0.0.10 10.0.0.12"],
        ),
        (subnet("10.0.0.0/24", "10.0.0.5 10.0.0.9", "10.0.0.6 10.0.0.7"), [SMALL]),
        (subnet("10.0.0.0/24", "10.0.0.0 10.0.0.255"), ["10.0.0.1 10.0.0.254"]),
        (subnet("10.0.0.0/24", "10.0.0.5 10.0.0.9", gateway="10.0.0.1"), ["10.0.0.5 10.0.0.9"]),
    ],
)
def test_what_may_be_given_without_being_asked_for(made: subnets.Subnet, pools: list[str]) -> None:
    assert shown(made, made.pools) == pools
    assert made.size == sum(end - start + 1 for start, end in made.pools)


@pytest.mark.parametrize(
    ("made", "address", "error"),
    [
        (subnet("10.0.0.0/24", gateway="10.0.0.1"), "10.0.0.2", None),
        (subnet("10.0.0.0/24", "10.0.0.5 10.0.0.9"), "10.0.0.200", None),
        (subnet("10.0.0.0/24", gateway="10.0.0.1"), "10.0.0.1", "AddressInUse"),
        (subnet("10.0.0.0/24"), "10.0.0.0", "BadInput"),
        (subnet("10.0.0.0/24"), "10.0.0.255", "BadInput"),
        (subnet("10.0.0.0/24"), "10.0.1.0", "BadInput"),
        (subnet("10.0.0.0/24"), "9.255.255.255", "BadInput"),
        (subnet("10.0.0.0/24"), "::a00:5", "BadInput"),  # the same number, another version
        (subnet("10.0.0.0/24"), "10.0.0.300", "BadInput"),
        (subnet("10.0.0.0/31"), "10.0.0.0", None),
        (subnet("fd00::/64"), "fd00::", "BadInput"),
        (subnet("fd00::/64"), "fd00::ffff:ffff:ffff:ffff", None),
    ],
)
def test_an_address_that_is_asked_for(made: subnets.Subnet, address: str, error: str | None) -> None:
    if error is None:
        assert made.text(subnets.fixed(made, address)) == address
        return
    with pytest.raises(CloudError) as caught:
        subnets.fixed(made, address)
    assert caught.value.error == error


@pytest.mark.parametrize(
    ("made", "size", "pieces"),
    [
        (subnet("10.0.0.0/28"), 64, [["10.0.0.1 10.0.0.14"]]),
        (subnet("10.0.0.0/28"), 4, [["10.0.0.1 10.0.0.4"], ["10.0.0.5 10.0.0.12"], ["10.0.0.13 10.0.0.14"]]),
        (subnet("10.0.0.0/29", last="10.0.0.2"), 4, [["10.0.0.3 10.0.0.6"], ["10.0.0.1 10.0.0.2"]]),
        (subnet("10.0.0.0/29", last="10.0.0.6"), 64, [["10.0.0.1 10.0.0.6"]]),
        (
            subnet("10.0.0.0/24", "10.0.0.1 10.0.0.2", "10.0.0.8 10.0.0.9", last="10.0.0.8"),
            3,
            [["10.0.0.9 10.0.0.9", "10.0.0.1 10.0.0.2"], ["10.0.0.8 10.0.0.8"]],
        ),
        (subnet("10.0.0.7/32", gateway="10.0.0.7"), 4, []),
    ],
)
def test_the_search_begins_behind_the_last_and_goes_once_around(
    made: subnets.Subnet, size: int, pieces: list[list[str]]
) -> None:
    found = list(subnets.windows(made, size))
    assert [shown(made, piece) for piece in found] == pieces
    numbers = [number for start, end in chain.from_iterable(found) for number in range(start, end + 1)]
    assert len(numbers) == len(set(numbers)) == made.size


def test_keys_sort_as_addresses_do() -> None:
    texts = ["0.0.0.9", "10.0.0.2", "10.0.0.10", "fd00::2", "fd00::10"]
    assert sorted(texts, key=lambda text: subnets.key(subnets.number_of(text))) == texts
