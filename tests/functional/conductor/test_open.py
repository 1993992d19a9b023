# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening a database: migrations, what they leave, and what goes wrong."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    address,
    engine,
    libraries,
    migrate,
    projects,
    quota,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import DatabaseFailed
from tests.functional.conductor.world import at_once


def test_thirty_processes_open_an_empty_database_at_once(empty: str) -> None:
    def work(_number: int) -> str:
        opened = Conductor.open(empty)
        with opened.transaction() as conn:
            return str(projects.ensure_default(conn)["id"])

    assert len(set(at_once(work, 30))) == 1


def test_the_heads_are_those_of_the_files() -> None:
    for schema, head in migrate.HEADS.items():
        folder = str(migrate.MIGRATIONS / schema)
        assert ScriptDirectory(folder, version_locations=[folder]).get_heads() == [head]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index ix_inventories_room")
@pytest.mark.parametrize("schema", ["cloud", "cell"])
def test_migrations_make_the_tables_of_the_schema(conductor: Conductor, schema: str) -> None:
    metadata = {"cloud": cloud.metadata, "cell": cell.metadata}[schema]
    with conductor.transaction() as conn:
        mine = set(metadata.tables)
        context = MigrationContext.configure(
            conn,
            opts={
                "compare_server_default": False,
                "include_name": lambda name, kind, _parents: kind != "table" or name in mine,
            },
        )
        assert compare_metadata(context, metadata) == []
        inspector = sa.inspect(conn)
        for table in metadata.tables.values():
            wanted = {str(rule.name) for rule in table.constraints if isinstance(rule, sa.CheckConstraint)}
            found = {rule["name"] for rule in inspector.get_check_constraints(table.name)}
            assert found == {name if name.startswith("ck_") else f"ck_{table.name}_{name}" for name in wanted}


def test_a_new_database_has_the_default_project_and_cell_also_for_readers(conductor: Conductor) -> None:
    with conductor.read() as conn:
        project = projects.ensure_default(conn)
        assert quota.usage(conn, project["id"])["instances"] == {"limit": quota.DEFAULTS["instances"], "used": 0}
        assert records.get(conn, cloud.cells, "default")["address"] is None


def test_a_database_of_the_future_is_refused(empty: str) -> None:
    opened = Conductor.open(empty)
    with opened.transaction() as conn:
        conn.execute(sa.text("UPDATE agentless_cell_version SET version_num = 'cell_0999'"))
    opened.close()
    with pytest.raises(DatabaseFailed, match=r"version cell_0999; this collection knows up to cell_0002\. Update"):
        Conductor.open(empty)


def test_a_database_of_two_steps_before_is_brought_forward(empty: str) -> None:
    opened = Conductor.open(empty)
    with opened.transaction() as conn:
        for table in reversed(cloud.metadata.sorted_tables):
            if table.name.startswith("volume"):
                table.drop(conn)
        conn.execute(sa.text("ALTER TABLE images DROP COLUMN stores"))
        conn.execute(sa.text("UPDATE agentless_cloud_version SET version_num = 'cloud_0002'"))
    opened.close()
    with Conductor.open(empty).read() as conn:
        assert records.listing(conn, cloud.volumes) == []
        assert "stores" in {column["name"] for column in sa.inspect(conn).get_columns("images")}


def test_nothing_heavy_is_loaded_when_there_is_nothing_to_do(migrated_sqlite: Path) -> None:
    program = (
        "import sys; from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor;"
        f"Conductor.open({str(migrated_sqlite)!r}); print(sorted({{'alembic', 'mako', 'psycopg'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_opening_is_cheap(migrated_sqlite: Path) -> None:
    def once() -> float:
        started = time.perf_counter()
        Conductor.open(str(migrated_sqlite)).close()
        return time.perf_counter() - started

    assert min(once() for _number in range(40)) < 0.02  # the least of many: other work on the machine only adds


def test_the_file_is_the_owners_alone_and_reading_leaves_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a b%20c" / "cloud.db"
    Conductor.open(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    opened = Conductor.open(str(path))
    with opened.read() as conn:
        projects.ensure_default(conn)
    opened.close()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["cloud.db"]


def test_the_promises_of_sqlite_are_kept(tmp_path: Path) -> None:
    with Conductor.open(str(tmp_path / "cloud.db")).read() as conn:
        found = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 30_000}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mysql://root@localhost/cloud", "'mysql' is not supported"),
        ("sqlite://", "give the path of a file"),
        (":hunter2@x://y", "not a URL"),
        ("postgresql://u:hunter2@127.0.0.1:1/x", r"The database postgresql://u:\*\*\*@127.0.0.1:1/x failed"),
        ("/proc/nowhere/cloud.db", "cannot be used"),
        ("/tmp", "unable to open"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_without_its_password(given: str, message: str) -> None:
    with pytest.raises(DatabaseFailed, match=message) as caught:
        Conductor.open(given)
    assert "hunter2" not in caught.value.msg


def test_where_the_database_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AGENTLESS_DATABASE", raising=False)
    assert address.find(None).database == str(tmp_path / ".local/share/agentless/cloud.db")
    monkeypatch.setenv("AGENTLESS_DATABASE", "postgresql://db/cloud")
    assert address.find(None).drivername == "postgresql+psycopg"
    assert address.find("~/x.db").database == str(tmp_path / "x.db")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_missing", ["SQLAlchemy>=2.0"])
    with pytest.raises(DatabaseFailed, match="lacks SQLAlchemy"):
        Conductor.open("/nowhere")


def test_two_who_wait_for_one_lock(conductor: Conductor, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 1)
    other = Conductor.open(address)
    with conductor.transaction(lock="placement"):
        with pytest.raises(DatabaseFailed, match="locked by another run"), other.transaction(lock="placement"):
            pass
        with other.read() as conn:  # a reader is never kept waiting
            assert projects.ensure_default(conn)
    with other.transaction(lock="placement") as conn:
        assert projects.ensure_default(conn)


def test_different_locks_run_side_by_side_on_postgresql_only(conductor: Conductor, address: str) -> None:
    if conductor.shown.startswith("postgresql"):
        with conductor.transaction(lock="one"), Conductor.open(address).transaction(lock="two") as conn:
            assert projects.ensure_default(conn)


def test_reading_cannot_write_and_a_transaction_does_not_nest(conductor: Conductor) -> None:
    with pytest.raises(DatabaseFailed, match=r"readonly|read-only"), conductor.read() as conn:
        records.insert(conn, cloud.flavors, name="f", vcpus=1, ram=1, disk=1)
    with pytest.raises(DatabaseFailed, match="wait for itself"), conductor.transaction(), conductor.transaction():
        pass
    with conductor.transaction() as conn, conductor.read() as other:
        records.insert(conn, cloud.flavors, name="f", vcpus=1, ram=1, disk=1)
        assert records.find(other, cloud.flavors, "f") is None


@pytest.mark.parametrize(("fault", "written"), [("locked", False), ("error", False), ("reply_lost", True)])
def test_a_commit_passes_the_choke_point(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, written: bool
) -> None:
    from ansible_collections.agentless.cloud.plugins.plugin_utils import effects

    effects.begin("flavor")
    monkeypatch.setenv("AGENTLESS_FAULT", f"2:{fault}@flavor")
    monkeypatch.setenv("AGENTLESS_FAULT_TRACE", str(tmp_path / "trace"))
    with conductor.transaction(label="first") as conn:
        records.insert(conn, cloud.flavors, name="first", vcpus=1, ram=1, disk=1)
    with pytest.raises(DatabaseFailed, match="second"), conductor.transaction(label="second") as conn:
        records.insert(conn, cloud.flavors, name="second", vcpus=1, ram=1, disk=1)
    monkeypatch.delenv("AGENTLESS_FAULT")
    with conductor.transaction("placement") as conn:
        assert records.find(conn, cloud.flavors, "first")
        assert bool(records.find(conn, cloud.flavors, "second")) == written
    trace = (tmp_path / "trace").read_text()
    assert trace == "1\tcommit\tfirst\tflavor\n2\tcommit\tsecond\tflavor\n3\tcommit\tplacement\tflavor\n"


def test_a_fork_opens_its_own(address: str) -> None:
    def work(number: int) -> int:
        with Conductor.open(address).transaction() as conn:
            records.insert(conn, cloud.flavors, name=f"f{number}", vcpus=1, ram=1, disk=1)
        return os.getpid()

    assert len(set(at_once(work, 8))) == 8
    with Conductor.open(address).read() as conn:
        assert len(records.listing(conn, cloud.flavors)) == 8
