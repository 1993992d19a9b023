# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Break the lines of lines.yml, one after the other, and have the tests notice each.

  python -m tests.mutation [--only PATTERN] [--unchecked] [--jobs N]

It works on copies of the checkout, in a temporary directory. First the tests named run on lines that are whole and must
pass. Exit code 1: a broken line survived, a line is not in its file exactly once, or tests did not run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

T = TypeVar("T")
R = TypeVar("R")
CHECKOUT = Path(__file__).resolve().parents[2]
LINES = Path(__file__).resolve().with_name("lines.yml")
LIMIT = 900  # seconds for the tests of one broken line; tests that hang are not green either
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::\S+)", re.MULTILINE)
PASSED, RED = 0, 1  # exit codes of pytest; every other one says that the tests did not run
# What would lead the copy's tests back to the checkout.
LEADING = ("AGENTLESS_COLLECTIONS_TREE", "ANSIBLE_COLLECTIONS_PATH", "PYTHONPATH", "AGENTLESS_COVERAGE_DATA")


@dataclass(frozen=True)
class Mutation:
    """One line, what it becomes, and the tests that are to notice."""

    file: str
    line: str
    broken: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the table shows it."""
        return f"{self.file.removeprefix('plugins/')}: {self.line}"


@dataclass(frozen=True)
class Result:
    """How it went; ``said`` names the test, or the reason."""

    mutation: Mutation
    noticed: bool
    said: str
    seconds: float = 0.0


def read(text: str) -> list[Mutation]:
    """Read the table."""
    return [
        Mutation(each["file"], each["line"], each["broken"], tuple(shlex.split(each["tests"])))
        for each in yaml.safe_load(text)
    ]


def broken(source: str, mutation: Mutation) -> str | None:
    """Return the file with the line broken; None where it does not stand there exactly once."""
    lines = source.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.strip() == mutation.line]
    if len(places) != 1:
        return None
    line = lines[places[0]]
    indent = line[: len(line) - len(line.lstrip())]
    lines[places[0]] = f"{indent}{mutation.broken}\n"
    return "".join(lines)


def judged(mutation: Mutation, code: int | None, output: str) -> tuple[bool, str]:
    """Say whether the tests noticed, from the exit code of pytest (None: out of time) and its output."""
    if code is None:
        return True, "noticed: the tests ran out of time"
    if code == PASSED:
        return False, "SURVIVED"
    found = FAILED.search(output)
    if code != RED or found is None:
        return False, f"THE TESTS DID NOT RUN: {output.strip()[-600:]}"
    return True, f"noticed by {found[1]}"


def copied(target: Path) -> Path:
    """Copy what the checkout holds to a place that Python and Ansible accept as the collection."""
    root = target / "ansible_collections" / "agentless" / "cloud"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, root / name, follow_symlinks=False)
    return root


def tested(root: Path, tests: Sequence[str], *options: str) -> tuple[int | None, str]:
    """Run tests of a copy; the exit code of pytest, None when they ran out of time, and what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in LEADING}
    # Bytecode is found again by the second and the size of a file, which a broken line need not change.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not postgresql and not lab"]
    process = subprocess.Popen(
        [*argv, *options, *tests],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _running.add(process)
    try:
        output = process.communicate(timeout=LIMIT)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        _end(process)
        _running.discard(process)


_running: set[subprocess.Popen[str]] = set()


def _end(process: subprocess.Popen[str]) -> None:
    """End tests and what they have started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tried(mutation: Mutation, root: Path) -> Result:
    """Break one line of a copy, run its tests, and mend it again."""
    path = root / mutation.file
    whole = path.read_text(encoding="utf-8")
    text = broken(whole, mutation)
    if text is None:
        return Result(mutation, False, "THE LINE IS NOT THERE, or more than once")
    start = time.monotonic()
    path.write_text(text, encoding="utf-8")
    try:
        code, output = tested(root, mutation.tests)
    finally:
        path.write_text(whole, encoding="utf-8")
    return Result(mutation, *judged(mutation, code, output), time.monotonic() - start)


def main() -> int:
    """Try them all and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="PATTERN", help="those whose file and line match this")
    parser.add_argument("--unchecked", action="store_true", help="do not run the tests on whole lines first")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = [each for each in read(LINES.read_text(encoding="utf-8")) if re.search(given.only, each.name)]
    with tempfile.TemporaryDirectory(prefix="agentless-mutation-") as scratch:
        roots: queue.Queue[Path] = queue.Queue()
        for number in range(given.jobs):
            roots.put(copied(Path(scratch) / str(number)))
        red = set() if given.unchecked else _red(roots, wanted, given.jobs)

        def one(mutation: Mutation) -> Result:
            if mutation.tests in red:
                return Result(mutation, False, "ITS TESTS ARE RED while nothing is broken")
            root = roots.get()
            try:
                result = tried(mutation, root)
            finally:
                roots.put(root)
            print(f"{result.said}  [{result.seconds:.0f} s]  {mutation.name}", flush=True)
            return result

        results = _at_once(one, wanted, given.jobs)
    passed = sum(result.noticed for result in results)
    print(f"\n{passed} passed, {len(results) - passed} failed")
    return int(passed < len(results) or not results)


def _red(roots: queue.Queue[Path], wanted: Sequence[Mutation], jobs: int) -> set[tuple[str, ...]]:
    """Run the tests while nothing is broken and return those that do not pass: they would notice anything."""

    def one(tests: tuple[str, ...]) -> bool:
        root = roots.get()
        try:
            code, output = tested(root, tests)
        finally:
            roots.put(root)
        if code != PASSED:
            print(f"{output[-4000:]}\nnot green while nothing is broken: {' '.join(tests)}", flush=True)
        return code == PASSED

    selections = sorted({mutation.tests for mutation in wanted})
    return {tests for tests, green in zip(selections, _at_once(one, selections, jobs), strict=True) if not green}


def _at_once(work: Callable[[T], R], items: Sequence[T], jobs: int) -> list[R]:
    """Do the work for each item, so many at a time; a run that is told to stop ends at once."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running):
                _end(process)
            raise


if __name__ == "__main__":
    sys.exit(main())
