# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what a run of tests costs: hosts, machines and guests started, and processor time.

Where AGENTLESS_TEST_COUNTS names a file, a line is appended to it for each. The lines:

    host 1       a container was started
    machine 1    a machine was started
    guest N      guests that were started in a container since it was made, told when its lab goes down
    cpu_ms N     milliseconds of processor time that a container or machine took, told whenever its control group goes:
                 when it goes down, its power is cut, or it is started anew after it ended by itself

Guests in machines are not counted, since their disks cannot be looked into.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "AGENTLESS_TEST_COUNTS"
STARTED = b"starting up libvirt version"  # libvirt writes it into a guest's log at each start


def wanted() -> bool:
    """Whether anybody counts."""
    return bool(os.environ.get(VARIABLE))


def count(what: str, number: int = 1) -> None:
    """Append a line, which is one write, so that lines of several processes do not mix; nothing for nothing."""
    if not wanted() or number <= 0:
        return
    opened = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(opened, f"{what} {number}\n".encode())
    finally:
        os.close(opened)


def guests(upper: Path) -> int:
    """How many guests were started on a container, by what it has written."""
    return sum(log.read_bytes().count(STARTED) for log in upper.glob("var/log/libvirt/qemu/*.log"))


def processor_time(group: str, hierarchies: list[Path]) -> int:
    """Milliseconds that a control group and those below it took, by whichever version counts them."""
    for top in hierarchies:
        old, new = top / group / "cpuacct.usage", top / group / "cpu.stat"
        try:
            if old.exists():
                return int(old.read_text(encoding="ascii")) // 10**6
            if new.exists():
                words = new.read_text(encoding="ascii").split()
                return int(words[words.index("usage_usec") + 1]) // 1000
        except (OSError, ValueError):  # it went meanwhile, or it is the cpu.stat of version 1, which counts no time
            continue
    return 0
