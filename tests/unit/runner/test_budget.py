# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runner decides: which stage comes next, how long all of it will take, and what is left out."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from agentless_runner import budget, results
from agentless_runner.budget import BudgetError, Stage, ends, fitting

ROOT = Path(__file__).resolve().parents[3]
SHELL = (ROOT / "scripts/_stages").read_text(encoding="utf-8")


def stages(*words: str) -> list[Stage]:
    """Stages written as ``name=seconds``, with ``+`` for a long one and ``@group``."""
    made = []
    for word in words:
        found = re.fullmatch(r"(\w+)=(\d+)(\+?)@?(\w*)", word)
        assert found is not None, word
        name, seconds, long, group = found.groups()
        made.append(Stage(name, name, ("true",), 60, seconds=float(seconds), long=bool(long), group=group))
    return made


@pytest.mark.parametrize(
    ("words", "factor", "busy", "want"),
    [
        ([], 1, [0, 0], 0),
        ([], 1, [30, 0], 30),
        (["a=100", "b=60", "c=30"], 1, [0, 0], 100),
        (["a=100", "b=60", "c=50"], 2, [0, 0], 220),
        (["a=100", "b=60"], 1, [50, 0], 110),
        (["a=100@x", "b=60@x", "c=30"], 1, [0, 0], 160),
        (["a=100@x", "b=60@x"], 1, [0, 0], 160),
        (["a=10@x", "b=60@x", "c=30", "d=20"], 1, [0, 0], 70),
    ],
)
def test_how_long_it_will_take(words: list[str], factor: float, busy: list[float], want: float) -> None:
    assert ends(stages(*words), factor=factor, busy=busy) == want


@pytest.mark.parametrize(
    ("words", "factor", "room", "left"),
    [
        (["a=100", "b=100+"], 1, 100, []),
        (["a=100", "b=100+", "c=10+"], 1, 100, ["c"]),
        (["a=100", "b=100+", "c=10+"], 2, 200, ["c"]),
        (["a=100", "b=120+", "c=10"], 1, 110, ["b"]),
        (["a=100", "b=100", "c=100"], 1, 10, []),
        (["a=100", "b=100+", "c=100+"], 1, 10, ["b", "c"]),
    ],
)
def test_what_is_left_out(words: list[str], factor: float, room: float, left: list[str]) -> None:
    kept, gone = fitting(stages(*words), factor=factor, busy=[0, 0], room=room)
    assert [stage.name for stage in gone] == left
    assert sorted(stage.name for stage in [*kept, *gone]) == sorted(stage.name for stage in stages(*words))


def test_what_runs_where_nothing_is_named() -> None:
    plain, asked = Stage("plain", "", (), 1), Stage("asked", "", (), 1, asked=True)
    known = budget.Budget(1.0, 2, (asked, plain))
    assert (known.usual(), known.named(["asked"])) == ((plain,), (asked,))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"title": "x", "run": ["x"], "limit": 1, "second": 3}, "unknown keys second"),
        ({"title": "x", "run": ["x"]}, "missing keys limit"),
        ({"title": "x", "run": ["x"], "limit": 1, "counts": {"shh": 3}}, "not shh"),
        (
            {"title": "x", "run": ["x"], "limit": 1, "measured": "always"},
            "true, false or long, not 'always'",
        ),
    ],
)
def test_a_budget_that_cannot_be_meant(tmp_path: Path, about: dict[str, object], said: str) -> None:
    file = tmp_path / "budget.yml"
    file.write_text(yaml.safe_dump({"yardstick": 1, "lanes": 2, "stages": {"x": about}}))
    with pytest.raises(BudgetError, match=said):
        budget.load(file)


@pytest.mark.parametrize(("measure_all", "want"), [(False, {"unit"}), (True, {"unit", "instances"})])
def test_what_is_measured(tmp_path: Path, measure_all: bool, want: set[str]) -> None:
    said: dict[str, bool | str] = {"unit": True, "instances": "long", "lab": False}
    about = {name: {"title": "x", "run": ["x"], "limit": 1, "measured": each} for name, each in said.items()}
    file = tmp_path / "budget.yml"
    file.write_text(yaml.safe_dump({"yardstick": 1, "lanes": 2, "stages": about}))
    known = budget.load(file, measure_all=measure_all)
    assert {stage.name for stage in known.stages if stage.measured} == want


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["unit", "nosuch"], "no stage is called nosuch; there are ruff yaml"),
        (["molecule", "defalt"], "no stage is called molecule-defalt"),
        (["75"], "no stage is called 75"),
        (["--within", "soon"], "--within wants a number of minutes, such as 75, not 'soon'"),
        (["--within"], "--within wants a number of minutes, such as 75, not ''"),
    ],
)
def test_wrong_words_are_refused_at_once(tmp_path: Path, words: list[str], said: str) -> None:
    """And what another run works in, this one here for example, is still there."""
    script = ["bash", str(ROOT / "scripts/test"), *words]
    environment = {**os.environ, "AGENTLESS_COLLECTIONS_TREE": str(tmp_path)}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert tmp_path.is_dir()
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_the_budget_of_this_checkout() -> None:
    """Each stage is a function of scripts/_stages, each function is a stage, and each scenario is one."""
    known = budget.load(ROOT / "tests/budget.yml")
    functions = set(re.findall(r"^(run_\w+)\(\)", SHELL, re.MULTILINE))
    assert {stage.run[0] for stage in known.stages} == functions
    scenarios = {entry.parent.name for entry in ROOT.glob("extensions/molecule/*/molecule.yml")}
    assert {stage.run[1] for stage in known.stages if stage.run[0] == "run_molecule"} == scenarios
    assert [stage.name for stage in known.stages if not stage.seconds] == []


def test_ci_runs_it_whole() -> None:
    """With a limit of time, and no stage picked."""
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[-1] == 'exec "$(dirname "$0")/../scripts/test" --within 75'


def test_every_test_is_in_a_stage() -> None:
    """No file of tests is forgotten, and none runs twice."""
    known = budget.load(ROOT / "tests/budget.yml")
    taken: list[str] = []
    for stage in known.stages:
        if stage.run[0] != "run_pytest":
            continue
        ignored = [word.partition("=")[2] for word in stage.run if word.startswith("--ignore=")]
        for place in (word for word in stage.run[2:] if word.startswith("tests/")):
            found = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("test_*.py"))
            names = [file.relative_to(ROOT).as_posix() for file in found]
            taken += [name for name in names if not any(name.startswith(each) for each in ignored)]
    every = {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(taken) == sorted(every)


def test_the_skips_of_this_checkout() -> None:
    """Each is a test that is there, and says why."""
    for test, reason in results.allowed(ROOT / "tests/skips.yml").items():
        file, _colons, name = test.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"def {re.escape(name.partition('[')[0])}\(", source), test
        assert len(reason) > 10, test
