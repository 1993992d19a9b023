# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases to test on: every test that asks for ``address`` or ``conductor`` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor
from tests.functional.conductor.cluster import Cluster, binaries

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    tools = binaries()
    if tools is None:
        pytest.fail(
            "The PostgreSQL server is missing (apt-get install postgresql-15); or run with -m 'not postgresql'."
        )
    running = Cluster(tools)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "cloud.db"
    Conductor.open(str(path)).close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(cluster: Cluster) -> str:
    cluster.sql("CREATE DATABASE template_cloud")
    Conductor.open(cluster.address("template_cloud")).close()
    return "template_cloud"


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(params=BOTH)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any schema."""
    if request.param == "sqlite":
        yield str(tmp_path / "new" / "cloud.db")
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = f"empty_{next(_numbers)}"
    cluster.sql(f"CREATE DATABASE {name}")
    yield cluster.address(name)
    cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=BOTH)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with the newest schema and nothing else in it than what a new one has."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite")
        shutil.copy(template, tmp_path / "cloud.db")
        yield str(tmp_path / "cloud.db")
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    template_name: str = request.getfixturevalue("migrated_postgresql")
    name = f"cloud_{next(_numbers)}"
    cluster.sql(f"CREATE DATABASE {name} TEMPLATE {template_name}")
    yield cluster.address(name)
    cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def conductor(address: str) -> Iterator[Conductor]:
    """An open, new database."""
    opened = Conductor.open(address, actor="tester")
    yield opened
    opened.close()
