# SPDX-License-Identifier: GPL-3.0-or-later
"""The test guest: Debian's kernel, busybox and a few scripts on a small bootable disk."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from agentless_lab import cache, rootfs
from agentless_lab.recipe import key
from agentless_lab.system import GUEST_PREREQUISITES, LabError, cache_root, lock, require, run, write

SOURCES = Path(__file__).resolve().parent.parent / "guest"
# The cloud kernel starts two seconds sooner under emulation; only the generic one has drivers for SATA and real NICs.
KERNELS = {"cloud": "linux-image-6*-cloud-amd64_*.deb", "generic": "linux-image-6*[0-9]-amd64_*.deb"}
FORMATS = ("qcow2", "raw")
EXECUTABLES = ("configure", "console", "hotplug", "leased", "leased6", "load", "report")
# What /init asks for by name, and the modules that stand behind it; their dependencies are found in the modules.
MODULES = {
    "always": ["virtio_pci"],
    "virtio_net": ["virtio_net"],
    "virtio_blk": ["virtio_blk"],
    "virtio_scsi": ["virtio_scsi"],
    "scsi_disks": ["sd_mod", "sr_mod"],
    "ahci": ["ahci"],
    "ata_piix": ["ata_piix"],
    "e1000": ["e1000"],
    "e1000e": ["e1000e"],
    "8139cp": ["8139cp"],
    "isofs": ["isofs"],
    "ext4": ["crc32c_generic", "ext4"],  # for file systems on volumes, which busybox makes as ext2
    "button": ["button", "evdev"],
}
SYSLINUX = """\
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
  KERNEL vmlinuz
  INITRD init.gz
  APPEND console=ttyS0 quiet loglevel=3 mitigations=off no_timer_check net.ifnames=0 panic=5
"""


def image(kernel: str = "cloud", form: str = "qcow2") -> Path:
    """Return the disk image, making it first when it is not there."""
    rootfs.build("full")
    target = cache.use(_path(kernel, form))
    if target.exists():
        return target
    require(GUEST_PREREQUISITES)
    with lock(cache_root() / "guest.lock"):
        for left in cache_root().glob("part-guest-*"):
            shutil.rmtree(left)
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="part-guest-", dir=cache_root()) as temporary:
                _make(Path(temporary), kernel)
                for each in FORMATS:
                    os.replace(Path(temporary) / f"disk.{each}", target.with_suffix(f".{each}"))
            cache.prune("guest", _present())
    return target


def prune() -> list[Path]:
    """Remove the images that no present recipe names; return what went."""
    with lock(cache_root() / "guest.lock"):
        return cache.prune("guest", _present(), kept=0, resting=0)


def _present() -> list[Path]:
    return [_path(kernel, form) for kernel in KERNELS for form in FORMATS]


def _path(kernel: str, form: str) -> Path:
    return cache_root() / f"guest-{kernel}-{_key(kernel)}.{form}"


def _key(kernel: str) -> str:
    """Name the image by everything that decides what is in it."""
    digest = hashlib.sha256(f"{kernel} {key('full')}".encode())
    for source in (Path(__file__), *sorted(SOURCES.iterdir())):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _make(place: Path, kernel: str) -> None:
    """Make the disk in both formats."""
    unpacked, tree = place / "unpacked", place / "tree"
    for pattern in (KERNELS[kernel], "busybox-static_*.deb", "isc-dhcp-client_*.deb", "libc6_*.deb"):
        run(["dpkg-deb", "--extract", _package(pattern), unpacked])
    (tree / "bin").mkdir(parents=True)
    shutil.copy(unpacked / "bin/busybox", tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    for source in SOURCES.iterdir():
        target = tree / "bin" / source.name if source.name in EXECUTABLES else tree / source.name
        shutil.copyfile(source, target)
        target.chmod(0o755)
    _add_dhclient(unpacked, tree)
    _add_modules(next((unpacked / "lib/modules").iterdir()) / "kernel", tree / "modules")
    names = "\n".join(sorted(os.fspath(entry.relative_to(tree)) for entry in tree.rglob("*")))
    archive = place / "init.cpio"
    run(["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0", f"--file={archive}"], stdin=names, cwd=tree)
    (place / "init.gz").write_bytes(gzip.compress(archive.read_bytes(), 6, mtime=0))
    write(place / "syslinux.cfg", SYSLINUX)
    shutil.copyfile(next((unpacked / "boot").glob("vmlinuz-*")), place / "vmlinuz")
    _disk(place)


def _disk(place: Path) -> None:
    """A FAT disk that syslinux boots, made without loop devices."""
    raw = place / "disk.raw"
    files = [place / name for name in ("vmlinuz", "init.gz", "syslinux.cfg")]
    mebibyte = 1024 * 1024
    size = sum(entry.stat().st_size for entry in files) // mebibyte + 3
    with open(raw, "wb") as disk:
        disk.truncate(size * mebibyte)
    run(["mkfs.vfat", "-n", "GUEST", raw], env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
    run(["mcopy", "-i", raw, *files, "::/"])
    run(["syslinux", "--install", raw])
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1", raw, place / "disk.qcow2"])


def _package(pattern: str) -> Path:
    """The package in the pool that a pattern names, the newest by name when there are several."""
    found = sorted(rootfs.pool().glob(pattern))
    if not found:
        raise LabError(f"no package {pattern} in {rootfs.pool()}: build the full root filesystem again")
    return found[-1]


def _add_dhclient(unpacked: Path, tree: Path) -> None:
    """Busybox as Debian builds it has no DHCPv6 client: take dhclient, with its libraries out of busybox's sight.

    A statically linked busybox that meets a libc.so.6 in /lib loads it to look names up, and crashes.
    """
    place = tree / "dhclient"
    place.mkdir()
    for source in ("sbin/dhclient", "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"):
        shutil.copy(unpacked / source, place / Path(source).name)


def _add_modules(kernel: Path, target: Path) -> None:
    """Copy the modules, and for each group write their names in the order in which they load."""
    files = {entry.stem.replace("-", "_"): entry for entry in kernel.rglob("*.ko")}
    target.mkdir()
    for group, wanted in MODULES.items():
        order: list[str] = []
        for name in wanted:
            _visit(name, files, order)
        write(target / group, "".join(f"{name}\n" for name in order))
        for name in order:
            shutil.copyfile(files[name], target / f"{name}.ko")


def _visit(name: str, files: dict[str, Path], order: list[str]) -> None:
    """Append a module after everything it depends on; what the kernel has built in or lacks is left out."""
    if name in order or name not in files:
        return
    found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
    for needed in (found.group(1).decode() if found else "").split(","):
        _visit(needed.replace("-", "_"), files, order)
    order.append(name)
