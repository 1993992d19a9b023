# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner of the tests sees every way in which a stage can go wrong: real processes, a small budget of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[2]
RUNNER = TESTS / "runner"
CLOSING = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")

# A stage is a line of shell; it has the file of its counts and the directory of reports.
COMMAND = """bash -c 'name=$1; shift; eval "$*"' stage"""
CASE = '<testcase classname="tests.unit.test_x" name="{}" time="1">{}</testcase>'
JUNIT = f"<testsuites><testsuite>{CASE}</testsuite></testsuites>"
REPORT = "$AGENTLESS_TEST_WORK/reports/$name.xml"


def report(name: str, outcome: str = "") -> str:
    """A line that leaves the report of one test."""
    return f"echo '{JUNIT.format(name, outcome)}' >{REPORT}"


SKIPPED = '<skipped message="no such thing here"/>'
FAILED = '<failure message="wrong"/>'


# A test whose thread waits for something that never comes, beside one that is well.
HANGS = """
import pathlib, threading, pytest

@pytest.fixture
def thing():
    yield
    print("cleaned up")

def waits_for_ever():
    pathlib.Path("begun").touch()
    threading.Event().wait(60)

def test_hangs(thing):
    waits_for_ever()

def test_well():
    pass
"""


class Runner:
    """Runs stages, each a line of shell."""

    def __init__(self, place: Path) -> None:
        self.place, self.work = place, place / "work"
        (place / "tests/unit").mkdir(parents=True)
        (place / "tests/unit/test_x.py").touch()

    def begin(
        self, stages: dict[str, Any], *, skips: dict[str, str] | None = None, options: tuple[str, ...] = ()
    ) -> Any:
        """Start it; a stage that is only a line has a limit of a minute."""
        (self.work / "reports").mkdir(parents=True)
        about = {
            name: {"title": name, "limit": 60, **({"run": [line]} if isinstance(line, str) else line)}
            for name, line in stages.items()
        }
        for name, content in (
            ("budget", {"yardstick": 100.0, "lanes": 2, "stages": about}),
            ("skips", skips or {}),
        ):
            (self.place / name).write_text(json.dumps(content))
        files = [f"--budget={self.place / 'budget'}", f"--skips={self.place / 'skips'}"]
        argv = [sys.executable, str(RUNNER), "--work", str(self.work), *files, *options, "--command", COMMAND]
        return subprocess.Popen(
            [*argv, "--", *stages],
            cwd=self.place,
            env={**os.environ, "AGENTLESS_TEST_WORK": str(self.work), "AGENTLESS_TEST_LOGS": str(self.place / "kept")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, stages: dict[str, Any], **more: Any) -> tuple[int, list[int], str]:
        """The exit status, the numbers of the closing line, and all that was said."""
        process = self.begin(stages, **more)
        said = process.communicate(timeout=60)[0]
        closing = CLOSING.fullmatch(said.splitlines()[-1])
        assert closing, said
        return process.returncode, [int(number or 0) for number in closing.groups()], said


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(
    ("broken", "numbers", "reason"),
    [
        pytest.param("exit 3", [2, 1, 0], "FAILED with code 3", id="a command that fails"),
        pytest.param(report("t", FAILED) + "; exit 1", [2, 1, 0], "FAILED with code 1", id="a test that fails"),
        pytest.param(report("t", FAILED), [2, 1, 0], "tests failed", id="a failure that the exit code hides"),
        pytest.param(report("t") + "; exit 2", [3, 1, 0], "FAILED with code 2", id="broken off after its last report"),
        pytest.param(f"echo '<testsuites/>' >{REPORT}", [2, 1, 0], "it ran no test", id="empty"),
        pytest.param(f"echo '<testsu' >{REPORT}", [2, 1, 0], "cannot be read", id="cut report"),
        pytest.param(report("").replace("tests.unit.test_x", "") + "; exit 2", [3, 1, 0], "code 2", id="no names"),
        pytest.param({"run": [":", "run_pytest"]}, [2, 1, 0], "it left no report", id="no report"),
        pytest.param(report("t", SKIPPED), [2, 1, 1], "test_x.py::t is skipped", id="a new skip, and nothing else"),
        pytest.param("kill -9 $$", [2, 1, 0], "FAILED with code -9", id="killed"),
        pytest.param("kill -9 $PPID; sleep 30", [2, 1, 0], "FAILED with code -9", id="killed with what watches it"),
        pytest.param({"run": ["sleep 30"], "limit": 1}, [2, 1, 0], "stopped after 1 s", id="too long"),
        pytest.param("echo 'ssh 3' >>$AGENTLESS_TEST_COUNTS", [2, 1, 0], "ssh 3 above the ceiling", id="uncounted"),
        pytest.param(
            {"run": ["for n in 1 2 3; do echo 'guest 1' >>$AGENTLESS_TEST_COUNTS; done"], "counts": {"guest": 2}},
            [2, 1, 0],
            "guest 3 above the ceiling of 2",
            id="a count past its ceiling",
        ),
    ],
)
@pytest.mark.parametrize("place", [0, 1], ids=["first lane", "second lane"])
def test_what_goes_wrong_is_red(runner: Runner, broken: Any, numbers: list[int], reason: str, place: int) -> None:
    """In either lane, and the others run all the same."""
    stages: list[tuple[str, Any]] = [("one", "sleep 0.2; true"), ("two", "sleep 0.2; true")]
    stages.insert(place, ("broken", broken))
    code, found, said = runner(dict(stages))
    assert (code, found) == (1, numbers), said
    assert reason in said


def test_what_is_as_it_should_be(runner: Runner) -> None:
    """Counts up to their ceilings, and skips that are on the list with or without their parameters."""
    skipped = {
        "run": [
            report("t[1]", SKIPPED).replace(
                "</testcase>", '</testcase><testcase classname="tests.unit.test_x" name="u"/>'
            )
        ]
    }
    counted = {"run": ["printf 'ssh 2\\ncpu_ms 5000\\n' >>$AGENTLESS_TEST_COUNTS"], "counts": {"ssh": 2}}
    code, found, said = runner({"a": skipped, "b": counted}, skips={"tests/unit/test_x.py::t": "why not"})
    assert (code, found) == (0, [2, 0, 1]), said
    assert "ssh 2 (2)" in said
    assert "no such thing here" in said


def test_the_lines_before_the_last(runner: Runner) -> None:
    told = report("t").replace("</testcase>", '<properties><property name="turns" value="7"/></properties></testcase>')
    _code, _found, said = runner({"a": told, "b": "true"})
    assert "tests/unit/test_x.py::t: turns = 7" in said
    assert "The slowest 1 tests" in said
    assert re.search(r"^a +\d+ / 0 +\d+ / 0$", said, re.MULTILINE)


def test_nothing_tested_is_no_success(runner: Runner) -> None:
    code, found, said = runner({"a": report("t", SKIPPED)}, skips={"tests/unit/test_x.py::t": "why not"})
    assert (code, found) == (1, [0, 1, 1]), said


def test_a_lane_that_dies(runner: Runner) -> None:
    """What it held has no result, which is a failure; the other lane does the rest."""
    # A directory in place of the log: the lane cannot even begin.
    (runner.work / "logs/b.log").mkdir(parents=True)
    code, found, said = runner({"a": "sleep 0.5", "b": "true", "c": "true"})
    assert (code, found) == (1, [2, 1, 0]), said
    assert "it has no result" in said


def test_what_is_last_and_what_is_only_asked_for(runner: Runner) -> None:
    """The last stage sees which of the measured ones passed, whatever place it has in the file."""
    stages = {
        "sums": {"run": ['echo "passed: $AGENTLESS_TEST_PASSED"'], "last": True},
        "good": {"run": ['sleep 0.5; test -n "$AGENTLESS_TEST_MEASURED"'], "measured": True},
        "bad": {"run": ["exit 1"], "measured": True},
        "other": 'test -z "$AGENTLESS_TEST_MEASURED"',
    }
    code, found, said = runner(stages)
    assert (code, found) == (1, [3, 1, 0]), said
    assert "\npassed: good\n" in said


def test_unknown_stages(runner: Runner) -> None:
    process = runner.begin({"a": "true"}, options=())
    process.communicate(timeout=60)
    done = subprocess.run(
        [sys.executable, RUNNER, "--work", runner.work, f"--budget={runner.place / 'budget'}", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "nonsense" in done.stderr) == (2, True)


def test_told_to_stop(runner: Runner) -> None:
    """Stages clean up, nothing new begins, and what never ran is a failure."""
    cleans = "trap 'touch cleaned; exit 1' TERM; touch begun; while :; do sleep 0.1; done"
    process = runner.begin({"a": cleans, "b": "sleep 20", "c": "touch never"})
    until((runner.place / "begun").exists)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert said.splitlines()[-1] == "0 passed, 3 failed", said
    assert ((runner.place / "cleaned").exists(), (runner.place / "never").exists()) == (True, False)


def test_a_killed_runner_says_nothing(runner: Runner) -> None:
    process = runner.begin({"a": "touch begun; sleep 5"})
    until((runner.place / "begun").exists)
    process.kill()
    assert not CLOSING.search(process.communicate(timeout=30)[0])
    assert process.returncode == -signal.SIGKILL


def test_time_is_short(runner: Runner) -> None:
    """A stage that may be left out is left out, and named; one that may not is run."""
    stages = {
        "needed": {"run": ["true"], "seconds": 100000},
        "whole": {"run": ["touch never"], "seconds": 50, "long": True},
    }
    code, found, said = runner(stages, options=("--within", "0.5"))
    assert (code, found) == (0, [1, 0, 0]), said
    assert said.splitlines()[-4] == "left out for time: whole"
    assert not (runner.place / "never").exists()


def test_the_end_of_the_time(runner: Runner) -> None:
    """What still runs then is stopped, and red."""
    code, found, said = runner({"a": "sleep 60"}, options=("--within", "0.05"))
    assert (code, found) == (1, [0, 1, 0]), said
    assert "stopped after" in said


def test_where_a_stopped_stage_stood(runner: Runner) -> None:
    """The end of the output, which is what is kept of a long one, says it again."""
    code, _found, said = runner({"a": "echo 'in the hall'; sleep 60"}, options=("--within", "0.05"))
    assert code == 1
    assert "  in the hall" in said.splitlines()[-5:], said


def test_a_test_that_hangs(tmp_path: Path) -> None:
    """The others run, and it is told where each thread of it was; so it is when the whole is told to stop."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(HANGS)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    whole = subprocess.run([*words, "-o", "timeout=1"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 failed, 1 passed" in whole.stdout, whole.stdout
    assert "in waits_for_ever" in whole.stderr + whole.stdout

    (tmp_path / "begun").unlink()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    until((tmp_path / "begun").exists)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert "in waits_for_ever" in err
    assert "cleaned up" in out


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
