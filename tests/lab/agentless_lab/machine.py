# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole machine as test host: QEMU with Debian's cloud kernel, for what a container cannot have (device mapper, LIO).

Its files are those of a container's upper layer: they come as a tar file on a read-only disk, which the first unit of
the machine unpacks over the cached root. So there is neither a loop device nor a mount.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentless_lab import cache, cgroups, network, rootfs
from agentless_lab.system import LabError, cache_root, lock, require, run, write

if TYPE_CHECKING:
    from agentless_lab.host import Host

PREREQUISITES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mkfs.ext4": "e2fsprogs",
}
RECIPE = 1  # raise it when what `_make` does changes
ROOT_SIZE = 6 * 1024**3
MEMORY = 1024  # MiB
PROCESSORS = 2
SLOWER = 5  # times as long as a container it may take to boot, under emulation
SIZE = re.compile(r"[1-9][0-9]{0,3}[MG]")
MOST_DISKS = 8


def image() -> Path:
    """The directory with the root disk, the kernel and its initial file system, made first when it is not there."""
    target = cache.use(path())
    if target.is_dir():
        return target
    require(PREREQUISITES)
    tree = rootfs.build("machine")
    with lock(cache_root() / "machine.lock"):
        for left in cache_root().glob("part-machine-*"):
            rootfs.remove(left)
        if not target.is_dir():
            temporary = cache_root() / f"part-machine-{os.getpid()}"
            temporary.mkdir()
            _make(tree, temporary)
            temporary.rename(target)
            cache.prune("machine", [target])
    return target


def path() -> Path:
    """Where the image is, built or not."""
    return cache_root() / f"machine-{rootfs.key('machine', RECIPE, ROOT_SIZE)}"


def check(disks: tuple[str, ...]) -> None:
    """Refuse sizes of data disks that cannot be meant."""
    wrong = [size for size in disks if not SIZE.fullmatch(size)]
    if wrong or len(disks) > MOST_DISKS:
        raise LabError(
            f"a machine has at most {MOST_DISKS} disks with sizes such as 512M or 4G, not {', '.join(disks)}"
        )


def prepare(host: Host) -> None:
    """Make the disks of a machine; what it writes on them stays until the lab goes down."""
    kept = image()
    root, seed = host.directory / "root.qcow2", host.directory / "seed.tar"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", kept / "disk.raw", root])
    for place, size in enumerate(host.disks):
        run(["qemu-img", "create", "-q", "-f", "raw", _data(host, place), size])
    with tarfile.open(seed, "w") as archive:
        archive.add(host.upper, arcname=".", filter=_owned_by_root)
    with open(seed, "ab") as handle:
        handle.truncate(-(-handle.tell() // 1024**2) * 1024**2)


def start(host: Host) -> None:
    """Boot a machine; it goes on without us, and `stop` finds it by its control group."""
    if host.running():
        return
    cgroups.destroy(host.group)
    tap = f"vm-agl{host.number}-{host.index}"
    network.plug(tap, host.number)
    kept = image()
    argv = [*_hardware(host, tap), "-kernel", str(kept / "vmlinuz"), "-initrd", str(kept / "initrd")]
    argv += ["-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off no_timer_check panic=5"]
    spec = {"groups": [os.fspath(group) for group in cgroups.create(host.group)], "overlay": None, "argv": argv}
    write(host.directory / "boot.json", json.dumps(spec, indent=2))
    boot = Path(__file__).with_name("boot.py")
    with open(host.directory / "console.log", "ab") as console:
        subprocess.Popen(
            [sys.executable, "-I", "-S", os.fspath(boot), os.fspath(host.directory / "boot.json")],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )


def _hardware(host: Host, tap: str) -> list[str]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]
    # Emulation even where there is /dev/kvm: some machines have the device and cannot run a 64-bit guest by it.
    argv += ["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", str(PROCESSORS), "-m", str(MEMORY)]
    argv += ["-serial", "stdio", "-device", "virtio-rng-pci"]
    argv += ["-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no"]
    argv += ["-device", f"virtio-net-pci,netdev=net0,mac=52:54:00:ad:{host.number:02x}:{host.index:02x}"]
    disks = [("root", host.directory / "root.qcow2", "qcow2", "off")]
    disks += [(f"data{place}", _data(host, place), "raw", "off") for place in range(len(host.disks))]
    disks += [("seed", host.directory / "seed.tar", "raw", "on")]
    for name, file, form, readonly in disks:
        blockdev: dict[str, Any] = {"driver": "file", "filename": str(file), "discard": "unmap"}
        options = {
            "driver": form,
            "node-name": name,
            "file": blockdev,
            "read-only": readonly == "on",
            "discard": "unmap",
        }
        argv += ["-blockdev", json.dumps(options), "-device", f"virtio-blk-pci,drive={name},serial=lab-{name}"]
    return argv


def _data(host: Host, place: int) -> Path:
    return host.directory / f"data{place}.raw"


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _make(tree: Path, place: Path) -> None:
    """A disk whose file system mkfs fills, and beside it what QEMU boots directly."""
    raw = place / "disk.raw"
    with open(raw, "wb") as disk:
        disk.truncate(ROOT_SIZE)
    sbin = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    run(["mkfs.ext4", "-q", "-F", "-L", "lab-root", "-E", "lazy_itable_init=1,nodiscard", "-d", tree, raw], env=sbin)
    for name, pattern in (("vmlinuz", "vmlinuz-*-cloud-amd64"), ("initrd", "initrd.img-*-cloud-amd64")):
        found = sorted((tree / "boot").glob(pattern))
        if not found:
            raise LabError(f"the root file system of machines has no /boot/{pattern}")
        run(["cp", "--sparse=always", found[-1], place / name])
