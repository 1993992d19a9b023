# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The domain as a whole: what libvirt defines."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # documentation can be shown without it; the requirements name it for what boots guests
    etree = None  # type: ignore[assignment]

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import devices
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import Options, options, topology
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.spec import DomainSpec, Nic
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.xml import Element, node, text_of
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

NAMESPACE = "https://agentless.cloud/xmlns/instance/1.0"
_MACHINES = {"x86_64": "q35", "aarch64": "virt"}


def domain_xml(spec: DomainSpec) -> str:
    """The domain XML of an instance.

    :raises BadInput: an option that cannot be meant, or a text that XML cannot carry.
    """
    made = options(spec.image_properties, spec.extra_specs, spec.vcpus)
    if spec.virt_type not in ("kvm", "qemu"):
        raise BadInput(f"virt_type is kvm or qemu, not {spec.virt_type!r}.")
    return text_of(
        node(
            "domain",
            node("name", spec.id),
            node("uuid", spec.id),
            node("title", spec.name),
            _metadata(spec),
            node("memory", spec.ram, unit="MiB"),
            node("currentMemory", spec.ram, unit="MiB"),
            node("vcpu", spec.vcpus, placement="static"),
            _iothreads(spec),
            _cputune(made),
            _sysinfo(spec) if spec.arch == "x86_64" else None,
            _os(spec, made),
            _features(spec, made),
            _cpu(spec, made),
            _clock(spec, made),
            node("on_poweroff", "destroy"),
            node("on_reboot", "restart"),
            node("on_crash", "destroy"),
            node(
                "devices",
                *devices.disks(spec, made),
                *devices.controllers(spec, made),
                *[_interface(spec, made, nic) for nic in spec.nics],
                *devices.serial(spec),
                *devices.inputs(made),
                *devices.display(made),
                *devices.extras(made),
            ),
            type=spec.virt_type,
        )
    )


def interface_xml(spec: DomainSpec, nic: Nic) -> str:
    """The XML of one interface, to plug into the instance of ``spec``."""
    return text_of(_interface(spec, options(spec.image_properties, spec.extra_specs), nic))


def _interface(spec: DomainSpec, made: Options, nic: Nic) -> Element:
    return devices.interface(nic, made, vcpus=spec.vcpus, virt_type=spec.virt_type)


def _metadata(spec: DomainSpec) -> Element:
    """The record that ties the domain to its instance; without it no operation touches the domain."""
    record = etree.Element(f"{{{NAMESPACE}}}instance", {"id": spec.id}, nsmap={"agentless": NAMESPACE})
    for name, value in {"name": spec.name, "project": spec.project, **spec.labels}.items():
        etree.SubElement(record, f"{{{NAMESPACE}}}{name}").text = value
    return node("metadata", record)


def _iothreads(spec: DomainSpec) -> Element:
    most = max((volume.iothread or 0 for volume in spec.volumes), default=0)
    return node("iothreads", most) if most else None


def _cputune(made: Options) -> Element:
    parts = [("shares", made.cpu_shares), ("period", made.cpu_period), ("quota", made.cpu_quota)]
    given = [node(name, value) for name, value in parts if value is not None]
    return node("cputune", *given) if given else None


def _sysinfo(spec: DomainSpec) -> Element:
    entries = {"manufacturer": "agentless.cloud", "product": "Virtual Machine", "serial": spec.id, "uuid": spec.id}
    system = node("system", *[node("entry", text, name=name) for name, text in entries.items()])
    return node("sysinfo", system, type="smbios")


def _os(spec: DomainSpec, made: Options) -> Element:
    machine = made.machine or _MACHINES.get(spec.arch)
    efi = made.firmware == "uefi"
    secure = {"required": "yes", "disabled": "no"}.get(made.secure_boot)
    return node(
        "os",
        node("type", "hvm", arch=spec.arch, machine=machine),
        node("firmware", node("feature", enabled=secure, name="secure-boot")) if efi and secure else None,
        node("bootmenu", enable="yes") if made.boot_menu else None,
        node("smbios", mode="sysinfo") if spec.arch == "x86_64" else None,
        **({"firmware": "efi"} if efi else {}),
    )


def _features(spec: DomainSpec, made: Options) -> Element:
    return node(
        "features",
        node("acpi"),
        node("apic") if spec.arch == "x86_64" else None,
        node("kvm", node("hidden", state="on")) if made.hide_hypervisor and spec.virt_type == "kvm" else None,
        node("smm", state="on") if made.secure_boot == "required" else None,
    )


def _cpu(spec: DomainSpec, made: Options) -> Element:
    """Under KVM as much of the host's CPU as it may have; emulated, all that the emulator can."""
    if spec.cpu_mode not in ("host-model", "host-passthrough"):
        raise BadInput(f"cpu_mode is host-model or host-passthrough, not {spec.cpu_mode!r}.")
    parts = topology(made, spec.vcpus)
    shape = node("topology", sockets=parts[0], cores=parts[1], threads=parts[2]) if parts else None
    if spec.virt_type == "kvm":
        return node("cpu", shape, mode=spec.cpu_mode, check="partial" if spec.cpu_mode == "host-model" else "none")
    return node("cpu", shape, mode="maximum", check="none")


def _clock(spec: DomainSpec, made: Options) -> Element:
    timers = []
    if spec.arch == "x86_64":
        timers = [
            node("timer", name="pit", tickpolicy="delay"),
            node("timer", name="rtc", tickpolicy="catchup"),
            node("timer", name="hpet", present="yes" if made.hpet else "no"),
        ]
    return node("clock", *timers, offset="localtime" if made.os_type == "windows" else "utc")
