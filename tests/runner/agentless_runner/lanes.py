# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages in lanes: each lane takes the next stage when it is free; long stages are left out where time is short."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from agentless_runner import budget, results
from agentless_runner.budget import Stage
from agentless_runner.results import Result

GRACE = 60  # seconds that a stage has to clean up when it is told to stop


@dataclass
class Lanes:
    """A run of stages.

    What is wanted stands in ``results`` from the beginning, so that whatever becomes of a lane, a stage without a
    result is a failure.

    :param work: the directory of this run.
    :param command: what runs a stage, before its name and the words of its ``run``.
    :param factor: how many times slower than the budget's machine this one is, at first by the yardstick.
    :param room: seconds for everything; None where time does not matter.
    :param ended: is told of each result.
    """

    stages: Sequence[Stage]
    work: Path
    root: Path
    command: Sequence[str]
    factor: float
    lanes: int
    ended: Callable[[Result], None]
    room: float | None = None
    logs: Path | None = None
    may_skip: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results = {stage.name: Result(stage) for stage in self.stages}
        self.left_out: list[Stage] = []
        self._queue = list(self.stages)
        self._begun = time.monotonic()
        self._busy: dict[int, tuple[Stage, float]] = {}  # by lane: what it does, and since when
        self._running: dict[str, int] = {}  # processes by the name of their stage
        self._stopped = False
        self._change = threading.Condition()

    def run(self) -> None:
        """Run all; returns when every lane has ended."""
        for name in ("counts", "reports", "logs"):
            (self.work / name).mkdir(parents=True, exist_ok=True)
        threads = [threading.Thread(target=self._lane, args=(place,), daemon=True) for place in range(self.lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            # With a time limit, or a signal would not be heard before the thread ends.
            while thread.is_alive():
                thread.join(0.5)

    def stop(self) -> None:
        """End everything that runs and begin nothing more."""
        with self._change:
            self._stopped = True
            for pid in self._running.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)  # timeout(1), which hands the signal on to its process group
            self._change.notify_all()

    def _lane(self, place: int) -> None:
        try:
            while (stage := self._take(place)) is not None:
                result = self.results[stage.name]
                try:
                    self._carry_out(stage, result)
                finally:
                    with self._change:
                        self._busy.pop(place, None)
                        self._change.notify_all()
                self.ended(result)
        except BaseException as error:
            with self._change:
                # The other lanes go on; what this one held has no result, which the summary counts.
                print(f"lane {place} died: {error!r}", flush=True)
                self._change.notify_all()

    def _take(self, place: int) -> Stage | None:
        """Return the next stage for a lane, waiting for a group where all that is left needs it."""
        with self._change:
            while True:
                self._leave_out()
                if self._stopped or not self._queue:
                    return None
                groups = {held.group for held, _since in self._busy.values()} - {""}
                stage = budget.following(self._queue, groups, idle=not self._busy)
                if stage is not None:
                    self._queue.remove(stage)
                    self._busy[place] = (stage, time.monotonic())
                    return stage
                self._change.wait()

    def slower(self) -> float:
        """Return how many times slower than the budget's machine this one has been so far."""
        done = [each for each in self.results.values() if each.code is not None and each.stage.seconds]
        planned, took = sum(each.stage.seconds for each in done), sum(each.seconds for each in done)
        # Short stages say little; the yardstick's word counts until some minutes have been seen.
        return self.factor if planned < 120 else took / planned

    def _leave_out(self) -> None:
        if self.room is None:
            return
        now, factor = time.monotonic(), self.slower()
        busy = [max(0.0, stage.seconds * factor - (now - since)) for stage, since in self._busy.values()]
        busy += [0.0] * (self.lanes - len(busy))
        left = self.room - (now - self._begun)
        self._queue, gone = budget.fitting(self._queue, factor=factor, busy=busy, room=left)
        for stage in gone:
            self.left_out.append(stage)
            del self.results[stage.name]

    def _carry_out(self, stage: Stage, result: Result) -> None:
        """Run one stage in a process group of its own and read what it left."""
        limit = float(stage.limit)
        if self.room is not None:
            limit = max(1.0, min(limit, self.room - (time.monotonic() - self._begun)))
        log = self.work / "logs" / f"{stage.name}.log"
        counts = self.work / "counts" / stage.name
        words = ["timeout", f"--kill-after={GRACE}", f"{limit:.0f}", *self.command, stage.name, *stage.run]
        environment = {
            **os.environ,
            **self.environment,
            "AGENTLESS_TEST_COUNTS": str(counts),
            "AGENTLESS_TEST_MEASURED": "yes" if stage.measured else "",
        }
        if stage.last:
            passed = [name for name, each in self.results.items() if each.stage.measured and each.code == 0]
            environment["AGENTLESS_TEST_PASSED"] = ",".join(passed)
        begun = time.monotonic()
        with open(log, "wb") as output:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=self.root
            )
        with self._change:
            self._running[stage.name] = process.pid
            if self._stopped:
                process.terminate()
        # wait4 also says what the stage and all that it waited for has computed.
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        clear(process.pid)
        with self._change:
            del self._running[stage.name]
        result.seconds, result.limit = time.monotonic() - begun, limit
        result.counts = results.counted(counts)
        result.cpu = used.ru_utime + used.ru_stime + result.counts["cpu_ms"] / 1000
        self._judge(result)
        result.code = process.returncode
        if not result.reported and not result.good():
            result.end = results.end(log)
        if self.logs:
            self.logs.mkdir(parents=True, exist_ok=True)
            for left in (log, self.work / "reports" / f"{stage.name}.xml"):
                if left.exists():
                    shutil.copyfile(left, self.logs / left.name)

    def _judge(self, result: Result) -> None:
        """Note what is wrong beside the exit code."""
        report = self.work / "reports" / f"{result.stage.name}.xml"
        if report.exists():
            try:
                result.cases = results.cases(report, self.root)
            except ElementTree.ParseError as error:
                result.wrong.append(f"its report cannot be read: {error}")
                return
            result.reported = True
            if not any(case.state != "skipped" for case in result.cases):
                result.wrong.append("it ran no test")
        elif "run_pytest" in result.stage.run:
            result.wrong.append("it left no report")
        result.wrong += [
            f"{test} is skipped, and not on the list" for test in results.new_skips(result.cases, self.may_skip)
        ]
        result.wrong += results.above(result.counts, result.stage.counts)


def clear(group: int) -> None:
    """End what is left of a process group: where timeout(1) was killed itself, nobody has told its children."""
    patience = time.monotonic() + GRACE
    number = signal.SIGTERM
    while True:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        while time.monotonic() < patience and _alive(group):
            time.sleep(0.2)
        if number == signal.SIGKILL:
            return
        number = signal.SIGKILL


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
