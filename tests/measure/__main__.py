# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command measured, and report what all commands of a run have covered.

python -m tests.measure run DIRECTORY COMMAND...           measure a command and all Python processes that it starts
python -m tests.measure report DIRECTORY --stages A,B,...  figures by package, beside the floors of these stages
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import coverage
import yaml

from tests.measure import figures
from tests.measure.figures import Figure

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
FLOORS = HERE / "floors.yml"
SETTINGS = HERE / "report.ini"
PARTS = ("plugins/plugin_utils", "plugins/module_utils")


def main() -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command measured")
    run.add_argument("directory", type=Path, help="where each process leaves its data")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    report = commands.add_parser("report", help="figures by package, beside the floors; 1 when one is not reached")
    report.add_argument("directory", type=Path)
    report.add_argument("--stages", default="", help="the stages whose tests were all run, with commas between them")
    report.add_argument("--files", type=int, default=0, metavar="N", help="the N files with the most that was not run")
    report.add_argument("--lines", action="store_true", help="with --files: which lines and branches")
    report.add_argument("--raise", dest="up", action="store_true", help="raise the floors of these stages in the file")
    given = parser.parse_args()
    if given.command == "run":
        return started(given.directory, given.argv)
    return reported(given)


def started(directory: Path, argv: list[str]) -> int:
    """Become the command, with what makes Python processes measure themselves in its environment."""
    directory.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("PYTHONPATH")
    os.environ.update(
        AGENTLESS_COVERAGE_DATA=str(directory.resolve()),
        AGENTLESS_COVERAGE_CHECKOUT=str(CHECKOUT),
        PYTHONPATH=os.pathsep.join([str(HERE / "begin"), *([path] if path else [])]),
    )
    os.execvp(argv[0], argv)


def reported(given: argparse.Namespace) -> int:
    """Print the figures; 1 when a floor is not reached."""
    files, missing, count = measured(given.directory)
    if count == 0:
        print(f"no process has left data in {given.directory}", file=sys.stderr)
        return 1
    sums = figures.by_package(files)
    print(f"coverage of {count} processes")
    print(figures.table(sums))
    if given.files:
        worst = figures.lowest(files, given.files)
        print("\n" + figures.table(worst))
        if given.lines:
            print("\n".join(["", *(f"{path}: {missing[path]}" for path in worst)]))
    stages = {name for name in given.stages.split(",") if name}
    floors = figures.read_floors(yaml.safe_load(FLOORS.read_text(encoding="utf-8")))
    said = [line for floor in figures.applying(floors, stages) for line in figures.below(sums, floor)]
    for line in said:
        print(f"coverage below its floor: {line}")
    if given.up:
        _raise(floors, stages, sums)
        return int(bool(said))
    for floor in figures.applying(floors, stages):
        if floor.stages == stages:
            for line in figures.rises(sums, floor):
                print(f"coverage: {line}")
    return int(bool(said))


def _raise(floors: list[figures.Floor], stages: set[str], sums: dict[str, Figure]) -> None:
    """Write the floors of exactly these stages as high as the figures allow."""
    if not any(floor.stages == stages for floor in floors):
        floors = [*floors, figures.Floor(frozenset(stages), {})]
    text = FLOORS.read_text(encoding="utf-8")
    head = "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))
    changed = [
        figures.Floor(floor.stages, figures.raised(sums, floor)) if floor.stages == stages else floor
        for floor in floors
    ]
    FLOORS.write_text(head + figures.rendered(changed), encoding="utf-8")


def measured(directory: Path) -> tuple[dict[str, Figure], dict[str, str], int]:
    """Combine what processes have left; the figures of each file, what is missing in it, the number of processes."""
    os.chdir(CHECKOUT)  # the paths of the settings begin here
    found = sorted(str(path) for path in directory.rglob("data.*"))
    if not found:
        return {}, {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        cover = coverage.Coverage(data_file=str(Path(scratch) / "all"), config_file=str(SETTINGS), messages=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a process that was killed while it wrote
            cover.combine(found, keep=True)
        for part in PARTS:
            for path in Path(part).rglob("*.py"):
                cover.get_data().touch_file(str(path))  # a file that nobody has imported counts too
        # Ansible ships packages with an __init__.py of its own making; such files are not in the checkout.
        ours = [f"{part}/*" for part in PARTS]
        cover.json_report(outfile=str(Path(scratch) / "all.json"), include=ours)
        content = json.loads((Path(scratch) / "all.json").read_text(encoding="utf-8"))
    files, missing = {}, {}
    for path, each in content["files"].items():
        told = each["summary"]
        files[path] = Figure(
            told["num_statements"], told["covered_lines"], told["num_branches"], told["covered_branches"]
        )
        missing[path] = _missing(each["missing_lines"], each["missing_branches"])
    return files, missing, len(found)


def _missing(lines: list[int], branches: list[list[int]]) -> str:
    """Name lines as ranges, then the branches from lines that were run."""
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    words += [f"{start}->{end if end > 0 else 'exit'}" for start, end in branches if start not in lines]
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
