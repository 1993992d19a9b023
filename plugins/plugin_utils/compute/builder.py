# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is building an instance, and whether that builder still lives.

A task leaves its mark in the record before it acts on a host. Another task that meets the mark waits while the builder
lives, and takes the work over when it is dead: at once on the same controller, and after the lease elsewhere, since
the life of a process on another machine cannot be seen from here. The builder is the worker process of the task, not
the play: hosts of one play may ask for the same instance, and a worker outlives a play that was killed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

MARGIN = 60  # seconds a builder may be late, beyond what its hosts may take


def mark(timeout: int) -> dict[str, Any]:
    """The mark of this task: its machine, its process, and until when another machine must wait.

    :param timeout: seconds that one round of calls to hosts may take.
    """
    pid = os.getpid()
    return {"node": _node(), "pid": pid, "started": _started(pid), "until": time.time() + timeout + MARGIN}


def alive(found: Mapping[str, Any] | None) -> bool:
    """Whether the task that left this mark may still be at work, and is not this one."""
    if not found:
        return False
    if found.get("node") == _node():
        pid = int(found.get("pid", 0))
        return pid != os.getpid() and found.get("started") is not None and _started(pid) == found["started"]
    return time.time() < float(found.get("until", 0))


def _node() -> str:
    """This machine, told apart from others that carry the same name."""
    try:
        with open("/etc/machine-id", encoding="ascii") as handle:
            return f"{socket.gethostname()} {handle.read().strip()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When the process started, in clock ticks after boot (proc(5), field 22); None where none of that number lives."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            fields = handle.read().rpartition(")")[2].split()
            return None if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return None
