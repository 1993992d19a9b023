# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One function for each family of devices."""

from __future__ import annotations

import string
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import Options
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.spec import (
    CONSOLE_LOG,
    SEED,
    Disk,
    DomainSpec,
    Nic,
    VolumeDisk,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.xml import Element, node, parsed
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

FIXED_PORTS = 5  # seed, serial, balloon, random numbers, watchdog
SPARE_PORTS = 4  # PCIe slots kept free for what is plugged in later
MOST_QUEUES = 8
_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}


def device_names(spec: DomainSpec, made: Options) -> list[str]:
    """The target of each disk (``vda``, ``vdb``, ...), and last that of the seed; volumes bring names of their own."""
    given = [volume.device for volume in spec.volumes]
    if len(set(given)) != len(given):
        raise BadInput("Two volumes have one device name.")
    buses = [made.disk_bus] * len(spec.disks) + [seed_bus(spec, made)]
    taken: dict[str, int] = {}
    names = []
    for bus in buses:
        prefix = _PREFIX[bus]
        place = taken.get(prefix, 0)
        while prefix + string.ascii_lowercase[place : place + 1] in given:
            place += 1
        if place >= len(string.ascii_lowercase):
            raise BadInput(f"An instance has at most {len(string.ascii_lowercase)} disks on one bus.")
        taken[prefix] = place + 1
        names.append(prefix + string.ascii_lowercase[place])
    return names


def seed_bus(spec: DomainSpec, made: Options) -> str:
    """Where the config drive is plugged in.

    On virtio it is a read-only disk: the kernels of Debian's and others' cloud images have no driver for a SATA
    CD-ROM. On any other bus it is a CD-ROM.
    """
    if made.cdrom_bus or made.disk_bus == "virtio":
        return made.cdrom_bus or "virtio"
    if spec.arch != "x86_64":
        return "scsi"
    return "ide" if is_old(made) else "sata"


def is_old(made: Options) -> bool:
    """Whether the machine is the PC of 1996, without PCI Express."""
    return made.machine is not None and (made.machine == "pc" or made.machine.startswith("pc-i440fx"))


def disks(spec: DomainSpec, made: Options) -> list[Element]:
    """The disks, the first one bootable, and the config drive."""
    names = device_names(spec, made)
    found = [_disk(spec, made, disk, names[place], place) for place, disk in enumerate(spec.disks)]
    found += [_volume(volume) for volume in spec.volumes]
    bus = seed_bus(spec, made)
    if spec.seed:
        found.append(
            node(
                "disk",
                node("driver", name="qemu", type="raw"),
                node("source", file=spec.path(SEED)),
                node("target", dev=names[-1], bus=bus),
                node("readonly"),
                type="file",
                device="disk" if bus == "virtio" else "cdrom",
            )
        )
    return found


def _boots_elsewhere(spec: DomainSpec) -> bool:
    return any(volume.boot_index == 0 for volume in spec.volumes)


def _disk(spec: DomainSpec, made: Options, disk: Disk, name: str, place: int) -> Element:
    limits = [node(rate, value) for rate, value in made.iotune.items()]
    return node(
        "disk",
        node("driver", name="qemu", type=disk.format, cache=disk.cache, discard="unmap"),
        node("source", file=spec.path(disk.name)),
        _backing(disk),
        node("target", dev=name, bus=made.disk_bus),
        node("iotune", *limits) if limits else None,
        node("serial", disk.serial) if disk.serial else None,
        node("boot", order=1) if place == 0 and not _boots_elsewhere(spec) else None,
        type="file",
        device="disk",
    )


def _volume(volume: VolumeDisk) -> Element:
    """The same text as when it is plugged in later."""
    try:
        made = volume_xml.element(volume.described())
    except (ValueError, KeyError, TypeError) as exc:
        raise BadInput(f"Volume {volume.id}: {exc}.") from None
    return parsed(ElementTree.tostring(made, encoding="unicode"))


def _backing(disk: Disk) -> Element:
    """The whole chain is written down, so that libvirt looks into no file. The shared image keeps its owner."""
    if disk.image is None:
        return node("backingStore")
    return node(
        "backingStore",
        node("format", type=disk.image.format),
        node("source", node("seclabel", model="dac", relabel="no"), file=disk.image.path),
        node("backingStore"),
        type="file",
    )


def controllers(spec: DomainSpec, made: Options) -> list[Element]:
    """SCSI where a disk wants it, USB only where something needs it, and PCIe ports for what is plugged in later."""
    found = []
    buses = {made.disk_bus} if spec.disks else set()
    buses |= {volume_xml.BUSES.get(volume.device[:2], "") for volume in spec.volumes}
    if spec.seed:
        buses.add(seed_bus(spec, made))
    if "scsi" in buses:
        found.append(node("controller", type="scsi", index=0, model=made.scsi_model))
    usb = "usb" in buses or made.input_bus == "usb" or made.pointer == "usbtablet"
    found.append(node("controller", type="usb", index=0, model="qemu-xhci" if usb else "none"))
    if not is_old(made):
        used = len(spec.nics) + (len(spec.disks) if made.disk_bus == "virtio" else 0) + FIXED_PORTS
        used += sum(volume.device.startswith("vd") for volume in spec.volumes)
        found.append(node("controller", type="pci", index=0, model="pcie-root"))
        found += [
            node("controller", type="pci", index=place + 1, model="pcie-root-port")
            for place in range(used + SPARE_PORTS)
        ]
    return found


def interface(nic: Nic, made: Options, *, vcpus: int = 1, virt_type: str = "qemu") -> Element:
    """A port of Open vSwitch; the interface id ties it to its logical port."""
    queues = min(vcpus, MOST_QUEUES)
    several = made.multiqueue and made.vif_model == "virtio" and queues > 1 and virt_type == "kvm"
    return node(
        "interface",
        node("mac", address=nic.mac),
        node("source", bridge=nic.bridge),
        node("virtualport", node("parameters", interfaceid=nic.port_id), type="openvswitch"),
        node("target", dev=nic.tap),
        node("model", type=made.vif_model),
        _nic_driver(nic, queues if several else None),
        node("mtu", size=nic.mtu) if nic.mtu else None,
        type="bridge",
    )


def _nic_driver(nic: Nic, queues: int | None) -> Element | None:
    if nic.offload:
        return node("driver", name="vhost", queues=queues) if queues else None
    off = dict.fromkeys(("csum", "gso", "tso4", "tso6", "ecn", "ufo"), "off")
    return node("driver", node("host", **off), queues=queues) if queues else node("driver", node("host", **off))


def serial(spec: DomainSpec) -> list[Element]:
    """One serial port: a terminal for ``virsh console`` and, at the same time, a log file."""
    log = node("log", file=spec.path(CONSOLE_LOG), append="off") if spec.console_log else None
    kind = "isa-serial" if spec.arch == "x86_64" else "system-serial"
    return [
        node("serial", log, node("target", type=kind, port=0), type="pty"),
        node("console", node("target", type="serial", port=0), type="pty"),
    ]


def display(made: Options) -> list[Element]:
    """The graphics card. Nothing shows its screen: VNC has no authentication worth the name."""
    model = made.video or "virtio"
    heads = (None, None) if model == "none" else (1, "yes")
    return [node("video", node("model", type=model, heads=heads[0], primary=heads[1]))]


def inputs(made: Options) -> list[Element]:
    """A pointer that knows where it is, where the image asks for one."""
    if made.pointer == "usbtablet":
        return [node("input", type="tablet", bus=made.input_bus or "usb")]
    return [node("input", type="tablet", bus=made.input_bus)] if made.input_bus else []


def extras(made: Options) -> list[Element]:
    """Guest agent, random numbers, balloon, watchdog."""
    found = []
    if made.agent:
        found.append(node("channel", node("target", type="virtio", name="org.qemu.guest_agent.0"), type="unix"))
    if made.rng:
        found.append(node("rng", node("backend", "/dev/urandom", model="random"), model=made.rng_model))
    found.append(node("memballoon", node("stats", period=10), model="virtio"))
    if made.watchdog and made.watchdog != "disabled":
        found.append(node("watchdog", model="i6300esb", action=made.watchdog))
    return found
