# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P6, P12: every task of volumes is killed at every effect, on both databases; the next run comes to the same end."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor
from tests.functional.conductor.cluster import Cluster, binaries
from tests.functional.conductor.world import FIGURES, at_once
from tests.functional.volume.kill_cases import CASES, DATA, DIGEST, FAULTS, GUEST, IMAGE, cleared, disturbed, furnished
from tests.functional.volume.kill_hosts import Directories
from tests.functional.volume.kills import Bus, must, picture, run
from tests.unit.instance_volumes.hosts import initiator
from tests.unit.resources.cloud import Cloud

pytestmark = pytest.mark.slow

HOSTS: dict[str, Any] = {"vol1": {}, "vol2": {}}
TYPES = {name: name for name in ("one", "two", "far")}
RIVALS = [("one", "c1"), ("two", "c2"), ("three", "c1")]
ROUNDS = int(4 * FIGURES)
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server."""
    tools = binaries()
    assert tools is not None, "The PostgreSQL server is missing (apt-get install postgresql-15)."
    running = Cluster(tools)
    running.sql("CREATE DATABASE template_cloud")
    Conductor.open(running.address("template_cloud")).close()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new SQLite database."""
    path = tmp_path_factory.mktemp("template") / "cloud.db"
    Conductor.open(str(path)).close()
    return path


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.param)


@pytest.fixture
def cloud(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """A cloud with two compute hosts and two storage hosts, of which the first has two backends."""
    hosts = Directories(tmp_path / "hosts", monkeypatch.setattr)
    for host in hosts.backends:
        (tmp_path / "hosts" / host / "images").mkdir()
        (tmp_path / "hosts" / host / "images" / DIGEST).write_bytes(IMAGE)
    bus = Bus(hosts, tmp_path / "compute")
    if database == "sqlite":
        shutil.copy(request.getfixturevalue("template"), tmp_path / "cloud.db")
        yield furnished(Cloud(tmp_path / "cloud.db", bus), HOSTS, TYPES)
        return
    running, name = request.getfixturevalue("cluster"), f"cloud_{next(_numbers)}"
    running.sql(f"CREATE DATABASE {name} TEMPLATE template_cloud")
    yield furnished(Cloud(running.address(name), bus), HOSTS, TYPES)
    running.sql(f"DROP DATABASE {name} WITH (FORCE)")


def faults(number: int, database: str) -> tuple[str, ...]:
    """What happens at an effect: one thing on one of the databases, in a long run (FIGURES) all on both."""
    if FIGURES > 1:
        return FAULTS
    mine = number % 2 == (database == "sqlite")
    return (FAULTS[1 + number // 2 % 2],) if mine else ()


@pytest.mark.parametrize("case", CASES)
def test_killed_anywhere(cloud: Cloud, database: str, case: str) -> None:
    """Run again it comes to the end that it has undisturbed; removed, nothing is left."""
    before, task = CASES[case]
    must(cloud, *before, task)
    reference = picture(cloud, cloud.rpc)
    assert not run(cloud, task).changed
    cleared(cloud)
    for number in itertools.count(1):
        ended = [disturbed(cloud, case, f"{number}:{fault}", reference) for fault in faults(number, database)]
        if any(each is not None and each.effects < number for each in ended):
            break  # there are not that many
    assert number > 2, "nothing was disturbed"


def test_two_ask_for_one_volume_at_the_same_moment(cloud: Cloud) -> None:
    """Again and again: one instance gets it, the other is told who has it, and has nothing claimed."""
    must(cloud, DATA)
    alone = picture(cloud, cloud.rpc)
    wishes = [{**GUEST, "name": name, "host": host, "volumes": ["data"]} for name, host in RIVALS]
    for _round in range(ROUNDS):
        ended = at_once(lambda number: run(cloud, ("instance", wishes[number])), len(RIVALS))
        assert sorted(str(each.error) for each in ended) == ["InUse"] * (len(RIVALS) - 1) + ["None"], ended
        winner = RIVALS[[each.error for each in ended].index(None)]
        assert all(repr(winner[0]) in each.msg for each in ended if each.error), ended
        there = picture(cloud, cloud.rpc)
        assert [row["name"] for row in there["instances"]] == [winner[0]]
        assert list(there["targets"].values()) == [[initiator(winner[1])]]
        assert (len(there["attachments"]), len(there["domains"]), len(there["secrets"])) == (1, 1, 1)
        must(cloud, ("instance", {"name": winner[0], "state": "absent"}))
        assert picture(cloud, cloud.rpc) == alone
