# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema brought up to date, once, whoever comes first.

In almost every task there is nothing to do: one read compares the versions recorded in the database with
:data:`HEADS`, and Alembic is not even imported. Else one process migrates under a lock while the others wait: SQLite
by a lock on the directory that holds the file (no further file is left there), PostgreSQL by an advisory lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import engine as engines
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import seed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import DatabaseFailed

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

# The newest version of each schema. A test holds them against the files under migrations/.
HEADS = {"cloud": "cloud_0004", "cell": "cell_0002"}

MIGRATIONS = Path(__file__).parent / "migrations"

_VERSIONS = "SELECT (SELECT version_num FROM agentless_cloud_version), (SELECT version_num FROM agentless_cell_version)"
_LOCK = 0x6167656E746C6573  # "agentles" as a 64-bit number: the advisory lock of migrations


def up_to_date(engine: sa.Engine) -> bool:
    """Whether there is nothing to do; also False where there is no schema yet.

    :raises DatabaseFailed: the schema is newer than this collection.
    """
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        return False
    with engines.reader(engine) as connection:
        try:
            found = connection.exec_driver_sql(_VERSIONS).one()
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as exc:
            if "agentless_c" in str(exc.orig):  # the version tables do not exist; anything else is a real failure
                return False
            raise
    current = dict(zip(HEADS, found, strict=True))
    for schema, version in current.items():
        _refuse_newer(schema, version)
    return current == HEADS


def upgrade(engine: sa.Engine) -> None:
    """Bring both schemas to :data:`HEADS` in one transaction, and see to it that the default project is there.

    :raises DatabaseFailed: the schema is newer than this collection, or Alembic is missing.
    """
    with _alone(engine), engines.writer(engine) as connection, connection.begin() as transaction:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if _recorded(connection) == HEADS:  # another process was first
            return
        for schema in HEADS:
            _upgrade(connection, schema)
        seed.plant(connection)
        effects.commit("migrate", transaction.commit)


def _recorded(connection: sa.Connection) -> dict[str, str | None]:
    inspector = sa.inspect(connection)
    found: dict[str, str | None] = {}
    for schema in HEADS:
        table = f"agentless_{schema}_version"
        there = inspector.has_table(table)
        found[schema] = connection.exec_driver_sql(f"SELECT version_num FROM {table}").scalar() if there else None
    return found


def _upgrade(connection: sa.Connection, schema: str) -> None:
    try:
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory
    except ImportError as exc:
        raise DatabaseFailed("The database needs a migration, and the controller's Python lacks alembic.") from exc

    # Without an ini file and an env.py: all they would say is said here.
    folder = str(MIGRATIONS / schema)
    script = ScriptDirectory(folder, version_locations=[folder])

    def steps(revision: str, _context: MigrationContext) -> list[object]:
        return list(script._upgrade_revs("head", revision))

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=connection,
            version_table=f"agentless_{schema}_version",
            transactional_ddl=True,
        )
        environment.run_migrations()


def _refuse_newer(schema: str, version: str | None) -> None:
    known = HEADS[schema]
    number = re.fullmatch(rf"{schema}_(\d{{4}})", version or f"{schema}_0000")
    if number is None or int(number[1]) > int(known.rsplit("_", 1)[1]):
        raise DatabaseFailed(
            f"The {schema} database has version {version}; this collection knows up to {known}. "
            "Update the collection on this controller.",
            version=version,
            known=known,
        )


@contextlib.contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """On SQLite: hold the lock on the file's directory, and see to it that the file is ours alone and in WAL mode."""
    if engine.dialect.name != "sqlite":
        yield
        return
    path = Path(engine.url.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise DatabaseFailed(f"The directory of the database {path} cannot be used: {exc.strerror}.") from exc
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        _create(path)
        with engines.reader(engine) as connection:
            # Outside of any transaction, hence on the driver's own connection.
            connection.connection.cursor().execute("PRAGMA journal_mode = WAL")
        yield
    finally:
        os.close(directory)


def _create(path: Path) -> None:
    try:
        # SQLite gives its -wal and -shm files the mode of the file itself.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as exc:
        raise DatabaseFailed(f"The database {path} cannot be opened: {exc.strerror}.") from exc
