# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A compute host loses its power: the next one is tried, nothing stays claimed on it, and nothing is forgotten."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from .cloud import LAB, Cloud

pytestmark = pytest.mark.lab

USUAL = "-C -o ControlMaster=auto -o ControlPersist=60s"
ALIVE = "-o ServerAliveInterval=1 -o ServerAliveCountMax=3"
BOOT = {"flavor": "none", "image": "halt", "networks": ["front"], "timeout": 120}


def lab(verb: str, cloud: Cloud, host: str) -> None:
    subprocess.run([LAB, verb, cloud.name, host], check=True, capture_output=True)


@pytest.fixture
def preferred(clean: Cloud, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The cloud with k2 as the host that the scheduler likes best. It has its power back afterwards.

    That a host is dead is seen after 3 seconds, where 10 to 25 are usual: each task notices it anew, several times.
    """
    monkeypatch.setenv("ANSIBLE_TIMEOUT", "3")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", f"{USUAL} {ALIVE}")
    monkeypatch.setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", str(tmp_path / "cp"))  # nobody's connection from before
    full = {"name": "k1", "reserved": {"ram": 8192}}
    assert clean.tasks({"agentless.cloud.host": full}).returncode == 0
    yield clean
    lab("start", clean, "k2")
    played = clean.tasks({"agentless.cloud.host": {"name": "k1", "reserved": {"ram": 0}}})
    assert played.returncode == 0, played.output


def used(cloud: Cloud, host: str) -> dict[str, int]:
    query = "SELECT resource_class, used FROM inventories i JOIN hosts h ON h.id = i.host_id WHERE h.name = "
    return dict(cloud.ask(f"{query}'{host}'"))


def test_the_next_host_takes_it(preferred: Cloud) -> None:
    cloud = preferred
    made = cloud.instance(name="stays")
    assert made.last["instance"]["compute_host"] == "k2", made.output
    before = used(cloud, "k2")

    lab("kill", cloud, "k2")
    booted = cloud.instance(name="fresh", options=("-v",))
    assert booted.returncode == 0, booted.output
    assert "fresh: k2 failed" in booted.output
    assert booted.last["instance"]["compute_host"] == "k1"
    assert used(cloud, "k2") == before
    key = booted.last["instance"]["id"]
    claims = cloud.ask(
        f"SELECT DISTINCT h.name FROM allocations JOIN hosts h ON h.id = host_id WHERE consumer_id = '{key}'"
    )
    assert claims == [("k1",)]
    assert cloud.ask(f"SELECT host FROM ports WHERE instance_id = '{key}'") == [("k1",)]
    assert cloud.host("k1", "virsh list --uuid").split() == [key]

    refused = cloud.tasks(
        {"agentless.cloud.instance": {**BOOT, "name": "bound", "host": "k2"}, "ignore_errors": True},
        {"agentless.cloud.instance": {"name": "stays", "state": "absent"}, "ignore_errors": True},
        {"agentless.cloud.instance": {"name": "fresh", "state": "absent"}, "ignore_errors": True},
    )
    for result in refused.results:
        assert result["error"] == "HostUnreachable", result
        assert "k2" in result["msg"], result
    # What may still be on k2 is not forgotten, and what is not running there claims nothing.
    assert dict(cloud.ask("SELECT name, status FROM instances")) == {
        "stays": "DELETING",
        "fresh": "DELETING",
        "bound": "ERROR",
    }
    assert used(cloud, "k2") == before

    lab("start", cloud, "k2")
    gone = cloud.tasks(
        *({"agentless.cloud.instance": {"name": name, "state": "absent"}} for name in ("stays", "fresh", "bound"))
    )
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_a_host_that_comes_back_runs_its_guests_again(preferred: Cloud) -> None:
    cloud = preferred
    made = cloud.instance(name="back")
    assert made.last["instance"]["compute_host"] == "k2", made.output
    lab("kill", cloud, "k2")
    asked = cloud.instance(name="back")
    assert asked.last.get("error") == "HostUnreachable", asked.output
    assert asked.last["host"] == "k2"
    lab("start", cloud, "k2")
    again = cloud.tasks(
        {"agentless.cloud.instance": {**BOOT, "name": "back"}}, {"agentless.cloud.instance": {**BOOT, "name": "back"}}
    )
    assert [result["changed"] for result in again.results] == [True, False], again.output
    assert cloud.domains() == [("k2", made.last["instance"]["id"])]
    assert cloud.instance(name="back", state="absent").returncode == 0
    assert cloud.left_over() == {}
