# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lying host may say, and what is kept of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply

REPLY: dict[str, Any] = {
    "identity": "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10",
    "address": "192.0.2.21",
    "hostname": "c1",
    "virt_types": ["qemu", "kvm", "bhyve"],
    "cpu": {"arch": "x86_64", "model": "EPYC", "vendor": None, "features": ["sse4.1", "aes"]},
    "capacity": {"vcpus": 2, "ram": 1024, "disk": 20, "gold": 7},
    "numa": [{"id": 0, "ram": 1024, "cpus": [1, 0]}],
    "pci_devices": [
        {"address": "0000:00:01.0", "vendor_id": "1af4", "product_id": "1045", "class": "ffff00", "numa_node": None}
    ],
    "versions": {"libvirt": "9.0.0", "qemu": "7.2.22", "kernel": "6.1.0-18-amd64"},
}


def test_honest() -> None:
    """Kept, and nothing beside it."""
    found = facts.read("c1", REPLY)
    assert found.virt_types == ["kvm", "qemu"]
    assert found.capacity == {"vcpus": 2, "ram": 1024, "disk": 20}
    assert found.cpu["features"] == ["aes", "sse4.1"]
    assert found.pci_devices[0]["driver"] is None
    said = facts.read("c1", {**REPLY, "connections": ["multipath", "fc", "host", "qemu"]})
    assert (found.about["connections"], said.about["connections"]) == ([], ["host", "multipath"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("identity",), "{{ lookup('env', 'HOME') }}"),
        (("identity",), {"a": 1}),
        (("address",), "localhost"),
        (("address",), "0.0.0.0/0"),
        (("address",), "192.0.2.21 ::/0"),
        (("address",), "fe80::1%\x1b[2J"),
        (("address",), 5),
        (("hostname",), "{{ 7 * 7 }}"),
        (("hostname",), "a" * 300),
        (("virt_types",), "kvm"),
        (("capacity",), None),
        (("capacity", "vcpus"), -1),
        (("capacity", "vcpus"), True),
        (("capacity", "ram"), "much"),
        (("capacity", "disk"), 10**12),
        *((("capacity", name), most + 1) for name, most in facts.MOST.items()),
        (("capacity", "vcpus"), 1 << 16),
        (("capacity", "ram"), 1 << 30),
        (("capacity", "ram"), float("inf")),
        (("capacity", "ram"), 2**62),
        (("cpu", "arch"), "../x"),
        (("cpu", "features"), ["a"] * 5000),
        (("cpu", "features"), [{"a": 1}]),
        (("numa", 0, "cpus"), [0.5]),
        (("connections",), "host"),
        (("pci_devices", 0, "address"), "0000:00:01.0\n"),
        (("versions",), {}),
    ],
)
def test_lies(path: tuple[Any, ...], value: Any) -> None:
    """Refused with the host's name, never stored."""
    reply = copy.deepcopy(REPLY)
    target = reply
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    if path == ("cpu", "arch"):
        assert facts.read("c1", reply).cpu["arch"] == value  # harmless: data, never a path
        return
    with pytest.raises(BadReply, match="c1"):
        facts.read("c1", reply)
