# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole machine as test host, with a kernel of its own for what a container cannot have (device mapper, LIO).

Three kinds do the same from the same image: User-Mode Linux, and QEMU with Debian's cloud kernel, by KVM or emulated.

Its files are those of a container's upper layer: they come as a tar file on a read-only disk, which the first unit of
the machine unpacks over the cached root. So there is neither a loop device nor a mount.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentless_lab import cache, cgroups, counting, network, qemu, rootfs, uml
from agentless_lab.recipe import MACHINES, key
from agentless_lab.system import LabError, cache_root, lock, require, run, write

if TYPE_CHECKING:
    from agentless_lab.host import Host

PREREQUISITES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mkfs.ext4": "e2fsprogs",
    "taskset": "util-linux",
    "tcc": "tcc",
    "timeout": "coreutils",
}
RECIPE = 2  # raise it when what `_make` does changes
ROOT_SIZE = 6 * 1024**3
MEMORY = 1024  # MiB
SLOWER = 5  # times as long as a container it may take to boot, under emulation
SIZE = re.compile(r"[1-9][0-9]{0,3}[MG]")
MOST_DISKS = 8
UML, KVM, EMULATED = "uml", "kvm", "tcg"
QEMU = "qemu"  # asked for: the distribution's cloud kernel, by KVM where it works
ASKED = (UML, KVM, EMULATED, QEMU)
VARIABLE = "AGENTLESS_LAB_MACHINE"
DESCRIPTOR = 10  # under which the machine finds its cable open
SHIM = Path(__file__).with_name("xstate.c")


@dataclass(frozen=True)
class Machine:
    """What makes a host a machine; recorded with its lab, so that it boots again as it was made.

    :param processor: the one on which it runs, where it shall run on one alone.
    """

    image: Path
    kind: str
    disks: tuple[str, ...] = ()
    processor: int | None = None


def choose(flavor: str = "full", asked: str | None = None) -> Machine:
    """What the machines of a new lab of that flavor stand on: as asked for, else the quickest that really starts."""
    asked = asked or os.environ.get(VARIABLE) or None
    if asked not in (None, *ASKED):
        raise LabError(f"a machine is one of {', '.join(ASKED)}, not {asked}")
    kept = image(MACHINES[flavor])
    candidates = {None: (UML, KVM, EMULATED), QEMU: (KVM, EMULATED)}.get(asked, (asked or "",))
    for kind in candidates:
        if kind == EMULATED or starts(kind, kept):
            return Machine(kept, kind)
    raise LabError(f"machines of the kind {asked} do not start here")


def starts(kind: str, kept: Path) -> bool:
    """Whether machines of that kind really start here."""
    if kind == UML:
        return uml.starts(kept, memory=MEMORY)
    return (kind != KVM or os.path.exists("/dev/kvm")) and qemu.starts(kind, kept, memory=MEMORY)


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
    return cache_root() / f"machine-{key(flavor, RECIPE, ROOT_SIZE, SHIM.read_text(encoding='utf-8'))}"


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
    root, *data, seed = _disks(host, made)
    if made.kind != UML:  # which makes its own when it first starts
        qemu.root(root, made.image)
    for disk, size in zip(data, made.disks, strict=True):
        run(["qemu-img", "create", "-q", "-f", "raw", disk, size])
    with tarfile.open(seed, "w") as archive:
        archive.add(host.upper, arcname=".", filter=_owned_by_root)
    with open(seed, "ab") as handle:
        handle.truncate(-(-handle.tell() // 1024**2) * 1024**2)


def start(host: Host, made: Machine) -> int | None:
    """Boot a machine and return its process; it goes on without us, and `stop` finds it by its control group."""
    if host.running():
        return None
    cgroups.destroy(host.group)
    cache.use(made.image)
    mac = f"52:54:00:ad:{host.number:02x}:{host.index:02x}"
    about: dict[str, Any] = {"memory": MEMORY, "mac": mac, "descriptor": DESCRIPTOR, "disks": _disks(host, made)}
    ours = made.kind == UML
    spec = {
        "groups": [os.fspath(group) for group in cgroups.create(host.group)],
        "overlay": None,
        "tap": {
            "name": f"vm-agl{host.number}-{host.index}",
            "bridge": network.bridge(host.number),
            "descriptor": DESCRIPTOR,
            "cable": "uml" if ours else "qemu",
        },
        "processor": made.processor,
        "environment": uml.environment(made.image) if ours else {},
        "argv": uml.command(made.image, **about) if ours else qemu.command(made.kind, made.image, **about),
    }
    write(host.directory / "boot.json", json.dumps(spec, indent=2))
    boot = Path(__file__).with_name("boot.py")
    counting.count("machine")
    with open(host.directory / "console.log", "ab") as console:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", os.fspath(boot), os.fspath(host.directory / "boot.json")],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        ).pid


def _disks(host: Host, made: Machine) -> list[Path]:
    """The files of a machine's disks: the root, the data disks in their order, the seed."""
    names = ["root.cow" if made.kind == UML else "root.qcow2"]
    names += [f"data{place}.raw" for place in range(len(made.disks))]
    return [host.directory / name for name in [*names, "seed.tar"]]


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _make(tree: Path, place: Path, held: int) -> None:
    """A disk whose file system mkfs fills, and beside it what QEMU boots directly, and User-Mode Linux's program."""
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
    shutil.copy(tree / "usr/bin/linux.uml", place / uml.PROGRAM)
    run(["tcc", "-shared", "-nostdlib", "-o", place / uml.SHIM, SHIM])
