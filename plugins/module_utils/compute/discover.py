# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host is and can do, for the scheduler's record of it."""

from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, identity
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, host_initiator, probe
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

PCI = "/sys/bus/pci/devices"


def discover(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: the facts of this host; reads only, but for the remembered answer about KVM."""
    link = connection.connect()
    capabilities = ElementTree.fromstring(link.getCapabilities())
    arch = capabilities.findtext("host/cpu/arch") or os.uname().machine
    emulator = capabilities.findtext(f"guest/arch[@name='{arch}']/emulator") or ""
    offered = {one.get("type") for one in capabilities.iterfind(f"guest/arch[@name='{arch}']/domain")}
    version = link.getVersion()
    virt_types = ["qemu"] if "qemu" in offered else []
    if "kvm" in offered and probe.kvm_runs(ctx, emulator, version):
        virt_types.insert(0, "kvm")
    return {
        "changed": False,
        "identity": identity(create=False),
        "hostname": os.uname().nodename,
        "address": _address(),
        "initiator": initiator(),
        "connections": host_initiator.able(ctx),
        "virt_types": virt_types,
        "cpu": _cpu(link, capabilities, arch, virt_types),
        "capacity": _capacity(link, ctx.state_dir),
        "numa": _numa(capabilities),
        "pci_devices": _pci_devices(),
        "datapath": _datapath(ctx),
        "versions": {
            "libvirt": _dotted(link.getLibVersion()),
            "qemu": _dotted(version),
            "kernel": os.uname().release,
        },
    }


def _datapath(ctx: Context) -> str:
    """Where Open vSwitch moves frames: ``system`` in the kernel, ``netdev`` in its own process.

    What OVN is told comes first: its bridge is made a moment after it was told.
    """
    told = ["get", "Open_vSwitch", ".", "external_ids:ovn-bridge-datapath-type"]
    made = ["get", "Bridge", "br-int", "datapath_type"]
    argv = ["ovs-vsctl", "--timeout=5", "--", "--if-exists", *told, "--", "--if-exists", *made]
    try:
        found = ctx.run(argv, check=False)
    except BackendError:
        return "none"
    answers = [line.strip().strip('"') for line in found.stdout.splitlines()]
    return next((answer for answer in answers if answer), "system" if found.returncode == 0 else "none")


def _dotted(version: int) -> str:
    return f"{version // 1000000}.{version // 1000 % 1000}.{version % 1000}"


def _address() -> str | None:
    """The address that the controller came to, else the one that leads outwards."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4:
        return words[2]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe_socket:
        try:
            probe_socket.connect(("192.0.2.1", 9))  # sends nothing: it only chooses a route
            return str(probe_socket.getsockname()[0])
        except OSError:
            return None


def _capacity(link: Any, state_dir: str) -> dict[str, int]:
    cpus = link.getInfo()[2]
    where = state_dir if os.path.isdir(state_dir) else "/"
    space = os.statvfs(where)
    return {"vcpus": int(cpus), "ram": _memory(), "disk": space.f_blocks * space.f_frsize >> 30}


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def _cpu(link: Any, capabilities: Any, arch: str, virt_types: list[str]) -> dict[str, Any]:
    """Model, vendor and all features that guests can have under the best of this host's ways to run them."""
    host = capabilities.find("host/cpu")
    model = _guest_model(link, arch, virt_types[0]) if virt_types else None
    cpu = host if model is None else model
    if cpu is None:
        return {"arch": arch, "model": None, "vendor": None, "features": []}
    denied = {one.get("name") for one in cpu.iterfind("feature[@policy='disable']")}
    features = {str(one.get("name")) for one in cpu.iterfind("feature")} - denied
    return {
        "arch": arch,
        "model": cpu.findtext("model"),
        "vendor": cpu.findtext("vendor") or (host.findtext("vendor") if host is not None else None),
        "features": sorted(features),
    }


def _guest_model(link: Any, arch: str, virt_type: str) -> Any:
    """The CPU that 'host-model' would give to a guest, with the features that its name implies spelt out."""
    libvirt = connection.libvirt
    try:
        offers = ElementTree.fromstring(link.getDomainCapabilities(None, arch, None, virt_type))
        mode = offers.find("cpu/mode[@name='host-model'][@supported='yes']")
        if mode is None or mode.find("model") is None:
            return None
        mode.tag = "cpu"
        mode.attrib.clear()
        mode.set("mode", "custom")
        mode.set("match", "exact")
        spelt = link.baselineHypervisorCPU(
            None,
            arch,
            None,
            virt_type,
            [ElementTree.tostring(mode, encoding="unicode")],
            libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES,
        )
        return ElementTree.fromstring(spelt)
    except libvirt.libvirtError:
        return None


def _numa(capabilities: Any) -> list[dict[str, Any]]:
    """The NUMA nodes. A single one has all the memory; the kernel's own figure for it moves with ballooning."""
    cells = [
        {
            "id": int(cell.get("id")),
            "ram": int(cell.findtext("memory") or 0) >> 10,
            "cpus": [int(cpu.get("id")) for cpu in cell.iterfind("cpus/cpu")],
        }
        for cell in capabilities.iterfind("host/topology/cells/cell")
    ]
    if len(cells) == 1:
        cells[0]["ram"] = _memory()
    return cells


def _pci_devices() -> list[dict[str, Any]]:
    """Every PCI function, from the kernel; 'driver' says who holds it."""
    names = sorted(os.listdir(PCI)) if os.path.isdir(PCI) else []
    return [_pci_device(name) for name in names if re.match(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$", name)]


def _pci_device(name: str) -> dict[str, Any]:
    def value(key: str) -> str | None:
        try:
            with open(os.path.join(PCI, name, key), encoding="ascii") as stream:
                return stream.read().strip()
        except OSError:
            return None

    def code(key: str) -> str | None:
        text = value(key)
        return text[2:] if text else None

    driver = os.path.join(PCI, name, "driver")
    node = value("numa_node")
    return {
        "address": name,
        "vendor_id": code("vendor"),
        "product_id": code("device"),
        "class": code("class"),
        "numa_node": int(node) if node and node != "-1" else None,
        "driver": os.path.basename(os.readlink(driver)) if os.path.islink(driver) else None,
    }
