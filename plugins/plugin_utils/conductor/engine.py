# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections: how SQLite and PostgreSQL are opened, so that both keep the same promises.

Both: a transaction sees its own snapshot of reads, a commit is on disk when it returns, and whoever waits for a lock
gives up after :data:`PATIENCE` seconds.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import sqlite3
import time
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

# Loaded here, once in the controller's first process, rather than by create_engine in every worker.
with contextlib.suppress(ImportError):  # said by libraries.require
    importlib.import_module("sqlalchemy.dialects.sqlite.pysqlite")

PATIENCE = 30  # seconds

# The execution option that says what the next transaction on a connection is for.
WRITES = "agentless_writes"


def create(url: sa.URL) -> sa.Engine:
    """An engine that keeps one connection, and opens more only while two are in use at once."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url,
            poolclass=sa.pool.QueuePool,
            pool_size=1,
            max_overflow=-1,
            connect_args={"timeout": PATIENCE, "check_same_thread": False, "isolation_level": None},
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    options: dict[str, Any] = {"connect_timeout": 10}
    if "options" not in url.query:
        options["options"] = f"-c lock_timeout={PATIENCE}s -c timezone=UTC -c client_encoding=UTF8"
    return sa.create_engine(url, pool_size=1, max_overflow=-1, connect_args=options)


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The journal mode is not here: WAL is a property of the file, set once when it is made (see migrate).
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # The driver's own transactions start at the first write: two that have read would then both wait for the other.
    # A writer therefore takes its lock at once; a reader takes none and cannot write at all.
    if connection.get_execution_options().get(WRITES):
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        _become_writer(connection)
    else:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")


def _become_writer(connection: sa.Connection) -> None:
    """Take SQLite's write lock, with more turns than SQLite would take.

    Its own wait sleeps up to 0.1 s between two looks, and whoever happens to write again in between wins: among
    sixteen busy writers one was seen to wait for 30 s in vain. A look every few milliseconds costs next to nothing.
    """
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + PATIENCE
    pause = 0.0005
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc):
                    break
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 1.5, 0.005)
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more in SQLAlchemy's hands, which raise as they always do
    finally:
        driver.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


def writer(engine: sa.Engine) -> sa.Connection:
    """A connection whose transaction may write."""
    return engine.connect().execution_options(**{WRITES: True})


def reader(engine: sa.Engine) -> sa.Connection:
    """A connection whose transaction sees one snapshot and cannot write."""
    if engine.dialect.name == "sqlite":
        return engine.connect()
    return engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
