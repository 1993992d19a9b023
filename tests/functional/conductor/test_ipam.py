# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports and their addresses."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, ipam, macs, records, subnets
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AddressExhausted,
    AddressInUse,
    BadInput,
    CloudError,
    NotFound,
)
from tests.functional.conductor.world import Record, World, add_subnet, at_once, build, count_queries


@pytest.fixture
def world(conductor: Conductor) -> World:
    return build(conductor, cidr="10.0.0.0/24")


def wish(world: World, **values: Any) -> dict[str, Any]:
    return {"project_id": world.project["id"], "network_id": world.network["id"], **values}


def texts(port: Record) -> list[str]:
    return [entry["address"] for entry in port["addresses"]]


def test_a_port_has_an_address_of_each_version(conductor: Conductor, world: World) -> None:
    with conductor.transaction() as conn:
        port = ipam.create_port(conn, **wish(world, instance_id="i", secgroup_ids=[world.secgroup["id"]] * 2))
        assert texts(port) == ["10.0.0.2", "fd00::2"]
        assert [(entry["subnet_id"], entry["version"]) for entry in port["addresses"]] == [
            (world.four["id"], 4),
            (world.six["id"], 6),
        ]
        assert port["mac_address"].startswith("fa:16:3e:")
        assert port["secgroup_ids"] == [world.secgroup["id"]]
        stored = records.get(conn, cloud.ports, port["id"])
        assert stored == {key: port[key] for key in stored}
        assert ipam.addresses_of(conn, [port["id"]]) == {port["id"]: port["addresses"]}
        assert ipam.delete_ports(conn, [port["id"], "gone"]) == 1
        assert ipam.delete_ports(conn, []) == 0
        # An address given back is the last to be given again.
        assert texts(ipam.create_port(conn, **wish(world))) == ["10.0.0.3", "fd00::3"]


@pytest.mark.parametrize(
    ("fixed", "error", "message"),
    [
        ({"address": "10.0.1.5"}, BadInput, "in no subnet"),
        ({"address": "10.0.1.5", "subnet": "four"}, BadInput, "outside the subnet 'four' .10.0.0.0 to 10.0.0.255"),
        ({"address": "fd00::5", "subnet": "four"}, BadInput, "outside the subnet"),
        ({"address": "10.0.0.1"}, AddressInUse, "is the gateway"),
        ({"address": "10.0.0.0"}, BadInput, "broadcast"),
        ({"address": "10.0.0.255"}, BadInput, "broadcast"),
        ({"address": "fd00::"}, BadInput, "network's"),
        ({"address": "10.0.0.9"}, AddressInUse, "is taken"),
        ({"address": "FD00:0::9"}, AddressInUse, "fd00::9 of the subnet 'six' is taken"),
        ({"address": "10.0.0.5/24"}, BadInput, "is not an IP address"),
        ({"address": "10.5"}, BadInput, "is not an IP address"),
        ({"address": "'; --"}, BadInput, "is not an IP address"),
        ({"subnet": "for"}, NotFound, "Nearest: four"),
        ({}, BadInput, "names an address"),
    ],
)
def test_a_fixed_address_that_cannot_be(
    conductor: Conductor, world: World, fixed: dict[str, str], error: type[CloudError], message: str
) -> None:
    with conductor.transaction() as conn:
        ipam.create_port(conn, **wish(world, fixed_ips=[{"address": "10.0.0.9"}, {"address": "fd00::9"}]))
        with pytest.raises(error, match=message):
            ipam.create_port(conn, **wish(world, fixed_ips=[fixed]))
        assert len(records.listing(conn, cloud.ports)) == 1


def test_fixed_addresses_in_one_batch(conductor: Conductor, world: World) -> None:
    with conductor.transaction() as conn:
        one = {"fixed_ips": [{"address": "10.0.0.3"}]}
        with pytest.raises(AddressInUse, match="asked for twice"):
            ipam.create_ports(conn, [wish(world, **one), wish(world, **one)])
        # What is chosen goes around what is named, wherever in the batch it stands.
        batch = [wish(world), wish(world), wish(world, **one), wish(world, fixed_ips=[{"subnet": "six"}])]
        made = ipam.create_ports(conn, batch)
        assert [texts(port)[0] for port in made] == ["10.0.0.2", "10.0.0.4", "10.0.0.3", "fd00::4"]


def test_mac_addresses(conductor: Conductor, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with conductor.transaction() as conn:
        port = ipam.create_port(conn, **wish(world, mac_address="52-54-00-AA-bb-01"))
        assert port["mac_address"] == "52:54:00:aa:bb:01"
        with pytest.raises(AddressInUse, match="52:54:00:aa:bb:01 is taken"):
            ipam.create_port(conn, **wish(world, mac_address="52:54:00:AA:BB:01"))
        with pytest.raises(AddressInUse, match="given twice"):
            ipam.create_ports(conn, [wish(world, mac_address="52:54:00:aa:bb:02")] * 2)
        for wrong in ("", "52:54:00:aa:bb", "53:54:00:aa:bb:02", "00:00:00:00:00:00", "52:54:00:aa:bb:0g\n"):
            with pytest.raises(BadInput):
                ipam.create_port(conn, **wish(world, mac_address=wrong))
        taken, free, other = "52:54:00:aa:bb:01", "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
        drawn = iter([taken, free, free, free, other])  # one is taken, then both the same, then all is well
        monkeypatch.setattr(macs, "_random", lambda: next(drawn))
        made = ipam.create_ports(conn, [wish(world), wish(world)])
        assert {port["mac_address"] for port in made} == {free, other}
        monkeypatch.setattr(macs, "_random", lambda: "fa:16:3e:00:00:01")
        with pytest.raises(AddressExhausted, match="MAC"):
            ipam.create_port(conn, **wish(world))
        assert len(records.listing(conn, cloud.ports)) == 3


def test_two_who_draw_the_same_mac_at_once(address: str, conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(conductor)
    with conductor.transaction() as conn:  # without subnets nothing but the MAC keeps two transactions apart
        bare = records.insert(conn, cloud.networks, project_id=world.project["id"], name="bare")

    def work(number: int) -> list[str]:
        # So few to draw from that several draw the same in every round.
        dice = random.Random(number)
        monkeypatch.setattr(macs, "_random", lambda: f"fa:16:3e:00:00:{dice.randrange(128):02x}")
        opened = Conductor.open(address)
        made = []
        for _turn in range(10):
            with opened.transaction() as conn:
                made.append(
                    ipam.create_port(conn, project_id=world.project["id"], network_id=bare["id"])["mac_address"]
                )
        return made

    drawn = [mac for part in at_once(work, 4) for mac in part]
    assert len(set(drawn)) == len(drawn) == 40


def test_pools_are_honoured_emptied_and_refilled(conductor: Conductor) -> None:
    world = build(conductor)
    with conductor.transaction() as conn:
        net = records.insert(conn, cloud.networks, project_id=world.project["id"], name="pooled")
        pools = [("10.1.0.10", "10.1.0.12"), ("10.1.0.12", "10.1.0.13"), ("10.1.0.254", "10.1.1.9")]
        add_subnet(conn, net, "pooled", "10.1.0.0/24", gateway="10.1.0.11", pools=pools)
        one = {"project_id": world.project["id"], "network_id": net["id"]}
        made = ipam.create_ports(conn, [one] * 4)
        assert [texts(port) for port in made] == [["10.1.0.10"], ["10.1.0.12"], ["10.1.0.13"], ["10.1.0.254"]]
        with pytest.raises(AddressExhausted, match="'pooled' has no free address"):
            ipam.create_port(conn, **one)
        # Outside of the pools an address must be asked for.
        assert texts(ipam.create_port(conn, **one, fixed_ips=[{"address": "10.1.0.100"}])) == ["10.1.0.100"]
        ipam.delete_ports(conn, [made[1]["id"]])
        assert texts(ipam.create_port(conn, **one)) == ["10.1.0.12"]
        # A second subnet serves when the first is empty, in the same batch too.
        ipam.delete_ports(conn, [made[3]["id"]])
        add_subnet(conn, net, "next", "10.2.0.0/29", gateway="10.2.0.1")
        batch = [one, one, {**one, "fixed_ips": [{"subnet": "next"}]}]
        assert [texts(port) for port in ipam.create_ports(conn, batch)] == [["10.1.0.254"], ["10.2.0.2"], ["10.2.0.3"]]
        with pytest.raises(AddressExhausted, match="'pooled', 'next'"):
            ipam.create_ports(conn, [one] * 4)
        assert len(ipam.create_ports(conn, [one] * 3)) == 3


def test_odd_ranges(conductor: Conductor) -> None:
    world = build(conductor)
    with conductor.transaction() as conn:
        for cidr, expected in (
            ("10.9.0.0/31", {"10.9.0.0", "10.9.0.1"}),
            ("10.9.0.4/30", {"10.9.0.5", "10.9.0.6"}),
            ("10.9.0.8/32", {"10.9.0.8"}),
            ("fd09::/126", {"fd09::1", "fd09::2", "fd09::3"}),
        ):
            net = records.insert(conn, cloud.networks, project_id=world.project["id"], name=cidr)
            add_subnet(conn, net, cidr, cidr)
            one = {"project_id": world.project["id"], "network_id": net["id"]}
            made = ipam.create_ports(conn, [one] * len(expected))
            assert {text for port in made for text in texts(port)} == expected
            with pytest.raises(AddressExhausted):
                ipam.create_port(conn, **one)


def test_a_network_without_subnets_and_one_that_is_not_there(conductor: Conductor, world: World) -> None:
    with conductor.transaction() as conn:
        net = records.insert(
            conn, cloud.networks, project_id=world.project["id"], name="bare", port_security_enabled=False
        )
        port = ipam.create_port(conn, project_id=world.project["id"], network_id=net["id"])
        assert (port["addresses"], port["port_security_enabled"]) == ([], False)
        with pytest.raises(NotFound):
            ipam.create_port(conn, project_id=world.project["id"], network_id="nothing")
        with pytest.raises(NotFound, match="security group"):
            ipam.create_port(conn, **wish(world, secgroup_ids=["nothing"]))
        with pytest.raises(BadInput, match="no colour"):
            ipam.create_port(conn, **wish(world, colour="red"))


def test_hundreds_of_ports_cost_the_same_queries_as_one(conductor: Conductor) -> None:
    world = build(conductor)

    def batch(count: int) -> int:
        wishes = [wish(world, secgroup_ids=[world.secgroup["id"]])] * count
        return count_queries(conductor, lambda conn: ipam.create_ports(conn, wishes))

    assert batch(1) == batch(300) <= 10


def test_a_search_goes_around_the_pools_once() -> None:
    row = {"id": "s", "name": "s", "network_id": "n", "cidr": "10.0.0.0/24", "ip_version": 4, "gateway_ip": "10.0.0.1"}
    for last in (None, "10.0.0.2", "10.0.0.100", "10.0.0.254", "10.0.0.255"):
        number = subnets.key(subnets.number_of(last)) if last else None
        subnet = subnets.parse({**row, "allocation_pools": None, "last_number": number})
        seen = [
            number for spans in subnets.windows(subnet, 3) for start, end in spans for number in range(start, end + 1)
        ]
        assert sorted(seen) == sorted(set(seen))
        assert len(seen) == subnet.size == 253
        first = 2 if last in (None, "10.0.0.254", "10.0.0.255") else int(last.rsplit(".", maxsplit=1)[1]) + 1
        assert subnet.text(seen[0]) == f"10.0.0.{first}"
