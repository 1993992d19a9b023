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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentless_lab import cache, cgroups, network, rootfs
from agentless_lab.recipe import MACHINES, key
from agentless_lab.system import LabError, cache_root, lock, require, run, write

if TYPE_CHECKING:
    from agentless_lab.host import Host

PREREQUISITES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mkfs.ext4": "e2fsprogs",
    "timeout": "coreutils",
}
RECIPE = 1  # raise it when what `_make` does changes
ROOT_SIZE = 6 * 1024**3
MEMORY = 1024  # MiB
PROCESSORS = 2
SLOWER = 5  # times as long as a container it may take to boot, under emulation
SIZE = re.compile(r"[1-9][0-9]{0,3}[MG]")
MOST_DISKS = 8
KVM, EMULATED = "kvm", "tcg"
DESCRIPTOR = 10  # under which QEMU finds its cable open


@dataclass(frozen=True)
class Machine:
    """What makes a host a machine; recorded with its lab, so that it boots again as it was made."""

    image: Path
    accelerator: str
    disks: tuple[str, ...] = ()


def kind(flavor: str = "full") -> Machine:
    """What the machines of a new lab of that flavor stand on."""
    kept = image(MACHINES[flavor])
    return Machine(kept, KVM if os.path.exists("/dev/kvm") and starts(KVM, kept) else EMULATED)


def starts(accelerator: str, kept: Path, *, timeout: float = 10) -> bool:
    """Whether a guest really starts: the kernel comes as far as to miss its root, and QEMU ends by the reboot.

    The device alone says nothing: some machines have it, and a 64-bit guest dies or hangs in it.
    """
    argv = ["timeout", "--kill-after=1", str(timeout), *_computer(accelerator), "-no-reboot", "-kernel"]
    argv += [str(kept / "vmlinuz"), "-append", "console=ttyS0 quiet mitigations=off no_timer_check panic=-1"]
    return "Kernel panic" in run(argv, stdin="", check=False)


def image(flavor: str = "machine", *, again: bool = False) -> Path:
    """The directory with the root disk, the kernel and its initial file system, made first when it is not there."""
    target = cache.use(path(flavor))
    if target.is_dir() and not again:
        return target
    require(PREREQUISITES)
    if target.is_dir() and target.name in cache.in_use():
        raise LabError(f"machines stand on {target}: take their labs down before making it again")
    tree = rootfs.build(flavor, again=again)
    with lock(cache_root() / "machine.lock") as held:
        for left in cache_root().glob("part-machine-*"):
            rootfs.remove(left)
        if again or not target.is_dir():
            temporary = cache_root() / f"part-machine-{os.getpid()}"
            temporary.mkdir()
            _make(tree, temporary, held)
            rootfs.swap(temporary, target)
            cache.prune("machine", present())
    return target


def prune() -> list[Path]:
    """Remove the images that no present recipe names and no machine stands on; return what went."""
    with lock(cache_root() / "machine.lock"):
        return cache.prune("machine", present(), kept=0, resting=0)


def path(flavor: str = "machine") -> Path:
    """Where the image is, built or not."""
    return cache_root() / f"machine-{key(flavor, RECIPE, ROOT_SIZE)}"


def present() -> list[Path]:
    """What this checkout makes."""
    return [path(flavor) for flavor in MACHINES.values()]


def check(disks: tuple[str, ...]) -> None:
    """Refuse sizes of data disks that cannot be meant."""
    wrong = [size for size in disks if not SIZE.fullmatch(size)]
    if wrong or len(disks) > MOST_DISKS:
        raise LabError(
            f"a machine has at most {MOST_DISKS} disks with sizes such as 512M or 4G, not {', '.join(disks)}"
        )


def prepare(host: Host, made: Machine) -> None:
    """Make the disks of a machine; what it writes on them stays until the lab goes down."""
    root, seed = host.directory / "root.qcow2", host.directory / "seed.tar"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", made.image / "disk.raw", root])
    for place, size in enumerate(made.disks):
        run(["qemu-img", "create", "-q", "-f", "raw", _data(host, place), size])
    with tarfile.open(seed, "w") as archive:
        archive.add(host.upper, arcname=".", filter=_owned_by_root)
    with open(seed, "ab") as handle:
        handle.truncate(-(-handle.tell() // 1024**2) * 1024**2)


def start(host: Host, made: Machine) -> None:
    """Boot a machine; it goes on without us, and `stop` finds it by its control group."""
    if host.running():
        return
    cgroups.destroy(host.group)
    cache.use(made.image)
    argv = [*_computer(made.accelerator), *_cable(host), *_disks(host, made)]
    argv += ["-kernel", str(made.image / "vmlinuz"), "-initrd", str(made.image / "initrd"), "-append"]
    argv += ["root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off no_timer_check panic=5"]
    spec = {
        "groups": [os.fspath(group) for group in cgroups.create(host.group)],
        "overlay": None,
        "tap": {
            "name": f"vm-agl{host.number}-{host.index}",
            "bridge": network.bridge(host.number),
            "descriptor": DESCRIPTOR,
        },
        "argv": argv,
    }
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


def _computer(accelerator: str) -> list[str]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]
    argv += ["-machine", f"q35,accel={accelerator}", "-cpu", "max", "-smp", str(PROCESSORS), "-m", str(MEMORY)]
    return [*argv, "-serial", "stdio"]


def _cable(host: Host) -> list[str]:
    mac = f"52:54:00:ad:{host.number:02x}:{host.index:02x}"
    argv = ["-device", "virtio-rng-pci", "-netdev", f"tap,id=net0,fd={DESCRIPTOR}"]
    return [*argv, "-device", f"virtio-net-pci,netdev=net0,mac={mac}"]


def _disks(host: Host, made: Machine) -> list[str]:
    disks = [("root", host.directory / "root.qcow2", "qcow2")]
    disks += [(f"data{place}", _data(host, place), "raw") for place in range(len(made.disks))]
    disks += [("seed", host.directory / "seed.tar", "raw")]
    argv = []
    for name, file, form in disks:
        options = {
            "driver": form,
            "node-name": name,
            "file": {"driver": "file", "filename": str(file), "discard": "unmap"},
            "read-only": name == "seed",
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


def _make(tree: Path, place: Path, held: int) -> None:
    """A disk whose file system mkfs fills, and beside it what QEMU boots directly."""
    raw = place / "disk.raw"
    with open(raw, "wb") as disk:
        disk.truncate(ROOT_SIZE)
    sbin = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    argv = ["mkfs.ext4", "-q", "-F", "-L", "lab-root", "-E", "lazy_itable_init=1,nodiscard"]
    run([*argv, "-d", tree, raw], env=sbin, keep=[held])
    for name, pattern in (("vmlinuz", "vmlinuz-*-cloud-amd64"), ("initrd", "initrd.img-*-cloud-amd64")):
        found = sorted((tree / "boot").glob(pattern))
        if not found:
            raise LabError(f"the root file system of machines has no /boot/{pattern}")
        run(["cp", "--sparse=always", found[-1], place / name])
