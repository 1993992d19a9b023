# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stage left: the tests it ran and skipped, what was counted, and whether all of that is as it may be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import yaml

from agentless_runner.budget import Stage

STOPPED = (124, 137)  # what timeout(1) says of a command that it had to end


LAST = 25  # lines of a stage without a report that the summary says again


@dataclass(frozen=True)
class Case:
    """One test of a report.

    :param state: ``passed``, ``failed`` or ``skipped``; an expected failure counts as skipped.
    :param told: properties that the test recorded.
    """

    test: str
    state: str
    seconds: float
    reason: str = ""
    told: tuple[tuple[str, str], ...] = ()


@dataclass
class Result:
    """How a stage ended; one that never did has no code."""

    stage: Stage
    code: int | None = None
    seconds: float = 0.0
    cpu: float = 0.0
    limit: float = 0.0
    cases: list[Case] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reported: bool = False  # a test runner wrote a report
    wrong: list[str] = field(default_factory=list)  # what makes it red beside the exit code
    end: tuple[str, ...] = ()  # the last lines that it said, where no report tells which test it was

    def number(self, state: str) -> int:
        """Return how many tests ended so; a stage that is not made of tests is one."""
        if not self.reported:
            return int(state == ("passed" if self.good() else "failed"))
        found = sum(case.state == state for case in self.cases)
        # A test runner that broke off after its last report, a ceiling, a skip: each is a failure of its own.
        return found + int(state == "failed" and not found and not self.good())

    def good(self) -> bool:
        """Return whether nothing is wrong."""
        return self.code == 0 and not self.wrong and all(case.state != "failed" for case in self.cases)

    def verdict(self) -> str:
        """Return the word that people read."""
        if self.code is None:
            return "FAILED: it has no result"
        if self.code in STOPPED and self.seconds >= self.limit:
            return f"FAILED: stopped after {self.limit:.0f} s"
        if self.code != 0:
            return f"FAILED with code {self.code}"
        return "ok" if self.good() else "FAILED: " + "; ".join(self.wrong or ["tests failed"])


def cases(report: Path, root: Path) -> list[Case]:
    """Return the tests of a report in JUnit's form.

    :param root: the checkout; a test is named by its file there.
    """
    found = []
    for entry in ElementTree.parse(report).iter("testcase"):
        skipped = entry.find("skipped")
        bad = entry.find("failure") is not None or entry.find("error") is not None
        state = "failed" if bad else "passed" if skipped is None else "skipped"
        told = tuple((each.get("name", ""), each.get("value", "")) for each in entry.iterfind("properties/property"))
        reason = "" if skipped is None else skipped.get("message", "")
        name = _name(entry.get("classname", ""), entry.get("name", ""), root)
        found.append(Case(name, state, float(entry.get("time", "0")), reason, told))
    return found


def _name(classname: str, name: str, root: Path) -> str:
    """Return ``tests/unit/test_x.py::test_y``; a file that was skipped whole has no test's name."""
    parts = [part for part in (classname or name).split(".") if part]  # an interrupted report has entries without names
    for place in range(len(parts), 0, -1):
        file = Path(*parts[:place]).with_suffix(".py")
        if (root / file).is_file():
            return "::".join([file.as_posix(), *parts[place:], *([name] if classname else [])])
    return f"{classname}::{name}"


def end(log: Path) -> tuple[str, ...]:
    """Return the last lines that a stage said: where it stood when it was stopped."""
    said = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return tuple([line for line in said if line.strip()][-LAST:])


def counted(path: Path) -> Counter[str]:
    """Return what was counted: lines of a kind and a number."""
    total: Counter[str] = Counter()
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, _blank, number = line.partition(" ")
            total[kind] += int(number)
    return total


def above(counts: Mapping[str, int], ceilings: Mapping[str, int] | None) -> list[str]:
    """Return what was counted more often than its ceiling says; CPU time is not one of them."""
    if ceilings is None:
        return []
    return [
        f"{kind} {number} above the ceiling of {ceilings.get(kind, 0)}"
        for kind, number in sorted(counts.items())
        if kind != "cpu_ms" and number > ceilings.get(kind, 0)
    ]


def allowed(path: Path) -> dict[str, str]:
    """Return the tests that may be skipped, each with the reason."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {str(test): str(reason) for test, reason in (content or {}).items()}


def new_skips(found: Iterable[Case], may: Mapping[str, str]) -> list[str]:
    """Return the tests that were skipped and are not on the list; one without parameters stands for all of them."""
    return [
        case.test
        for case in found
        if case.state == "skipped" and case.test not in may and re.sub(r"\[.*\]$", "", case.test) not in may
    ]
