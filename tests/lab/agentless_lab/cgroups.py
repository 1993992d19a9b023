# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: each host lives in its own, so that all of its processes, and no others, can be found and ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection
from pathlib import Path

from agentless_lab import counting
from agentless_lab.system import LabError, mark

PROC = Path("/proc")


def hierarchies() -> list[Path]:
    """The mounted control group hierarchies, of either version."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split() for line in mounts]
    return [Path(where) for _id, where, kind, *_rest in fields if kind in ("cgroup", "cgroup2")]


def names(lab: str) -> set[str]:
    """The groups that hosts of a lab have now, whatever the lab's own records say."""
    return {entry.name for top in hierarchies() for entry in top.glob(f"{mark()}.{lab}.*")}


def labs() -> set[str]:
    """Every lab whose hosts have groups now."""
    return {entry.name.split(".")[1] for top in hierarchies() for entry in top.glob(f"{mark()}.*.*")}


def name(lab: str, host: str) -> str:
    """The group of a host, the same in every hierarchy."""
    return f"{mark()}.{lab}.{host}"


def create(group: str) -> list[Path]:
    """Make a host's group in every hierarchy and return the directories."""
    made = []
    for top in hierarchies():
        directory = top / group
        directory.mkdir(exist_ok=True)
        # A version 1 cpuset starts without processors or memory and takes no process until it has some.
        for attribute in ("cpuset.cpus", "cpuset.mems"):
            if (directory / "cgroup.clone_children").exists() and (top / attribute).exists():
                (directory / "cgroup.clone_children").write_text("1")
                (directory / attribute).write_text((top / attribute).read_text())
        made.append(directory)
    return made


def processes(group: str) -> set[int]:
    """Every process in a host's group or below it, in any hierarchy."""
    found: set[int] = set()
    for top in hierarchies():
        for directory, _folders, _names in os.walk(top / group):
            try:
                found.update(map(int, (Path(directory) / "cgroup.procs").read_text().split()))
            except OSError:
                continue
    return found - {0}


def oldest(group: str) -> int | None:
    """The process of a group that was there first, which is what runs the host; None where there is none.

    Numbers say nothing about age: the kernel begins with the low ones again when it has given the highest.
    """
    begun: dict[int, int] = {}
    for pid in processes(group):
        with contextlib.suppress(OSError):
            status = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
            begun[pid] = int(status.rpartition(")")[2].split()[19])
    return min(begun, key=lambda pid: (begun[pid], pid), default=None)


def destroy(group: str, *, timeout: float = 20.0) -> None:
    """End every process of a group and remove the group; nothing happens when it is not there."""
    deadline = time.monotonic() + timeout
    pause, counted = 0.001, not counting.wanted()
    while True:
        alive = processes(group)
        _kill(alive)
        if not alive and not counted:  # the directories are still there, and nobody uses time any more
            counting.count("cpu_ms", counting.processor_time(group, hierarchies()))
            counted = True
        left = [] if alive else [top / group for top in hierarchies() if not _remove(top / group)]
        if not alive and not left:
            return
        if time.monotonic() > deadline:
            raise LabError(f"control group {group} does not go away: processes {sorted(alive)}, directories {left}")
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


def _kill(pids: Collection[int]) -> None:
    """Kill processes and sleep until they have ended; whoever is born meanwhile is the caller's."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError), Watch(pid) as watch:
            watch.wait(1)


class Watch:
    """A process that is looked at without asking again and again."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._descriptor)

    def wait(self, seconds: float, beside: int | None = None, events: int = select.POLLIN) -> bool:
        """Sleep until the process has ended, something else comes true, or the time is over; say whether it lives."""
        if beside is not None:
            self._poll.register(beside, events)
        try:
            ready = [descriptor for descriptor, _event in self._poll.poll(max(0.0, seconds) * 1000)]
        finally:
            if beside is not None:
                self._poll.unregister(beside)
        return self._descriptor not in ready


def _remove(top: Path) -> bool:
    """Remove a group with its children, the deepest first; say whether it is gone."""
    for directory, _folders, _names in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass
    return not top.exists()
