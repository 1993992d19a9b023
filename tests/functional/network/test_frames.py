# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real frames follow the rules (P15): ports in namespaces of a test host, random rules, and what really arrives."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.network import world
from tests.functional.network.test_packets import PORTS, SERVICES, Cloud, Packet, _address, _random_cloud

ROOT = Path(__file__).resolve().parents[3]
LAB = str(ROOT / "tests/lab/lab")
AGENT = Path(__file__).with_name("frames_agent.py")
ROUTER = Path(__file__).with_name("frames_router.py")
SWITCH = (
    "ovs-vsctl set open . external-ids:ovn-remote=unix:/var/run/ovn/ovnsb_db.sock external-ids:ovn-encap-type=geneve "
    "external-ids:ovn-encap-ip=127.0.0.1 external-ids:system-id=frames external-ids:ovn-bridge-datapath-type=netdev"
)


class Host:
    """A test host that is OVN central and the only chassis, with one namespace for each port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = str(uuid.uuid4())
        self.generation = 0

    def run(self, line: str, *, stdin: str = "") -> str:
        """A shell line on the host."""
        done = subprocess.run(
            [LAB, "exec", self.name, "a", "--", line], input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"
        return done.stdout

    def prepare(self) -> None:
        """Start OVN, and plug the ports in."""
        self.run("systemctl start openvswitch-switch ovn-central ovn-host")
        self.run(
            "timeout 20 sh -c 'until [ -S /run/ovn/ovnnb_db.sock -a -S /run/ovn/ovnsb_db.sock ]; do sleep 0.1; done'"
        )
        self.run(SWITCH)
        self.run(f"mkdir -p /etc/agentless && echo {self.identity} >/etc/agentless/identity")
        self.run("timeout 20 sh -c 'until ovs-vsctl br-exists br-int; do sleep 0.1; done'")
        for number in range(PORTS):
            link = f"g{number}"
            inside = f"ip netns exec {link}"
            self.run(
                f"ip netns add {link} && ovs-vsctl add-port br-int {link} -- set interface {link} type=internal "
                f"external_ids:iface-id={world.uid(f'port{number}')} && ip link set {link} netns {link} && "
                f"{inside} sysctl -qw net.ipv6.conf.{link}.accept_dad=0 && "
                f"{inside} ip link set {link} address {world.mac(number)} mtu 1442 && {inside} ip link set lo up && "
                f"{inside} ip link set {link} up && {inside} ip address add {_address(number, 4)}/24 dev {link} && "
                f"{inside} ip address add {_address(number, 6)}/64 dev {link} nodad"
            )
            self.run(f"{inside} ethtool -K {link} tx off >/dev/null 2>&1 || true")
        self.run("cat >/root/agent.py", stdin=AGENT.read_text())
        self.run("cat >/root/router.py", stdin=ROUTER.read_text())

    def backend(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A call of the network backend as the controller makes it."""
        inventory = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state"))
        inventory = inventory / "agentless-lab" / self.name / "inventory.yml"
        args = json.dumps({"identity": self.identity, "payload": json.dumps(operations)})
        argv = ["ansible", "-i", str(inventory), "a", "-o", "-m", "agentless.cloud.network_backend", "-a", args]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert "=>" in done.stdout, done.stdout + done.stderr
        answer = json.loads(done.stdout.partition("=>")[2])
        assert all(result["ok"] for result in answer["results"]), answer
        results: list[dict[str, Any]] = answer["results"]
        return results

    def tell(self, cloud: Cloud) -> None:
        """Make OVN like the cloud, and wait until the host's flows are."""
        self.generation += 1
        operations = [{**item, "generation": self.generation} for item in cloud.operations()]
        self.backend(operations)
        self.settle([world.uid(f"port{number}") for number in range(PORTS)])

    def settle(self, ids: list[str]) -> None:
        """Wait until the ports are up and the host has all flows."""
        up, arrived = self.backend(
            [{"op": "ports_up", "ids": ids, "timeout": 30}, {"op": "sync", "target": "hv", "timeout": 30}]
        )
        assert up["up"] == ids
        assert arrived["arrived"]

    def send(self, packets: list[Packet]) -> list[bool]:
        """Send all packets; which of them arrived."""
        probes: dict[int, list[dict[str, Any]]] = {number: [] for number in range(PORTS)}
        for place, packet in enumerate(packets):
            target = _address(packet.target, packet.version)
            probe = {"id": f"p{place}", "protocol": packet.protocol, "target": target, "service": packet.service}
            probes[packet.source].append(probe)
        encoded = {number: base64.b64encode(json.dumps(listed).encode()).decode() for number, listed in probes.items()}
        line = "; ".join(
            f"(echo {text} | base64 -d | ip netns exec g{number} python3 /root/agent.py >/root/out.{number}) &"
            for number, text in encoded.items()
        ).replace("&;", "&")
        self.run(f"{line} wait")
        found = [json.loads(self.run(f"cat /root/out.{number}")) for number in range(PORTS)]
        arrived = {key for part in found for key, answered in part["sent"].items() if answered}
        arrived |= {key for part in found for key in part["heard"]}
        return [f"p{place}" in arrived for place in range(len(packets))]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A prepared test host of its own."""
    name = f"frames{os.getpid()}"
    made = Host(name)
    try:
        subprocess.run([LAB, "up", "--name", name, "--hosts", "a"], check=True, capture_output=True)
        made.prepare()
        yield made
    finally:
        subprocess.run([LAB, "down", "--name", name], check=False, capture_output=True)


def _packets(chance: random.Random, count: int) -> list[Packet]:
    packets = []
    for _number in range(count):
        source, target = chance.sample(range(PORTS), 2)
        version, protocol = chance.choice((4, 6)), chance.choice(("tcp", "udp", "icmp"))
        service = chance.choice(SERVICES) if protocol != "icmp" else 8 if version == 4 else 128
        packets.append(Packet(source, target, version, protocol, service))
    return packets


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("AGENTLESS_FRAME_WORLDS", "3"))))
def test_frames_follow_random_rules(host: Host, seed: int) -> None:
    """Each seed changes the rules under the ports of the one before: running guests follow."""
    chance = random.Random(1000 + seed)
    expected: list[bool] = []
    while sum(expected) < 10:  # worlds where nearly everything is forbidden say little
        cloud, packets = _random_cloud(chance), _packets(chance, 60)
        expected = [cloud.passes(packet) for packet in packets]
    host.tell(cloud)
    started = time.monotonic()
    arrived = host.send(packets)
    wrong = [packet for packet, was, should in zip(packets, arrived, expected, strict=True) if was != should]
    print(f"seed {seed}: {sum(expected)} of {len(packets)} pass, {time.monotonic() - started:.1f} s")
    assert wrong == []


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize(("versions", "passes"), [((4,), False), ((4, 6), True)])
def test_who_advertises_a_router(host: Host, versions: tuple[int, ...], passes: bool) -> None:
    """A guest without an IPv6 address cannot. That one with both can is a limit that users are told of."""
    host.generation += 1
    given = [{"subnet_id": world.uid(f"net-v{version}"), "address": _address(0, version)} for version in versions]
    inbound = [world.rule(f"all-{kind}", ether_type=kind) for kind in ("IPv4", "IPv6")]
    operations = [
        world.secgroup("free", *inbound, *world.outbound("free")),
        world.network(),
        world.port(0, groups=("free",), addresses=given),
        world.port(1, groups=("free",)),
    ]
    host.backend([{**item, "generation": host.generation} for item in operations])
    host.settle([world.uid("port0"), world.uid("port1")])
    listening = "ip netns exec g1 python3 /root/router.py listen g1 5 &"
    sending = f"ip netns exec g0 python3 /root/router.py send g0 {world.mac(0)}"
    heard = set(host.run(f"{listening} sleep 1; {sending}; wait").split())
    assert heard == ({world.mac(0)} if passes else set())
