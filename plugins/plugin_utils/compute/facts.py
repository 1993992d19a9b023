# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says of itself, looked at before it is believed. Pure.

A host may be anybody's: its answer is only kept where each value is of the form agreed, and no value is longer than it
has any reason to be.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import clean

VIRT_TYPES = ("kvm", "qemu")
RESOURCES = ("vcpus", "ram", "disk")
MOST = {"vcpus": 1 << 13, "ram": 1 << 28, "disk": 1 << 24}  # threads, MiB (256 TiB), GiB (16 PiB): beyond any machine
SLACK = 1.1  # up to here it is no jump: a kernel that keeps less for itself, a file system made anew

_WORD = re.compile(r"[A-Za-z0-9._:+()@/ -]{1,128}")
_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_CODE = re.compile(r"[0-9a-f]{4,6}")
_INITIATOR = re.compile(r"(?:iqn|eui|naa)\.[A-Za-z0-9.:_-]{1,219}")


@dataclass(frozen=True)
class Facts:
    """A host's answer to ``discover``."""

    identity: str | None
    address: str | None
    virt_types: list[str]
    cpu: dict[str, Any]
    capacity: dict[str, int]
    numa: list[dict[str, Any]]
    pci_devices: list[dict[str, Any]]
    about: dict[str, Any]


def read(host: str, reply: Mapping[str, Any]) -> Facts:
    """The facts in a host's reply.

    :raises BadReply: a value is not of the form agreed.
    """
    try:
        return Facts(
            identity=str(uuid.UUID(reply["identity"])) if reply.get("identity") else None,
            address=_address(reply["address"]) if reply.get("address") else None,
            virt_types=[name for name in VIRT_TYPES if name in _list(reply["virt_types"], 16)],
            cpu=_cpu(reply["cpu"]),
            capacity={name: _number(reply["capacity"][name], MOST[name]) for name in RESOURCES},
            numa=[_cell(cell) for cell in _list(reply["numa"], 1024)],
            pci_devices=[_device(device) for device in _list(reply["pci_devices"], 4096)],
            about={
                "hostname": _word(reply["hostname"]),
                "datapath": _word(reply.get("datapath") or "none"),
                **({"initiator": initiator(reply)} if reply.get("initiator") else {}),
                "connections": _connections(reply),
                "versions": {name: _word(reply["versions"][name]) for name in ("kernel", "libvirt", "qemu")},
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        text = f"{type(exc).__name__}: {exc}" if isinstance(exc, KeyError) else str(exc)
        raise BadReply(
            f"What {host} says of itself is not of the form agreed ({clean(text, 200)}).", host=host
        ) from exc


def jumps(capacity: Mapping[str, int], first: Mapping[str, int]) -> list[str]:
    """The resources of which a machine says that it has much more than it had when it was first asked."""
    return [name for name in RESOURCES if name in first and capacity[name] > first[name] * SLACK]


def _connections(reply: Mapping[str, Any]) -> list[str]:
    """How the host can reach volumes besides QEMU's own client."""
    said = _list(reply.get("connections") or [], 16)
    return [word for word in connections.CONNECTIONS if word in said and word != connections.QEMU]


def initiator(reply: Mapping[str, Any]) -> str | None:
    """The name by which a host logs in to iSCSI targets.

    :raises BadReply: it is none.
    """
    try:
        return _matching(_INITIATOR, reply["initiator"]) if reply.get("initiator") else None
    except ValueError as exc:
        raise BadReply(f"A host does not log in to targets as {exc}.") from exc


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of several fields one by one, so that a change names the field; long lists in short words."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key != "aggregates" and isinstance(value, Mapping):
            flat.update({f"{key}.{part}": content for part, content in value.items()})
        else:
            flat[key] = value
    if flat.get("cpu.features") is not None:
        flat["cpu.features"] = " ".join(flat["cpu.features"])
    for device in flat.pop("pci_devices", None) or ():
        words = (f"{device['vendor_id']}:{device['product_id']}", device["class"], device["driver"] or "no driver")
        flat[f"pci {device['address']}"] = " ".join(words)
    for node in flat.pop("numa", None) or ():
        flat[f"numa {node['id']}"] = f"{node['ram']} MiB, cpus {' '.join(map(str, node['cpus']))}"
    return flat


def _cpu(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arch": _word(value["arch"]),
        "model": _optional(value.get("model")),
        "vendor": _optional(value.get("vendor")),
        "features": sorted({_word(name) for name in _list(value["features"], 4096)}),
    }


def _cell(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": _number(value["id"], 1 << 16),
        "ram": _number(value["ram"], MOST["ram"]),
        "cpus": sorted(_number(cpu, MOST["vcpus"]) for cpu in _list(value["cpus"], MOST["vcpus"])),
    }


def _device(value: Mapping[str, Any]) -> dict[str, Any]:
    node = value.get("numa_node")
    return {
        "address": _matching(_PCI, value["address"]),
        "vendor_id": _matching(_CODE, value["vendor_id"]),
        "product_id": _matching(_CODE, value["product_id"]),
        "class": _matching(_CODE, value["class"]),
        "numa_node": None if node is None else _number(node, 1 << 16),
        "driver": _optional(value.get("driver")),
    }


def _address(value: Any) -> str:
    """One address. A number would be one too, and what follows a per cent sign in IPv6 could be any text."""
    if not isinstance(value, str) or "%" in value:
        raise ValueError(f"{clean(value, 64)!r} is not an address")
    return str(ipaddress.ip_address(value))


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{clean(value, 64)!r}")
    return value


def _word(value: Any) -> str:
    return _matching(_WORD, value)


def _optional(value: Any) -> str | None:
    return None if value is None else _word(value)


def _number(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r:.64} is not a number from 0 to {most}")
    return value


def _list(value: Any, longest: int) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > longest:
        raise ValueError(f"not a list of at most {longest}")
    return value
