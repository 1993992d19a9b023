# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line, ``python tests/runner --work DIRECTORY [--within MINUTES] STAGE...``; ``scripts/test`` calls it."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from agentless_runner import budget, measure, results, summary
from agentless_runner.budget import BudgetError, Stage
from agentless_runner.lanes import Lanes
from agentless_runner.results import Result

HERE = Path(__file__).resolve().parents[1]
TAIL = 150  # lines of a failed stage that are shown


def main(argv: Sequence[str] | None = None) -> int:
    """Run stages; return 0 when all is well and something was tested."""
    options = _parser().parse_args(argv)
    work, root = Path(options.work), Path.cwd()
    try:
        asked = os.environ.get("AGENTLESS_COVERAGE") in ("all", "hosts")
        known = budget.load(Path(options.budget), measure_all=asked)
        stages = known.named(options.stages) if options.stages else known.usual()
    except BudgetError as error:
        print(f"scripts/test: {error}", file=sys.stderr)
        return 2
    if options.pytest:
        stages = (Stage("pytest", "pytest", ("run_pytest", "pytest", *options.pytest), 3600, counts=None),)
    begun = time.monotonic()
    factor = 1.0
    if options.within or not (options.stages or options.pytest):
        took = measure.yardstick(known.lanes)
        factor = took / known.yardstick
        print(f"The yardstick took {took:.1f} s: {factor:.1f} times as slow as the machine of the budget.", flush=True)
    logs = os.environ.get("AGENTLESS_TEST_LOGS")
    lanes = Lanes(
        stages,
        work,
        root,
        options.command,
        factor,
        known.lanes,
        lambda result: show(result, work),
        room=options.within * 60 if options.within else None,
        logs=Path(logs) if logs else None,
        may_skip=results.allowed(Path(options.skips)),
        environment=_environment(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_about: lanes.stop())
    lanes.run()
    found = list(lanes.results.values())
    for line in summary.lines(found, lanes.left_out, seconds=time.monotonic() - begun, factor=lanes.slower()):
        print(line)
    if logs:
        (Path(logs) / "figures.yml").write_text(summary.figures(found), encoding="utf-8")
    return 0 if all(result.good() for result in found) and any(result.number("passed") for result in found) else 1


_print = threading.Lock()


def show(result: Result, work: Path) -> None:
    """Print how a stage ended: the end of what it said, and all that matters of it where it failed."""
    said = (work / "logs" / f"{result.stage.name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    tail = int(os.environ.get("AGENTLESS_TEST_TAIL", TAIL))
    shown = [line for line in said if line.strip()][-3:] if result.good() else said[-tail:]
    title = f"== {result.stage.title}: {result.verdict()} ({result.seconds:.0f} s)"
    with _print:
        print("\n".join(["", title, *shown]), flush=True)


def _environment() -> dict[str, str]:
    """Return what makes stages count: our ssh before the real one, and the plugin that every Ansible loads."""
    plugins = [str(HERE / "callbacks"), os.environ.get("ANSIBLE_CALLBACK_PLUGINS", "")]
    return {
        "PATH": os.pathsep.join([str(HERE / "bin"), os.environ.get("PATH", os.defpath)]),
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(filter(None, plugins)),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/runner", description="Run stages of the tests.")
    parser.add_argument("--work", required=True, help="the directory of this run")
    parser.add_argument("--budget", default=HERE.parent / "budget.yml")
    parser.add_argument("--skips", default=HERE.parent / "skips.yml")
    parser.add_argument("--within", type=float, help="minutes; long stages are left out where time is short")
    parser.add_argument("--command", type=shlex.split, default="bash scripts/test --stage", help="what runs a stage")
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, help="run these tests instead of stages")
    parser.add_argument("stages", nargs="*")
    return parser
