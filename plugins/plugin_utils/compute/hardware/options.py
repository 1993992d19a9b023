# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flavor extra specs and image properties, under the names that Nova uses, as one table.

Where a flavor and an image both say something, the flavor wins. A name of ours (``hw_*``, ``hw:*``, ``hw_rng:*``,
``quota:*``, ``os:*``) that the table does not hold is refused, so that nothing asked for is silently left out. All
other names are for the scheduler (``aggregate_instance_extra_specs:*``, ``capabilities:*``) or for people
(``os_distro``), and are not looked at here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput


@dataclass(frozen=True)
class Options:
    """The hardware options of one instance, all decided. None means libvirt's own choice or none at all."""

    disk_bus: str = "virtio"
    cdrom_bus: str | None = None
    scsi_model: str = "virtio-scsi"
    vif_model: str = "virtio"
    multiqueue: bool = False
    machine: str | None = None
    video: str | None = None
    firmware: str = "bios"
    secure_boot: str = "disabled"
    agent: bool = True
    rng: bool = True
    rng_model: str = "virtio"
    cpu_sockets: int | None = None
    cpu_cores: int | None = None
    cpu_threads: int | None = None
    cpu_policy: str = "shared"
    page_size: str = "any"
    watchdog: str | None = None
    boot_menu: bool = False
    input_bus: str | None = None
    pointer: str | None = None
    os_type: str = "linux"
    hpet: bool = False
    hide_hypervisor: bool = False
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    iotune: Mapping[str, int] = field(default_factory=dict)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text.lower()

    return read


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "yes", "1", "on"):
        return True
    if text.lower() in ("false", "no", "0", "off"):
        return False
    raise ValueError("yes or no")


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,15}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"a number from {lowest} to {highest}")
        return int(text)

    return read


def _machine(text: str) -> str:
    if not re.fullmatch(r"q35|pc|virt|pc-(q35|i440fx)-[a-z0-9.]+|virt-[0-9.]+", text):
        raise ValueError("q35, pc, virt or a version of one of them, such as pc-q35-7.2")
    return text


_COUNT = _number(1, 1024)
_RATE = _number(1, 10**15)

# image property, flavor extra spec, field of Options, how to read it
TABLE: tuple[tuple[str | None, str | None, str, Callable[[str], Any]], ...] = (
    ("hw_disk_bus", None, "disk_bus", _one_of("virtio", "scsi", "sata", "ide", "usb")),
    ("hw_cdrom_bus", None, "cdrom_bus", _one_of("sata", "scsi", "ide", "usb")),
    ("hw_scsi_model", None, "scsi_model", _one_of("virtio-scsi", "lsilogic", "lsisas1078")),
    ("hw_vif_model", None, "vif_model", _one_of("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")),
    ("hw_vif_multiqueue_enabled", "hw:vif_multiqueue_enabled", "multiqueue", _boolean),
    ("hw_machine_type", None, "machine", _machine),
    ("hw_video_model", None, "video", _one_of("virtio", "vga", "bochs", "cirrus", "qxl", "none")),
    ("hw_firmware_type", "hw:firmware_type", "firmware", _one_of("bios", "uefi")),
    ("os_secure_boot", "os:secure_boot", "secure_boot", _one_of("disabled", "optional", "required")),
    ("hw_qemu_guest_agent", None, "agent", _boolean),
    (None, "hw_rng:allowed", "rng", _boolean),
    ("hw_rng_model", None, "rng_model", _one_of("virtio")),
    ("hw_cpu_sockets", "hw:cpu_sockets", "cpu_sockets", _COUNT),
    ("hw_cpu_cores", "hw:cpu_cores", "cpu_cores", _COUNT),
    ("hw_cpu_threads", "hw:cpu_threads", "cpu_threads", _COUNT),
    ("hw_cpu_policy", "hw:cpu_policy", "cpu_policy", _one_of("shared")),
    ("hw_mem_page_size", "hw:mem_page_size", "page_size", _one_of("any", "small")),
    ("hw_watchdog_action", "hw:watchdog_action", "watchdog", _one_of("disabled", "reset", "poweroff", "pause", "none")),
    ("hw_boot_menu", "hw:boot_menu", "boot_menu", _boolean),
    ("hw_input_bus", None, "input_bus", _one_of("virtio", "usb")),
    ("hw_pointer_model", None, "pointer", _one_of("usbtablet", "ps2mouse")),
    ("os_type", None, "os_type", _one_of("linux", "windows")),
    ("hw_time_hpet", None, "hpet", _boolean),
    ("img_hide_hypervisor_id", "hide_hypervisor_id", "hide_hypervisor", _boolean),
    (None, "quota:cpu_shares", "cpu_shares", _number(2, 262144)),
    (None, "quota:cpu_period", "cpu_period", _number(1000, 1000000)),
    (None, "quota:cpu_quota", "cpu_quota", _number(1000, 10**12)),
    # Nova's words, and in the same manner those for bursts, which it has not.
    *((None, f"quota:disk_{name}", name, _RATE) for name in (*volume_xml.RATES, volume_xml.BLOCK)),
)
PROPERTIES = {name: (into, read) for name, _spec, into, read in TABLE if name}
EXTRA_SPECS = {spec: (into, read) for _name, spec, into, read in TABLE if spec}

_OURS = re.compile(r"hw_|hw:|hw_[a-z]+:|quota:|os:")
# Read by other parts: the architecture by the scheduler, the rescue device when an instance is rescued.
_ELSEWHERE = frozenset({"hw_architecture", "hw_rescue_device", "hw_rescue_bus"})


def options(image_properties: Mapping[str, Any], extra_specs: Mapping[str, Any], vcpus: int = 0) -> Options:
    """The options that an image and a flavor ask for together.

    :param vcpus: of the flavor; when given, the CPU topology is checked against it.
    :raises BadInput: a value that is not allowed, or a hardware option that does not exist here.
    """
    made = Options(**{**_read("image property", image_properties, PROPERTIES), **flavor(extra_specs)})
    if vcpus:
        topology(made, vcpus)
    if made.secure_boot == "required" and made.firmware != "uefi":
        raise BadInput("os_secure_boot 'required' needs hw_firmware_type 'uefi'.")
    old = made.machine is not None and (made.machine == "pc" or "i440fx" in made.machine)
    if "ide" in (made.disk_bus, made.cdrom_bus) and not old:
        raise BadInput("The bus 'ide' exists only with hw_machine_type 'pc'; the default machine q35 has 'sata'.")
    return made


def flavor(extra_specs: Mapping[str, Any]) -> dict[str, Any]:
    """What the extra specs of a flavor say by themselves, whatever image it meets.

    :raises BadInput: a value that is not allowed, or a hardware option that does not exist here.
    """
    found = _read("flavor extra spec", extra_specs, EXTRA_SPECS)
    limits = {name: found.pop(name) for name in list(found) if name in (*volume_xml.RATES, volume_xml.BLOCK)}
    try:
        return {**found, "iotune": volume_xml.rates(limits)}
    except ValueError as exc:
        raise BadInput(f"The flavor extra specs quota:disk_*: {exc}.") from None


def topology(made: Options, vcpus: int) -> tuple[int, int, int] | None:
    """Sockets, cores and threads, the missing ones filled in; None when nobody asked.

    :raises BadInput: they do not make ``vcpus``.
    """
    asked = (made.cpu_sockets, made.cpu_cores, made.cpu_threads)
    if not any(asked):
        return None
    threads = made.cpu_threads or 1
    cores = made.cpu_cores or (max(1, vcpus // (made.cpu_sockets * threads)) if made.cpu_sockets else 1)
    sockets = made.cpu_sockets or max(1, vcpus // (cores * threads))
    if sockets * cores * threads != vcpus:
        raise BadInput(f"{sockets} sockets x {cores} cores x {threads} threads do not make the flavor's {vcpus} vcpus.")
    return sockets, cores, threads


def _read(kind: str, given: Mapping[str, Any], table: Mapping[str, tuple[str, Callable[[str], Any]]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in table:
            into, read = table[name]
            try:
                values[into] = read(str(value).strip())
            except ValueError as exc:
                raise BadInput(f"The {kind} {name} is {str(value)!r}; it must be {exc}.") from None
        elif _OURS.match(name) and name not in _ELSEWHERE:
            near = difflib.get_close_matches(name, list(table), n=3, cutoff=0.5)
            hint = f" Nearest: {', '.join(near)}." if near else ""
            raise BadInput(f"The {kind} {name} is not supported.{hint}", nearest=near)
    return values
