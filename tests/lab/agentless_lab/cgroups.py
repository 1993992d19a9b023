# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: each host lives in its own, so that all of its processes, and no others, can be found and ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from agentless_lab.system import LabError, mark


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


def destroy(group: str, *, timeout: float = 20.0) -> None:
    """End every process of a group and remove the group; nothing happens when it is not there."""
    deadline = time.monotonic() + timeout
    while True:
        alive = processes(group)
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        left = [top / group for top in hierarchies() if not _remove(top / group)]
        if not alive and not left:
            return
        if time.monotonic() > deadline:
            raise LabError(f"control group {group} does not go away: processes {sorted(alive)}, directories {left}")
        time.sleep(0.02)


def _remove(top: Path) -> bool:
    """Remove a group with its children, the deepest first; say whether it is gone."""
    for directory, _folders, _names in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass
    return not top.exists()
