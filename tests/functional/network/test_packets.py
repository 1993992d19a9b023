# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets follow the rules (P15): random groups and packets, a model of what the rules say, and OVN's own verdict.

The model knows nothing of ACLs. A packet of a new connection passes when it bears the sender's own addresses, when a
rule of one of the sender's groups lets it out and when a rule of one of the receiver's groups lets it in.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.network import driver, rules
from tests.functional.network import world
from tests.functional.network.ovn import Ovn

GROUPS = ("red", "green", "blue")
PORTS = 5
PREFIXES = {
    4: ["0.0.0.0/0", "10.0.0.0/24", "10.0.0.4/32", "10.0.0.4/31", "198.51.100.0/24"],
    6: ["::/0", "fd00::4/127"],
}
SERVICES = (22, 80, 443, 8080)


@dataclass(frozen=True)
class Packet:
    """A packet of a new connection from one port to another."""

    source: int
    target: int
    version: int
    protocol: str
    service: int = 0
    spoofed: bool = False

    def expression(self) -> str:
        """The packet in the language of ovn-trace."""
        source = _address(77 if self.spoofed else self.source, self.version)
        parts = [
            f'inport == "{world.uid(f"port{self.source}")}"',
            f"eth.src == {world.mac(self.source)}",
            f"eth.dst == {world.mac(self.target)}",
            f"ip{self.version}.src == {source}",
            f"ip{self.version}.dst == {_address(self.target, self.version)}",
            "ip.ttl == 64",
        ]
        if self.protocol in ("tcp", "udp"):
            parts += [f"{self.protocol}.src == 40000", f"{self.protocol}.dst == {self.service}"]
        elif self.protocol == "icmp":
            field_name = "icmp4" if self.version == 4 else "icmp6"
            parts += [f"{field_name}.type == {self.service}", f"{field_name}.code == 0"]
        else:
            parts.append(f"ip.proto == {self.protocol}")
        return " && ".join(parts)


@dataclass
class Cloud:
    """Groups with their rules, and which port has which; a port of ``open_ports`` has no port security."""

    rules: dict[str, list[dict[str, Any]]]
    members: dict[int, tuple[str, ...]]
    open_ports: frozenset[int] = field(default_factory=frozenset)

    def operations(self) -> list[dict[str, Any]]:
        """The cloud as the backend is told."""
        groups = [world.secgroup(name, *rules) for name, rules in self.rules.items()]
        ports = [
            world.port(number, groups=groups_of, port_security=number not in self.open_ports)
            for number, groups_of in self.members.items()
        ]
        return [*groups, world.network(), *ports]

    def passes(self, packet: Packet) -> bool:
        """Whether the rules let the packet through."""
        let_out = packet.source in self.open_ports or (
            not packet.spoofed and self._allowed(packet, packet.source, packet.target, "egress")
        )
        let_in = packet.target in self.open_ports or self._allowed(packet, packet.target, packet.source, "ingress")
        return let_out and let_in

    def _allowed(self, packet: Packet, own: int, other: int, direction: str) -> bool:
        return any(
            rule["direction"] == direction and self._fits(rule, packet, other)
            for group in self.members[own]
            for rule in self.rules[group]
        )

    def _fits(self, rule: dict[str, Any], packet: Packet, other: int) -> bool:
        if rule["ether_type"] != f"IPv{packet.version}":
            return False
        # an address that is not the sender's own belongs to no group; from there it is judged by prefix
        number = 77 if packet.spoofed and other == packet.source else other
        if rule["remote_group_id"]:
            groups = [world.uid(name) for name in self.members.get(number, ())]
            if rule["remote_group_id"] not in groups:
                return False
        prefix = rule["remote_ip_prefix"]
        address = ipaddress.ip_address(_address(number, packet.version))
        if prefix and address not in ipaddress.ip_network(prefix):
            return False
        if rule["protocol"] is None:
            return True
        if rule["protocol"] != packet.protocol:
            return False
        low, high = rule["port_range_min"], rule["port_range_max"]
        if packet.protocol == "icmp":
            return low is None or packet.service == low
        return low is None or low <= packet.service <= high


def _address(number: int, version: int) -> str:
    return f"10.0.0.{number + 3}" if version == 4 else f"fd00::{number + 3:x}"


def _short(number: int) -> str:
    """A port's name as ovn-trace prints it."""
    return world.uid(f"port{number}")[:6]


def _random_rule(chance: random.Random, name: str) -> dict[str, Any]:
    version = chance.choice((4, 4, 6))
    protocol = chance.choice((None, "tcp", "tcp", "udp", "icmp", "47"))
    low = high = None
    if protocol in ("tcp", "udp") and chance.random() < 0.8:
        low, high = sorted(chance.choices(SERVICES, k=2))
    if protocol == "icmp" and chance.random() < 0.5:
        low = 8 if version == 4 else 128
    remote = chance.choice(("any", "group", "prefix"))
    return world.rule(
        name,
        direction=chance.choice(("ingress", "ingress", "egress")),
        ether_type=f"IPv{version}",
        protocol=protocol,
        port_range_min=low,
        port_range_max=high,
        remote_group_id=world.uid(chance.choice(GROUPS)) if remote == "group" else None,
        remote_ip_prefix=chance.choice(PREFIXES[version]) if remote == "prefix" else None,
    )


def _random_cloud(chance: random.Random) -> Cloud:
    rules = {
        name: [
            *(_random_rule(chance, f"{name}{number}") for number in range(chance.randint(0, 4))),
            *(world.outbound(name) if chance.random() < 0.7 else []),
        ]
        for name in GROUPS
    }
    open_ports = frozenset({PORTS - 1} if chance.random() < 0.5 else ())
    members = {
        number: () if number in open_ports else tuple(chance.sample(GROUPS, chance.randint(0, 2)))
        for number in range(PORTS)
    }
    return Cloud(rules, members, open_ports)


def _random_packet(chance: random.Random) -> Packet:
    source, target = chance.sample(range(PORTS), 2)
    version = chance.choice((4, 4, 6))
    protocol = chance.choice(("tcp", "tcp", "udp", "icmp", "47", "50"))
    service = chance.choice(SERVICES)
    if protocol == "icmp":
        service = chance.choice((8, 13) if version == 4 else (128, 129))
    return Packet(source, target, version, protocol, service, spoofed=chance.random() < 0.1)


def _disagreements(ovn: Ovn, ctx: Context, seed: int) -> list[tuple[Packet, bool]]:
    """Packets of a random cloud of which OVN thinks otherwise than the model."""
    chance = random.Random(seed)
    cloud = _random_cloud(chance)
    results = driver.batch(ctx, json.loads(json.dumps(cloud.operations())), remote=ovn.remote)
    assert all(result["ok"] for result in results)
    ovn.translated()
    found = []
    for _number in range(40):
        packet = _random_packet(chance)
        verdict = _short(packet.target) in ovn.trace(world.uid("net"), packet.expression())
        if verdict != cloud.passes(packet):
            found.append((packet, verdict))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("AGENTLESS_PACKET_WORLDS", "6"))))
def test_random_packets_follow_random_rules(ovn: Ovn, ctx: Context, seed: int) -> None:
    assert _disagreements(ovn, ctx, seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["_remote", "_ports", "drop_acls"])
def test_a_broken_build_is_noticed(ovn: Ovn, ctx: Context, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Remote ends, port ranges or the last drop forgotten: the comparison above must say so."""
    monkeypatch.setattr(rules, broken, lambda *_arguments: [])
    assert any(_disagreements(ovn, ctx, seed) for seed in range(4))


@pytest.fixture(scope="module")
def pair(shared_ovn: Ovn, tmp_path_factory: pytest.TempPathFactory) -> Ovn:
    """The first and the third port may do everything, the second answers on port 80 only and may ask for nothing."""
    everything = [world.rule(f"all-{kind}", ether_type=kind) for kind in ("IPv4", "IPv6")]
    web = [
        world.rule(f"web-{kind}", ether_type=kind, protocol="tcp", port_range_min=80, port_range_max=80)
        for kind in ("IPv4", "IPv6")
    ]
    operations = [
        world.secgroup("free", *everything, *world.outbound("free")),
        world.secgroup("web", *web),
        world.network(),
        world.port(0, groups=("free",)),
        world.port(1, groups=("web",)),
        world.port(2, groups=("free",)),
    ]
    ctx = Context(state_dir=str(tmp_path_factory.mktemp("state")))
    assert all(
        result["ok"] for result in driver.batch(ctx, json.loads(json.dumps(operations)), remote=shared_ovn.remote)
    )
    shared_ovn.translated()
    return shared_ovn


def _frame(source: int, target: str, rest: str) -> str:
    own = f'inport == "{world.uid(f"port{source}")}" && eth.src == {world.mac(source)} && eth.dst == {target}'
    return f"{own} && {rest}"


def _v4(source: str, target: str, rest: str) -> str:
    return f"ip4.src == {source} && ip4.dst == {target} && ip.ttl == 64 && {rest}"


def _v6(source: str, target: str, rest: str, *, hops: int = 64) -> str:
    return f"ip6.src == {source} && ip6.dst == {target} && ip.ttl == {hops} && {rest}"


def _arp(address: str) -> str:
    ends = f"arp.spa == {address} && arp.tha == 00:00:00:00:00:00 && arp.tpa == 10.0.0.9"
    return f"arp.op == 2 && arp.sha == {world.mac(0)} && {ends}"


BROADCAST = "ff:ff:ff:ff:ff:ff"
RELAYS = "33:33:00:01:00:02"
SERVES = "udp.src == 67 && udp.dst == 68"
ASKS = "udp.src == 68 && udp.dst == 67"
CLAIMS = f"icmp6.type == 136 && icmp6.code == 0 && nd.target == fd00::1 && nd.tll == {world.mac(0)}"
DENIED = {
    "serving DHCP": (0, world.mac(2), _v4("10.0.0.3", "10.0.0.5", SERVES)),
    "serving DHCP to all": (0, BROADCAST, _v4("10.0.0.3", "255.255.255.255", SERVES)),
    "serving DHCPv6": (0, world.mac(2), _v6("fd00::3", "fd00::5", "udp.src == 547 && udp.dst == 546")),
    "ARP for another's address": (0, BROADCAST, _arp("10.0.0.1")),
    "ND for another's address": (0, world.mac(2), _v6("fd00::3", "fd00::5", CLAIMS, hops=255)),
    "an odd ethertype": (0, world.mac(2), "eth.type == 0x88cc"),
    "no outbound rules": (1, world.mac(0), _v4("10.0.0.4", "10.0.0.3", "udp.src == 4000 && udp.dst == 53")),
    "a closed port from where name servers answer": (
        0,
        world.mac(1),
        _v4("10.0.0.3", "10.0.0.4", "udp.src == 53 && udp.dst == 4000"),
    ),
    "a closed port": (0, world.mac(1), _v4("10.0.0.3", "10.0.0.4", "tcp.src == 4000 && tcp.dst == 22")),
}
ALLOWED = {
    "an open port": (0, world.mac(1), _v4("10.0.0.3", "10.0.0.4", "tcp.src == 4000 && tcp.dst == 80")),
    "ARP": (0, BROADCAST, _arp("10.0.0.3")),
}


@pytest.mark.parametrize("what", DENIED)
def test_what_no_rule_can_open(pair: Ovn, what: str) -> None:
    source, target, rest = DENIED[what]
    assert pair.trace(world.uid("net"), _frame(source, target, rest)) == set()


@pytest.mark.parametrize("what", ALLOWED)
def test_what_goes_through(pair: Ovn, what: str) -> None:
    source, target, rest = ALLOWED[what]
    assert _short(1) in pair.trace(world.uid("net"), _frame(source, target, rest))


@pytest.mark.parametrize("service", ["tcp.src == 80 && tcp.dst == 4000", "udp.src == 53 && udp.dst == 4000"])
def test_answers_of_allowed_connections_go_through(pair: Ovn, service: str) -> None:
    frame = _frame(1, world.mac(0), _v4("10.0.0.4", "10.0.0.3", service))
    assert pair.trace(world.uid("net"), frame, ct=("est,rpl", "est,rpl")) == {_short(0)}
    assert pair.trace(world.uid("net"), frame) == set()


@pytest.mark.parametrize("number", [0, 1])
def test_every_port_gets_its_address_by_dhcp(pair: Ovn, number: int) -> None:
    """Also one whose groups allow nothing outbound."""
    discover = _frame(number, BROADCAST, _v4("0.0.0.0", "255.255.255.255", ASKS))
    link_local = f"fe80::f816:3eff:fe00:{number}"
    solicit = _frame(number, RELAYS, _v6(link_local, "ff02::1:2", "udp.src == 546 && udp.dst == 547"))
    for question in (discover, solicit):
        assert pair.trace(world.uid("net"), question, ct=()) == {_short(number)}


def test_no_rule_stops_router_advertisements(pair: Ovn) -> None:
    """A limit that users are told of; an OVN that heeds the rule is to be known at once. Port security does more."""
    rest = _v6("fe80::f816:3eff:fe00:0", "ff02::1", "icmp6.type == 134 && icmp6.code == 0", hops=255)
    assert _short(1) in pair.trace(world.uid("net"), _frame(0, "33:33:00:00:00:01", rest))
