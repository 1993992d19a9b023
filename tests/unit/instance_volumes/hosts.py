# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute hosts beside the storage hosts of the bus. A disk is only there while its export lets its host in.

What must never be is written down as it happens: a volume that is shut or deleted under a guest, or open to a host
that has no business with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import HostUnreachable
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Reply, Rpc
from tests.unit.volume_flows.bus import Bus, Refusal, target

COMPUTE = ("c1", "c2")


def initiator(host: str) -> str:
    """By which name a compute host logs in."""
    return f"iqn.2026-01.cloud.agentless:{host}"


@dataclass
class Guest:
    """A domain on a compute host.

    :param disks: its own disks by device.
    :param volumes: volumes by device.
    :param targets: where it has each volume open, by the volume.
    """

    host: str
    disks: list[str]
    volumes: dict[str, str]
    running: bool = True
    targets: dict[str, str] = field(default_factory=dict)


@dataclass
class Hosts(Bus):
    """The whole cloud."""

    domains: dict[tuple[str, str], Guest] = field(default_factory=dict)  # by host and instance id
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)  # by host and volume id
    wrong: list[str] = field(default_factory=list)
    capacity: dict[str, int] = field(default_factory=lambda: {"vcpus": 64, "ram": 8192, "disk": 100})
    stubborn: bool = False
    dies_after: str = ""  # the call, as its label has it, after which its host answers no more

    results = staticmethod(Rpc.results)

    def expect(self, hosts: Iterable[str], module: str, *, packed: bool = True) -> None:
        """Nothing is made ready ahead."""

    def _one(self, call: Call) -> Reply:
        reply = super()._one(call)
        if call.label == self.dies_after:
            self.dead.add(call.host)
            return Reply(call.host, error=HostUnreachable(f"{call.host}: the answer never came", host=call.host))
        return reply

    def of(self, volume: str) -> list[Guest]:
        """The guests that have a volume."""
        return [guest for guest in self.domains.values() if volume in guest.volumes.values()]

    def _discover(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        if host not in COMPUTE:
            return super()._discover(host, op)
        return {
            "identity": None,
            "address": "192.0.2.7",
            "hostname": host,
            "initiator": initiator(host),
            "virt_types": ["qemu"],
            "cpu": {"arch": "x86_64", "model": "m", "vendor": "v", "features": []},
            "capacity": self.capacity,
            "numa": [],
            "pci_devices": [],
            "versions": {"libvirt": "9.0.0", "qemu": "7.2.0", "kernel": "6.1.0"},
        }

    def _spawn(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        for volume in op.get("volumes") or ():
            self._reached(host, volume)
            self.secrets[host, volume["id"]] = volume["secret"]
            assert volume["secret"] not in op["xml"]
        devices = ElementTree.fromstring(op["xml"]).findall("devices/disk/target")
        volumes = {each["device"]: each["id"] for each in op.get("volumes") or ()}
        names = [str(each.get("dev")) for each in devices]
        assert len(set(names)) == len(names)
        own = [disk["target"] for disk in op["disks"]]
        targets = {each["id"]: each["source"]["iqn"] for each in op.get("volumes") or ()}
        self.domains[host, op["id"]] = Guest(host, own, volumes, op["start"], targets)
        return {"state": "running"}

    def _destroy(self, host: str, op: dict[str, Any]) -> None:
        gone = self.domains.pop((host, op["id"]), None)
        for volume in gone.volumes.values() if gone else ():
            self.secrets.pop((host, volume), None)

    def _attach_volume(self, host: str, op: dict[str, Any]) -> None:
        guest, volume = self.domains[host, op["id"]], op["volume"]
        volume_xml.check(volume)
        self._reached(host, volume)
        if guest.volumes.get(volume["device"], volume["id"]) != volume["id"] or volume["device"] in guest.disks:
            raise Refusal("the device is another disk")
        self.secrets[host, volume["id"]] = volume["secret"]
        guest.volumes[volume["device"]] = volume["id"]
        guest.targets[volume["id"]] = volume["source"]["iqn"]

    def _copy_volume(self, host: str, op: dict[str, Any]) -> None:
        guest, volume = self.domains[host, op["id"]], op["volume"]
        assert volume["id"] in guest.volumes.values()
        if volume["source"]["iqn"] not in self._open_at(volume["id"], host):
            raise Refusal("the target refuses to let this host in")
        guest.targets[volume["id"]] = volume["source"]["iqn"]

    def _detach_volume(self, host: str, op: dict[str, Any]) -> None:
        guest = self.domains[host, op["id"]]
        if self.stubborn and op["volume"]["id"] in guest.volumes.values():
            raise Refusal("the guest did not let go", "Timeout")
        guest.volumes = {device: key for device, key in guest.volumes.items() if key != op["volume"]["id"]}
        self.secrets.pop((host, op["volume"]["id"]), None)

    def _survey(self, host: str, _op: dict[str, Any]) -> dict[str, Any]:
        instances = {
            key: {
                "state": "running" if guest.running else "shutdown",
                "files": [],
                "disks": [{"serial": volume} for volume in guest.volumes.values()],
            }
            for (where, key), guest in self.domains.items()
            if where == host
        }
        kept = [volume_xml.secret_id(volume) for where, volume in self.secrets if where == host]
        return {"instances": instances, "secrets": kept}

    def _inspect(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        found = {key: self.domains.get((host, key)) for key in op["ids"]}
        states = {
            key: ("running" if guest.running else "shutdown") if guest else "absent" for key, guest in found.items()
        }
        return {"instances": {key: {"state": state} for key, state in states.items()}}

    def _start(self, host: str, op: dict[str, Any]) -> None:
        for volume in self.domains[host, op["id"]].volumes.values():
            assert (host, volume) in self.secrets
            assert self._open_to(volume) == {initiator(host)}
        self.domains[host, op["id"]].running = True

    _reboot = _start

    def _stop(self, host: str, op: dict[str, Any]) -> None:
        self.domains[host, op["id"]].running = False

    def _export(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        there = set(json.loads(self.exports.get((host, op["backend"], op["id"]), "[]")))
        names = sorted({op["initiator"], *(there if op.get("shared") else ())})
        self._still(op, there - {*names}, "shut out")
        return super()._export(host, {**op, "initiator": json.dumps(names)})

    def _unexport(self, host: str, op: dict[str, Any]) -> None:
        key = (host, op["backend"], op["id"])
        there = set(json.loads(self.exports.get(key, "[]")))
        leaving = {op["initiator"]} if op.get("initiator") else there
        self._still(op, leaving, "shut")
        super()._unexport(host, op)
        if there - leaving:
            self.exports[key] = json.dumps(sorted(there - leaving))

    def _delete(self, host: str, op: dict[str, Any]) -> None:
        super()._delete(host, op)
        if any(guest.targets[op["id"]] == target(op) for guest in self.of(op["id"])):
            self.wrong.append(f"{op['id']} deleted under a guest")

    def _still(self, op: dict[str, Any], leaving: set[str], what: str) -> None:
        """CVE-2023-2088: the guest comes first."""
        for guest in self.of(op["id"]):
            here = guest.targets[op["id"]] == target(op)
            if here and initiator(guest.host) in leaving and guest.host not in self.dead:
                self.wrong.append(f"{op['id']} {what} under a guest on {guest.host}")

    def _open_at(self, volume: str, host: str) -> set[str]:
        """The targets of a volume that let a host in."""
        return {
            target({"backend": backend, "id": key})
            for (_where, backend, key), names in self.exports.items()
            if key == volume and initiator(host) in json.loads(names)
        }

    def _open_to(self, volume: str) -> set[str]:
        return {name for key, names in self.exports.items() if key[2] == volume for name in json.loads(names)}

    def _reached(self, host: str, volume: dict[str, Any]) -> None:
        if initiator(host) not in self._open_to(volume["id"]):
            raise Refusal("the target refuses to let this host in")
        if not volume.get("multiattach") and len(self._open_to(volume["id"])) != 1:
            self.wrong.append(f"{volume['id']} is open to several hosts")
