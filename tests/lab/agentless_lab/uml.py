# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine by User-Mode Linux: Debian's kernel as a program, which needs no KVM and is not emulated.

Program and modules are those of one package in the image. docs/testing.md says what such a machine does not show.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from agentless_lab.system import run

PROGRAM, SHIM = "linux", "xstate.so"  # in the image
CONSOLE = ["con=null", "con0=null,fd:1", "ssl=null", "quiet"]
SHARED = Path("/dev/shm")
WELL = "Attempted to kill init! exitcode=0x00000000"


def starts(kept: Path, *, memory: int, timeout: float = 60) -> bool:
    """Whether it really boots: a program of the image runs as init and ends well, at which the kernel panics.

    The kernel alone comes up also where no program does, by the registers of the processor. Little memory is tried, but
    a machine keeps its own in a file of /dev/shm, which must have room for it.
    """
    if not (kept / PROGRAM).exists() or not _room(memory):
        return False
    argv = ["timeout", "--kill-after=1", str(timeout), "taskset", "--cpu-list", str(max(os.sched_getaffinity(0)))]
    argv += [str(kept / PROGRAM), "mem=128M", f"ubd0rcd={kept / 'disk.raw'}", "root=/dev/ubda", "ro", "init=/bin/true"]
    nowhere = "uml_dir=/dev/null/"  # nothing of it stays, however it ends
    return WELL in run([*argv, nowhere, *CONSOLE], stdin="", check=False, env={**os.environ, **environment(kept)})


def _room(memory: int) -> bool:
    """Whether what a machine calls its memory fits, where it is kept apart from other temporary files."""
    if not SHARED.is_dir():
        return True
    found = os.statvfs(SHARED)
    return found.f_bavail * found.f_frsize >= memory * 2**20


def environment(kept: Path) -> dict[str, str]:
    """What the program needs to know."""
    return {"LD_PRELOAD": str(kept / SHIM)}


def command(kept: Path, *, memory: int, mac: str, descriptor: int, disks: list[Path]) -> list[str]:
    """What is run: the first disk is the root, the last one the seed, and the cable is open already.

    What it writes over the image is in a file that knows the image by its path and the time of its last change.
    """
    place = disks[0].parent
    argv = [str(kept / PROGRAM), f"mem={memory}M", "umid=uml", f"uml_dir={place}/", f"hostfs={place / 'root'}"]
    argv.append(f"ubd0={disks[0]},{kept / 'disk.raw'}")
    argv += [f"ubd{number}d={disk}" for number, disk in enumerate(disks[1:-1], 1)]
    argv.append(f"ubd{len(disks) - 1}rd={disks[-1]}")
    argv += ["root=/dev/ubda", "rw", f"vec0:transport=fd,fd={descriptor},vec=0,mac={mac}", "net.ifnames=0", "panic=5"]
    return [*argv, *CONSOLE, f"lab.seed=ubd{chr(ord('a') + len(disks) - 1)}"]


def processor(taken: Iterable[int], allowed: Iterable[int]) -> int:
    """The processor on which a machine runs: of those allowed the one with the fewest machines.

    On one alone it is two to four times as fast as on whichever is free, since its kernel and its programs take turns.
    """
    counts = dict.fromkeys(allowed, 0)
    for number in taken:
        if number in counts:
            counts[number] += 1
    return min(counts, key=lambda number: (counts[number], -number))
