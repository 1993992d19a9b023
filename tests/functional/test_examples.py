# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example in the documentation runs.

Here: those that need no machine. The molecule scenario ``default`` runs those of machines, ``volumes`` those that need
a storage host.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.functional.examples_playbook import (
    LIVE,
    PLANNED,
    PREFIX,
    ROOT,
    STORED,
    WITH_STORAGE,
    adapted,
    again,
    call,
    documented,
    examples,
    parted,
    playbook,
    settings,
)

RECAP = re.compile(r"ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Someone's home with the files that the examples name."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(ssh / "id_ed25519")], check=True
    )
    for name in ("operators.pub", "ada.pub"):
        (tmp_path / name).write_text((ssh / "id_ed25519.pub").read_text())
    return tmp_path


def start(home: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A program of Ansible, in that home, on a database of its own."""
    environment = {
        **os.environ,
        "HOME": str(home / "home"),
        "AGENTLESS_DATABASE": str(home / "cloud.db"),
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    argv = [str(Path(sys.executable).with_name(program)), *options]
    return subprocess.run(
        argv, cwd=home, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def run(home: Path, name: str, plays: list[dict[str, Any]], *options: str) -> tuple[int, int, str]:
    """ansible-playbook over these plays: tasks that were ok, tasks that changed something, and what it said."""
    file = home / name
    file.write_text(yaml.safe_dump(plays, sort_keys=False))
    inventory = home / "hosts.yml"
    inventory.write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    done = start(home, "ansible-playbook", "-i", str(inventory), str(file), *options)
    said = done.stdout + done.stderr
    recap = RECAP.search(said)
    assert done.returncode == 0, said
    assert recap, said
    return int(recap[1]), int(recap[2]), said


def test_examples_without_a_machine_run(home: Path) -> None:
    plays = playbook(PLANNED)
    ok, changed, _said = run(home, "examples.yml", plays, "--diff")
    assert ok >= len(plays[0]["tasks"])
    assert changed


def test_the_examples_of_the_inventory_are_read(home: Path) -> None:
    run(home, "empty.yml", playbook(["project", "flavor"], removing=False))
    sources = [part for part in re.split(r"(?m)^---$", documented("instances", "inventory")) if yaml.safe_load(part)]
    assert sources
    for number, text in enumerate(sources):
        source = home / f"{number}.instances.yml"
        source.write_text(text)
        done = start(home, "ansible-inventory", "-i", str(source), "--list")
        assert done.returncode == 0, done.stderr
        assert "Failed to parse" not in done.stderr
        assert "_meta" in json.loads(done.stdout)


def test_every_public_module_is_run_somewhere() -> None:
    modules = {
        path.stem.removesuffix("_info")
        for path in (ROOT / "plugins/modules").glob("*.py")
        if not path.stem.endswith("_backend")
    }
    # The example of audit is what its playbook does, which the scenario volumes runs.
    assert modules - {"__init__"} == {*PLANNED, *LIVE, *STORED, "audit"}


def test_every_example_is_in_one_of_the_playbooks() -> None:
    """Once where it changes something; who is left over is in none, and would be read by nobody."""
    plays = [*playbook(PLANNED), *playbook(LIVE, machines="cloud_compute"), *playbook(WITH_STORAGE, storage=True)]
    told = [json.dumps(task, sort_keys=True) for play in plays for task in play["tasks"]]
    modules = [*PLANNED, *LIVE, *STORED]
    tasks = [task for module in modules for task in (*examples(module), *examples(f"{module}_info"))]
    written = [json.dumps(task, sort_keys=True) for task in [*tasks, *examples("scheduler", "lookup")]]
    assert {task: told.count(task) for task in written} == dict.fromkeys(written, 1)


@pytest.mark.parametrize(
    ("scenario", "options"), [("shared", "when: molecule_yml.scenario.name == 'default'"), ("volumes", "--storage")]
)
def test_the_scenarios_run_them(scenario: str, options: str) -> None:
    verified = (ROOT / f"extensions/molecule/{scenario}/verify.yml").read_text()
    assert "examples.yml" in verified
    assert options in verified


@pytest.mark.parametrize("module", [*PLANNED, *LIVE, *STORED])
def test_examples_are_found(module: str) -> None:
    assert any(call(task)[0] == module for task in examples(module))
    assert any(call(task)[0] == f"{module}_info" for task in examples(f"{module}_info"))


def test_a_second_run_that_changes_something_fails(home: Path) -> None:
    task = {"name": "It changes every time", "ansible.builtin.command": "true", f"{PREFIX}x": None}
    first, second = again(task)
    assert first is task
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{**second}]}
    play["tasks"][0].pop(f"{PREFIX}x")
    with pytest.raises(AssertionError, match="again"):
        run(home, "changes.yml", [play])


def test_options_are_replaced_only_where_given() -> None:
    task = {"name": "x", f"{PREFIX}instance": {"name": "a", "count": 10}}
    changed = adapted(task, settings(["instance.count=2", "instance.host=b", "image.filename=/c"]))
    assert changed == {"name": "x", f"{PREFIX}instance": {"name": "a", "count": 2}}


def test_sizes_are_divided_and_stay() -> None:
    task = {"name": "x", f"{PREFIX}instance": {"name": "a", "boot_volume": {"size": 20, "volume_type": "b"}}}
    changed = adapted(task, {}, smaller=10)
    assert changed == {"name": "x", f"{PREFIX}instance": {"name": "a", "boot_volume": {"size": 2, "volume_type": "b"}}}
    task = {"name": "x", f"{PREFIX}volume": {"name": "a", "size": 1, "count": 4}}
    assert adapted(task, {}, smaller=10) == task


def test_removals_wait_where_nothing_follows_them() -> None:
    made, gone = ({"name": "x", f"{PREFIX}volume": {"name": "a", "state": state}} for state in ("present", "absent"))
    assert parted([made, gone, made, gone, gone]) == ([made, gone, made], [gone, gone])
    assert parted([]) == ([], [])
