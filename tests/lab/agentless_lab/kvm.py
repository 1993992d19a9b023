# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the test guest boots under this machine's KVM; the answer is kept until the machine boots again.

The device alone says nothing, and neither does a kernel that starts: where KVM is nested in software, boot loaders may
use instructions that it lacks, and a guest stands still with an internal error. Hosts get the device only where guests
boot, so that the same tests see the same guests everywhere.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

from agentless_lab import guest
from agentless_lab.system import cache_root, lock, write

DEVICE = Path("/dev/kvm")
SEEN = b"GUEST-BOOT"  # the first thing that the guest's /init says
PATIENCE = 10.0


def works() -> bool:
    """Return whether guests boot under KVM here."""
    if not DEVICE.exists():
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    known = cache_root() / "kvm"
    with lock(cache_root() / "kvm.lock"):
        try:
            key, answer = known.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            key = answer = ""
        if key != boot:
            answer = "yes" if boots("kvm", "host", patience=PATIENCE) else "no"
            write(known, f"{boot} {answer}\n")
    return answer == "yes"


def boots(accelerator: str, cpu: str, *, patience: float) -> bool:
    """Return whether the guest comes as far as its own program within so many seconds."""
    disk = f"file={guest.image()},format=qcow2,if=virtio,snapshot=on"
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]
    argv += ["-no-reboot", "-machine", f"q35,accel={accelerator}", "-cpu", cpu, "-m", "128", "-drive", disk]
    said, deadline = b"", time.monotonic() + patience
    process = subprocess.Popen(
        [*argv, "-serial", "stdio"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    if process.stdout is None:
        raise AssertionError("no pipe")
    try:
        while SEEN not in said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return False
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                return False
            said += more
        return True
    finally:
        process.kill()
        process.wait()
