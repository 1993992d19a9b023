# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine by QEMU with Debian's cloud kernel: what a real one has, as fast as the processor or emulated."""

from __future__ import annotations

import json
from pathlib import Path

from agentless_lab.system import run

PROCESSORS = 2
QUIET = "quiet mitigations=off no_timer_check"


def starts(accelerator: str, kept: Path, *, memory: int, timeout: float = 10) -> bool:
    """Whether a guest really starts: the kernel comes as far as to miss its root, and QEMU ends by the reboot.

    The device alone says nothing: some machines have it, and a 64-bit guest dies or hangs in it.
    """
    argv = ["timeout", "--kill-after=1", str(timeout), *_computer(accelerator, memory), "-no-reboot", "-kernel"]
    argv += [str(kept / "vmlinuz"), "-append", f"console=ttyS0 {QUIET} panic=-1"]
    return "Kernel panic" in run(argv, stdin="", check=False)


def command(accelerator: str, kept: Path, *, memory: int, mac: str, descriptor: int, disks: list[Path]) -> list[str]:
    """What is run: the first disk is the root, the last one the seed, and the cable is open already."""
    argv = [*_computer(accelerator, memory), "-device", "virtio-rng-pci"]
    argv += ["-netdev", f"tap,id=net0,fd={descriptor}", "-device", f"virtio-net-pci,netdev=net0,mac={mac}"]
    for place, disk in enumerate(disks):
        argv += _disk(disk, read_only=place == len(disks) - 1)
    argv += ["-kernel", str(kept / "vmlinuz"), "-initrd", str(kept / "initrd"), "-append"]
    seed = f"vd{chr(ord('a') + len(disks) - 1)}"
    return [*argv, f"root=/dev/vda rw console=ttyS0 net.ifnames=0 {QUIET} panic=5 lab.seed={seed}"]


def root(place: Path, kept: Path) -> None:
    """Make the disk that lies over the image."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", kept / "disk.raw", place])


def _computer(accelerator: str, memory: int) -> list[str]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]
    argv += ["-machine", f"q35,accel={accelerator}", "-cpu", "max", "-smp", str(PROCESSORS), "-m", str(memory)]
    return [*argv, "-serial", "stdio"]


def _disk(file: Path, *, read_only: bool) -> list[str]:
    options = {
        "driver": "qcow2" if file.suffix == ".qcow2" else "raw",
        "node-name": file.stem,
        "file": {"driver": "file", "filename": str(file), "discard": "unmap"},
        "read-only": read_only,
        "discard": "unmap",
    }
    return ["-blockdev", json.dumps(options), "-device", f"virtio-blk-pci,drive={file.stem},serial=lab-{file.stem}"]
