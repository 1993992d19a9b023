# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of coverage by package, and how they stand beside the floor. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOTAL = "total"
# Threads and races decide over a few lines, so the floor stays this far below what was measured.
SLACK_PARTS, SLACK_SHARE = 2, 0.002
# A rise worth a line in the report.
RISE = 0.3


@dataclass(frozen=True)
class Figure:
    """Lines and branches: how many there are, and how many were run."""

    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_run: int = 0

    @property
    def parts(self) -> int:
        """All lines and branches."""
        return self.lines + self.branches

    @property
    def percent(self) -> float:
        """The share that was run, rounded down to two decimals."""
        return share(self.lines_run + self.branches_run, self.parts)

    @property
    def sure(self) -> float:
        """The floor that these figures allow."""
        slack = max(SLACK_PARTS, round(SLACK_SHARE * self.parts))
        return share(max(self.lines_run + self.branches_run - slack, 0), self.parts)

    def __add__(self, other: Figure) -> Figure:
        return Figure(
            self.lines + other.lines,
            self.lines_run + other.lines_run,
            self.branches + other.branches,
            self.branches_run + other.branches_run,
        )


@dataclass(frozen=True)
class Floor:
    """The least that tests of these stages together have to run, in percent by package."""

    stages: frozenset[str]
    least: Mapping[str, float]


def share(part: int, whole: int) -> float:
    """Return percent, rounded down to two decimals."""
    return 100.0 if whole == 0 else part * 10000 // whole / 100


def package(path: str) -> str:
    """Name the package of a file: plugin_utils/compute, or plugin_utils for a file of its own."""
    return "/".join(path.removeprefix("plugins/").split("/")[:-1][:2])


def by_package(files: Mapping[str, Figure]) -> dict[str, Figure]:
    """Sum up files by package, and all of them as the total."""
    sums: dict[str, Figure] = {}
    for path, figure in sorted(files.items()):
        for name in (package(path), TOTAL):
            sums[name] = sums.get(name, Figure()) + figure
    return {name: sums[name] for name in sorted(sums, key=lambda name: (name == TOTAL, name))}


def applying(floors: Iterable[Floor], stages: Iterable[str]) -> list[Floor]:
    """Return the floors that a run of these stages has to reach: those of no stage that was left out."""
    return [floor for floor in floors if floor.stages <= set(stages)]


def below(sums: Mapping[str, Figure], floor: Floor) -> list[str]:
    """Say what lies below the floor; a package that is gone has nothing to reach."""
    said = []
    for name, least in floor.least.items():
        figure = sums.get(name)
        if figure is not None and figure.percent < least:
            said.append(f"{name}: {figure.percent:.2f} % is below the floor of {least:.2f} %")
    return said


def raised(sums: Mapping[str, Figure], floor: Floor) -> dict[str, float]:
    """Return the same floor as high as these figures allow; it never sinks, and new packages come in."""
    return {name: max(floor.least.get(name, 0.0), figure.sure) for name, figure in sums.items()}


def rises(sums: Mapping[str, Figure], floor: Floor) -> list[str]:
    """Say where the floor can be raised by enough to be worth it."""
    new = raised(sums, floor)
    return [
        f"{name}: the floor of {floor.least.get(name, 0.0):.2f} % can be raised to {least:.2f} %"
        for name, least in new.items()
        if least >= floor.least.get(name, 0.0) + RISE
    ]


def table(figures: Mapping[str, Figure]) -> str:
    """Render figures, one in a line."""
    width = max((len(name) for name in figures), default=0)
    rows = [f"{'':{width}}  lines   run      branches   run      together"]
    for name, figure in figures.items():
        rows.append(
            f"{name:{width}}  {figure.lines:5} {share(figure.lines_run, figure.lines):7.2f} %"
            f"  {figure.branches:6} {share(figure.branches_run, figure.branches):7.2f} %  {figure.percent:7.2f} %"
        )
    return "\n".join(rows)


def lowest(files: Mapping[str, Figure], count: int) -> dict[str, Figure]:
    """Return the files with the most that was not run."""

    def missing(path: str) -> int:
        figure = files[path]
        return figure.lines_run + figure.branches_run - figure.parts

    return {path: files[path] for path in sorted(files, key=missing)[:count]}


def read_floors(content: Sequence[Mapping[str, Any]] | None) -> list[Floor]:
    """Read the floors of the file."""
    return [
        Floor(frozenset(each["stages"]), {name: float(least) for name, least in each["least"].items()})
        for each in content or ()
    ]


def rendered(floors: Iterable[Floor]) -> str:
    """Write floors as YAML, one number in a line."""
    lines = []
    for floor in floors:
        lines += ["", f"- stages: [{', '.join(sorted(floor.stages))}]", "  least:"]
        lines += [f"    {name}: {least:.2f}" for name, least in floor.least.items()]
    return "\n".join(lines) + "\n"
