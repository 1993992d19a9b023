# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup, through a real ansible-playbook: what it answers, what it refuses, and P5: that it writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    hosts,
    instances,
    projects,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud

ROOM: dict[str, dict[str, float]] = {
    "VCPU": {"total": 4, "reserved": 0, "allocation_ratio": 1.0},
    "MEMORY_MB": {"total": 4096, "reserved": 0, "allocation_ratio": 1.0},
    "DISK_GB": {"total": 50, "reserved": 0, "allocation_ratio": 1.0},
}
LOOKUP = "'agentless.cloud.scheduler'"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Three planned hosts in two zones, one of them in maintenance; a flavor, a group, and an instance on alpha."""
    path = tmp_path / "cloud.db"
    with Conductor.open(str(path)) as opened, opened.transaction(lock="placement") as conn:
        project = projects.ensure_default(conn)["id"]
        alpha = hosts.save(conn, "alpha", inventories=ROOM, planned=True, zone="east")
        hosts.save(conn, "beta", inventories=ROOM, planned=True, zone="west", aggregates={"fast": {"ssd": "true"}})
        hosts.save(conn, "gamma", inventories=ROOM, planned=True, zone="west", state="maintenance", reason="fan")
        small = {"vcpus": 1, "ram": 1024, "disk": 5}
        records.insert(conn, cloud.flavors, name="small", **small)
        records.insert(conn, cloud.flavors, name="huge", vcpus=64, ram=1024, disk=5)
        spread = records.insert(
            conn, cloud.server_groups, project_id=project, name="spread", policy="anti-affinity", max_per_host=1
        )
        old = {"project_id": project, "name": "old", "host_id": alpha["id"], "server_group_id": spread["id"]}
        record = instances.create(conn, {**old, "flavor": small})
        spec = placement.request_spec(conn, flavor=small, image=None, group=spread, force_host="alpha")
        placement.place(conn, [placement.Want(record["id"], spec)])
    return path


def digest(database: Path) -> str:
    """Of every row of every table."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def ask(
    where: Path, questions: dict[str, str], *, variables: dict[str, Any] | None = None, **environment: str
) -> dict[str, Any]:
    """Each question's answer, or what was said instead; all of them in one play."""
    tasks = []
    for number, question in enumerate(questions.values()):
        tasks.append(
            {
                "name": f"Question {number}",
                "ansible.builtin.set_fact": {f"answer_{number}": "{{ " + question + " | to_json }}"},
                "ignore_errors": True,
                "register": f"result_{number}",
            }
        )
    shown = (
        "{{ result_%d.msg if result_%d is failed else (answer_%d | from_json if answer_%d is string else answer_%d) }}"
    )
    said = [shown % ((number,) * 5) for number in range(len(questions))]
    tasks.append(
        {"name": "Tell", "ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": str(where / "answers")}}
    )
    tasks[-1]["vars"] = {"said": said}
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables or {}, "tasks": tasks}
    (where / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            where / "play.yml",
        ],
        env={**os.environ, "HOME": str(where), "ANSIBLE_PYTHON_INTERPRETER": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip(questions, json.loads((where / "answers").read_text()), strict=True))


def test_answers_and_refusals_write_nothing(database: Path, tmp_path: Path) -> None:
    questions = {
        "there": f"lookup({LOOKUP}, 'old')",
        "new": f"lookup({LOOKUP}, 'web1', flavor='small', zone='west')",
        "both": f"query({LOOKUP}, 'web1', 'old', flavor='small', zone='west')",
        "away": f"query({LOOKUP}, 'web1', flavor='small', server_group='spread')",
        "hint": f"query({LOOKUP}, 'web1', flavor='small', hints={{'same_host': 'old'}})",
        "count": f"query({LOOKUP}, 'web', flavor='small', count=7) | sort",
        "told": f"query({LOOKUP}, 'web1', 'old', flavor='small', explain=true)",
        "again": f"query({LOOKUP}, 'web1', 'old', flavor='small', explain=true)",
        "full": f"lookup({LOOKUP}, 'web1', flavor='huge')",
        "crowd": f"lookup({LOOKUP}, 'web', flavor='small', count=8)",
        "group": f"query({LOOKUP}, 'web1', 'web2', flavor='small', server_group='spread')",
        "no flavor": f"lookup({LOOKUP}, 'web1')",
        "misspelt": f"lookup({LOOKUP}, 'web1', flavor='smal')",
        "strange hint": f"lookup({LOOKUP}, 'web1', flavor='small', hints={{'query': 'x'}})",
        "no instance": f"lookup({LOOKUP}, 'web1', flavor='small', hints={{'same_host': 'nobody'}})",
        "no project": f"lookup({LOOKUP}, 'web1', flavor='small', project='nobody')",
        "no network": f"lookup({LOOKUP}, 'web1', flavor='small', networks=['nowhere'])",
    }
    before = digest(database)
    said = ask(tmp_path, questions, AGENTLESS_DATABASE=str(database))
    assert digest(database) == before
    assert (said["there"], said["new"], said["both"]) == ("alpha", "beta", ["beta", "alpha"])
    assert (said["away"], said["hint"]) == (["beta"], ["alpha"])
    assert said["count"] == ["alpha"] * 3 + ["beta"] * 4
    _explained(said["told"])
    assert said["told"] == said["again"]
    _refused(said)


def _explained(told: list[dict[str, Any]]) -> None:
    new, old = told
    assert new["host"] == "beta"
    assert new["seen"] == 3
    assert new["filtered"] == [{"filter": "HostEnabled", "host": "gamma", "reason": "maintenance: fan"}]
    assert [one["host"] for one in new["candidates"]] == ["beta", "alpha"]
    assert new["candidates"][0]["weights"] == {"ram": 1.0, "cpu": 1.0, "disk": 1.0}
    assert (old["host"], old["seen"], old["candidates"], old["filtered"]) == ("alpha", 0, [], [])


def _refused(said: dict[str, str]) -> None:
    expected = {
        "full": "NoValidHost: No valid host for the instance. Hosts seen: 3. HostEnabled left 2 (gamma: maintenance: "
        "fan); Vcpus left 0 (alpha: 3 vCPUs left, 64 wanted, beta: 4 vCPUs left, 64 wanted).",
        "crowd": "7 of them found room, then no host was left: ",
        "group": "1 of them found room, then no host was left: AntiAffinity (beta: has 1 of the group already).",
        "no flavor": "BadInput: web1: no such instance; to say where it would go, give a flavor.",
        "misspelt": "Nearest: small",
        "strange hint": "There is no scheduler hint 'query'; there are different_host, same_host.",
        "no instance": "names instance 'nobody', which was not found",
        "no project": "'nobody'",
        "no network": "'nowhere'",
    }
    for question, text in expected.items():
        assert text in said[question], question


@pytest.mark.parametrize("way", ["option", "variable", "template", "environment"])
def test_the_database_is_found(database: Path, tmp_path: Path, way: str) -> None:
    option = f", database='{database}'" if way == "option" else ""
    variables = {
        "variable": {"agentless_database": str(database)},
        "template": {"agentless_database": "{{ folder }}/cloud.db", "folder": str(tmp_path)},
    }.get(way)
    environment = {"AGENTLESS_DATABASE": str(database if way == "environment" else tmp_path / "another.db")}
    question = {"there": f"lookup({LOOKUP}, 'old'{option})"}
    assert ask(tmp_path, question, variables=variables, **environment) == {"there": "alpha"}


def test_no_database_and_no_project_is_made(database: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "cloud.db"
    question = {"there": f"lookup({LOOKUP}, 'old')"}
    assert f"There is no database at {missing}" in ask(tmp_path, question, AGENTLESS_DATABASE=str(missing))["there"]
    assert not missing.parent.exists()
    with sqlite3.connect(database) as connection:
        for table in ("server_group_members", "server_groups", "quotas", "instance_mappings", "projects"):
            connection.execute(f"DELETE FROM {table}")
    before = digest(database)
    assert "'default' was not found" in ask(tmp_path, question, AGENTLESS_DATABASE=str(database))["there"]
    assert digest(database) == before


def test_planned_hosts_are_answers_only_where_all_are_planned(database: Path, tmp_path: Path) -> None:
    with Conductor.open(str(database)) as opened, opened.transaction() as conn:
        hosts.save(conn, "machine", inventories={**ROOM, "VCPU": {"total": 1, "reserved": 0, "allocation_ratio": 1.0}})
    said = ask(tmp_path, {"new": f"lookup({LOOKUP}, 'web1', flavor='small')"}, AGENTLESS_DATABASE=str(database))
    assert said == {"new": "machine"}


def test_the_digest_sees_a_lookup_that_writes(database: Path) -> None:
    before = digest(database)
    with Conductor.open(str(database)) as opened, opened.transaction() as conn:
        records.update(conn, cell.hosts, records.get(conn, cell.hosts, "alpha")["id"], reason="looked at")
    assert digest(database) != before
