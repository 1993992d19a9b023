# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a guest really runs under KVM here, found by running one.

``/dev/kvm`` being there says little: some machines have it and cannot run a 64-bit guest, and others stop at what every
boot loader does. So a guest of one boot sector goes to 32-bit mode, returns from an interrupt, goes to 64-bit mode, and
ends qemu with an exit status that only it can give.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

DEVICE = "/dev/kvm"
PATIENCE = 10
RAN = 0x2A << 1 | 1  # isa-debug-exit turns the byte written into this exit status
_CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007c"  # cli; no segments, a stack
    "660f0116b87c"  # load the descriptor table below
    "0f20c00c010f22c0"  # cr0: protection
    "ea1f7c1000"  # into the 32-bit segment
    "66b818008ed88ec08ed0bc007c0000"  # its data and stack
    "9c0e68367c0000cf90"  # return from an interrupt, to the next line
    "bf001000000f22df"  # page tables at 0x1000, as cr3
    "31c0b9000c0000fcf3ab"  # cleared
    "c7050010000003200000"  # three levels:
    "c7050020000003300000"
    "c7050030000083000000"  # one page of 2 MiB, mapped to itself
    "0f20e00c200f22e0"  # cr4: physical address extension
    "b9800000c00f3280cc010f30"  # the long mode bit
    "0f20c00d010000800f22c0"  # cr0: paging
    "ea8d7c00000800"  # into the 64-bit segment
    "b02ae6f4f4ebfd"  # out 0xf4, 0x2a; halt for ever
    "0f1f40000000000000000000"  # descriptors: none,
    "ffff0000009aaf00"  # 64-bit code,
    "ffff0000009acf00"  # 32-bit code,
    "ffff00000092cf00"  # data,
    "1f00987c0000"  # and the table of them
)
SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
DISK_SIZE = 8 << 20  # firmware does not boot from a disk of less than one cylinder


def kvm_runs(ctx: Context, emulator: str, version: int) -> bool:
    """Whether the emulator runs a guest under KVM; the answer is remembered for this boot and this qemu."""
    if os.uname().machine != "x86_64" or not os.path.exists(DEVICE):
        return False
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        key = f"{stream.read().strip()} {emulator} {version}"
    known = os.path.join(ctx.state_dir, "kvm.json")
    try:
        with open(known, encoding="utf-8") as stream:
            answer = json.load(stream)
        if answer.get("key") == key:
            return bool(answer["runs"])
    except (OSError, ValueError, AttributeError, KeyError):
        pass
    runs = _try(ctx, emulator)
    if not ctx.check_mode:
        os.makedirs(ctx.state_dir, mode=0o711, exist_ok=True)
        files.replace(known, json.dumps({"key": key, "runs": runs}).encode(), mode=0o644)
    return runs


def _try(ctx: Context, emulator: str, accelerator: str = "kvm", cpu: str = "host") -> bool:
    with tempfile.NamedTemporaryFile(prefix="agentless-", suffix=".img") as disk:
        disk.write(SECTOR)
        disk.truncate(DISK_SIZE)
        disk.flush()
        argv = [emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "32"]
        argv += ["-machine", f"q35,accel={accelerator}", "-cpu", cpu]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        argv += ["-drive", f"file={disk.name},format=raw,if=none,id=d", "-device", "ide-hd,drive=d"]
        try:
            return ctx.run(argv, timeout=PATIENCE, check=False).returncode == RAN
        except BackendError:
            return False
