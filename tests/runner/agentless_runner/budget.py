# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The budget: which stages there are, what each is expected to take, and how much of what is counted each may use.

``tests/budget.yml`` holds all of it, so that growth is a change of that file.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

LONG = "long"
KINDS = ("ssh", "module", "site", "guest", "host", "machine")


class BudgetError(Exception):
    """The budget file is wrong; the message says where."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    :param title: what people read.
    :param run: the shell function of ``scripts/_stages`` with its arguments.
    :param limit: seconds after which the stage is stopped.
    :param seconds: wall time on the machine on which the figures were taken, beside one other lane.
    :param cpu: CPU seconds there, of the controller and of the test hosts.
    :param group: stages of one group share test hosts: they run one at a time, in the order of the file.
    :param long: the stage may be left out where time is short.
    :param last: it looks at what the others left, so it begins when they have ended.
    :param asked: it runs only where it is named.
    :param measured: its processes note which of our lines they run. In the file, `long` says so for runs that are
        asked to measure everything.
    :param counts: the ceiling of each kind that is counted; a kind that is not named may not occur. None
        where nobody asks.
    """

    name: str
    title: str
    run: tuple[str, ...]
    limit: int
    seconds: float = 0
    cpu: float = 0
    group: str = ""
    long: bool = False
    last: bool = False
    asked: bool = False
    measured: bool = False
    counts: Mapping[str, int] | None = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """The whole file.

    :param yardstick: seconds that the fixed piece of work takes on the machine on which the figures were taken.
    :param lanes: how many stages run beside each other.
    """

    yardstick: float
    lanes: int
    stages: tuple[Stage, ...]

    def usual(self) -> tuple[Stage, ...]:
        """Return the stages that run where none is named."""
        return tuple(stage for stage in self.stages if not stage.asked)

    def named(self, names: Iterable[str]) -> tuple[Stage, ...]:
        """Return the stages of these names in the order of the file.

        :raises BudgetError: when a name is not in the file.
        """
        wanted = set(names)
        unknown = sorted(wanted - {stage.name for stage in self.stages})
        if unknown:
            there = ", ".join(stage.name for stage in self.stages)
            raise BudgetError(f"no stage is called {', '.join(unknown)}; tests/budget.yml has {there}")
        return tuple(stage for stage in self.stages if stage.name in wanted)


def load(path: Path, *, measure_all: bool = False) -> Budget:
    """Read the budget.

    :param measure_all: the stages that are measured in the long form are measured, too.
    :raises BudgetError: when the file says what cannot be meant.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    stages = tuple(_stage(name, about, measure_all) for name, about in content["stages"].items())
    return Budget(float(content["yardstick"]), int(content["lanes"]), stages)


def _stage(name: str, about: Mapping[str, Any], measure_all: bool) -> Stage:
    known = {each.name for each in fields(Stage)} - {"name"}
    unknown = sorted(set(about) - known)
    if unknown:
        raise BudgetError(f"stage {name}: unknown keys {', '.join(unknown)}")
    missing = sorted({"title", "run", "limit"} - set(about))
    if missing:
        raise BudgetError(f"stage {name}: missing keys {', '.join(missing)}")
    counts = dict(about.get("counts") or {})
    if set(counts) - set(KINDS):
        raise BudgetError(f"stage {name}: counts are {', '.join(KINDS)}, not {', '.join(sorted(set(counts)))}")
    measured = about.get("measured", False)
    if measured not in (True, False, LONG):
        raise BudgetError(f"stage {name}: measured is true, false or {LONG}, not {measured!r}")
    read = {
        "run": tuple(map(str, about["run"])),
        "counts": counts,
        "measured": measured is True or (measured == LONG and measure_all),
    }
    return Stage(name, **{**about, **read})


def following(queue: Sequence[Stage], busy: Collection[str], *, idle: bool) -> Stage | None:
    """Return the stage that a free lane takes: the first one whose group is not at work; None when it has to wait.

    :param busy: the groups at work.
    :param idle: no lane does anything.
    """
    early = [stage for stage in queue if not stage.last]
    ready = early or (queue if idle else [])
    return next((stage for stage in ready if not stage.group or stage.group not in busy), None)


def ends(stages: Sequence[Stage], *, factor: float, busy: Sequence[float]) -> float:
    """Return after how many seconds the last of these stages ends, when each lane takes the next as it becomes free.

    :param factor: how many times slower than the budget's machine this one is.
    :param busy: for each lane the seconds for which it is still taken.
    """
    queue = list(stages)
    running = [(until, place, "") for place, until in enumerate(busy)]
    heapq.heapify(running)
    last = max(busy)
    while queue:
        now, lane, _group = heapq.heappop(running)
        others = [(until, group) for until, _lane, group in running if until > now]
        stage = following(queue, {group for _until, group in others if group}, idle=not others)
        if stage is None:  # what the other lanes do now has to end first
            heapq.heappush(running, (min(until for until, _group in others), lane, ""))
            continue
        queue.remove(stage)
        last = max(last, now + stage.seconds * factor)
        heapq.heappush(running, (now + stage.seconds * factor, lane, stage.group))
    return last


def fitting(
    stages: Sequence[Stage], *, factor: float, busy: Sequence[float], room: float
) -> tuple[list[Stage], list[Stage]]:
    """Split stages into those to run and those to leave out, so that all end within the room.

    Long stages go, the last of the file first; when that is not enough, the others are run all the same.

    :param room: seconds.
    """
    kept = list(stages)
    left: list[Stage] = []
    while ends(kept, factor=factor, busy=busy) > room:
        long = next((stage for stage in reversed(kept) if stage.long), None)
        if long is None:
            break
        kept.remove(long)
        left.insert(0, long)
    return kept, left
