# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an instance consists of, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATE_DIR = "/var/lib/agentless"
SEED = "seed.iso"
CONSOLE_LOG = "console.log"


@dataclass(frozen=True)
class Image:
    """The image under a disk: where a host gets it, and what makes sure that it is the one meant.

    :param checksum: ``sha256:<hex>`` of the file.
    :param format: ``qcow2`` or ``raw``, as found when the image was registered; never guessed later.
    :param size: bytes of the file, 0 when unknown.
    :param mirrors: further addresses, tried in their order where ``url`` does not answer.
    """

    checksum: str
    format: str
    url: str = ""
    size: int = 0
    mirrors: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it lies in the cache of a compute host."""
        return f"{STATE_DIR}/images/{self.checksum.partition(':')[2]}"


@dataclass(frozen=True)
class Disk:
    """One disk file in the instance's directory.

    :param size: GiB; 0 takes the size of the image.
    """

    name: str = "disk.qcow2"
    format: str = "qcow2"
    size: int = 0
    image: Image | None = None
    serial: str | None = None
    cache: str = "writeback"


@dataclass(frozen=True)
class VolumeDisk:
    """One volume, reached by QEMU's own client, as a file or by the host; the disk's serial is the volume's UUID.

    :param device: its name in the guest, such as ``vdb``; it says the bus as well (vd: virtio, sd: scsi).
    :param source: what the export replied: ``protocol`` iscsi, rbd, gluster, nfs or file, and where it is.
    :param user: of the export, with ``secret``, which never enters the XML.
    :param connection: ``qemu``, or how the host itself logs in: ``host`` or ``multipath``.
    :param boot_index: 0 boots first; None is not booted from.
    :param iotune: limits under libvirt's names, such as ``total_iops_sec`` and ``total_iops_sec_max``.
    """

    id: str
    device: str
    source: Mapping[str, Any]
    user: str | None = None
    secret: str | None = field(default=None, repr=False)
    boot_index: int | None = None
    iotune: Mapping[str, int] = field(default_factory=dict)
    cache: str = "none"
    discard: str = "unmap"
    detect_zeroes: str = "off"
    iothread: int | None = None
    readonly: bool = False
    multiattach: bool = False
    connection: str = "qemu"

    def described(self) -> dict[str, Any]:
        """As the operations of the compute backend carry it."""
        values = dict(vars(self))
        return {**values, "source": dict(self.source), "iotune": dict(self.iotune), "serial": self.id}


@dataclass(frozen=True)
class Nic:
    """One network interface; Open vSwitch knows it by ``port_id``.

    :param offload: whether the guest may leave checksums and segmentation to the host. Open vSwitch in user space does
        neither, and what a guest sends unfinished is lost there.
    """

    mac: str
    port_id: str
    network: str = ""
    mtu: int | None = None
    bridge: str = "br-int"
    offload: bool = True

    @property
    def tap(self) -> str:
        """The interface on the host; Linux allows 15 characters."""
        return f"tap{self.port_id[:11]}"


@dataclass(frozen=True)
class DomainSpec:
    """Everything that decides the domain XML of one instance.

    :param name: what people call it; shown by ``virsh list --title``. The domain's own name is the UUID.
    :param ram: MiB.
    :param virt_type: ``kvm`` or ``qemu``.
    :param cpu_mode: ``host-model`` or ``host-passthrough``; under plain emulation it is always ``maximum``.
    :param seed: whether a config drive is attached.
    :param labels: further facts for the metadata, such as ``flavor``; names must be XML names.
    """

    id: str
    name: str
    project: str
    vcpus: int
    ram: int
    virt_type: str = "qemu"
    arch: str = "x86_64"
    cpu_mode: str = "host-model"
    disks: tuple[Disk, ...] = ()
    volumes: tuple[VolumeDisk, ...] = ()
    nics: tuple[Nic, ...] = ()
    seed: bool = False
    console_log: bool = True
    image_properties: Mapping[str, Any] = field(default_factory=dict)
    extra_specs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """A file in the instance's directory on the host."""
        return f"{STATE_DIR}/instances/{self.id}/{name}"
