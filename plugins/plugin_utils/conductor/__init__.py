# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The conductor: the cloud's database, and every decision that must be atomic.

A library in front of a database, nothing that runs. A task opens a :class:`Conductor`, reads in :meth:`~Conductor.read`
and decides in :meth:`~Conductor.transaction`; the functions of the files beside this one take the connection first.

==============  ==================================================================
``records``     any named resource: get, find, list, insert, update, delete
``projects``    projects and the default one; ``quota`` counts what they use
``claims``      room on hosts; ``hosts`` what the scheduler knows about them
``ipam``        ports, MAC and IP addresses
``instances``   instances, their moves, their log, and how they are shown
==============  ==================================================================
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import address as addresses
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import engine as engines
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import libraries, migrate, translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import DatabaseFailed

__all__ = ["Conductor"]


class Conductor:
    """An open database. Belongs to the process that opened it: a fork opens its own.

    :ivar actor: who asks; written into the log of actions.
    :ivar shown: the database's address as messages may show it, without a password.
    """

    def __init__(self, engine: sa.Engine, *, actor: str = "") -> None:
        self.actor = actor
        self.shown = addresses.shown(engine.url)
        self._engine = engine
        self._writer: int | None = None

    @classmethod
    def open(cls, address: str | None = None, *, actor: str = "") -> Conductor:
        """Open the database at ``address`` and bring its schema up to date.

        :param address: a SQLAlchemy URL, or the path of an SQLite file; None: ``AGENTLESS_DATABASE`` of the
            environment, else a file under the home directory.
        :raises DatabaseFailed: it is unreachable, newer than this collection, or a library is missing.
        """
        libraries.require()
        url = addresses.find(address)
        with translate.database(addresses.shown(url)):
            try:
                engine = engines.create(url)
            except ImportError as exc:
                raise DatabaseFailed("The controller's Python lacks psycopg 3, which PostgreSQL needs.") from exc
            if not migrate.up_to_date(engine):
                migrate.upgrade(engine)
        return cls(engine, actor=actor)

    @contextmanager
    def transaction(self, lock: str | None = None, *, label: str | None = None) -> Iterator[sa.Connection]:
        """All or nothing: committed when the block ends, undone when it raises.

        SQLite has one writer at a time. On PostgreSQL transactions run side by side, except those that name the same
        ``lock``. An error that leaves the block is never a driver's.

        :param label: the name of this commit among the numbered effects; by default the lock's.
        :raises DatabaseFailed: the database is gone or locked. After a failed commit it is not known what it did.
        :raises Conflict: another transaction stood in the way.
        """
        if self._writer == threading.get_ident():
            raise DatabaseFailed("A transaction is open in this task already; it would wait for itself.")
        with (
            translate.database(self.shown),
            engines.writer(self._engine) as connection,
            connection.begin() as transaction,
        ):
            self._writer = threading.get_ident()
            try:
                if lock is not None and self._engine.dialect.name == "postgresql":
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key(lock)})
                yield connection
                effects.commit(label or lock or "transaction", transaction.commit)
            finally:
                self._writer = None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One snapshot to read from. It takes no lock, and the database refuses writes in it."""
        with (
            translate.database(self.shown),
            engines.reader(self._engine) as connection,
            connection.begin() as transaction,
        ):
            try:
                yield connection
            finally:
                transaction.rollback()

    def close(self) -> None:
        """Let go of the connections; the conductor can be used again, and then connects anew."""
        self._engine.dispose()

    def __enter__(self) -> Conductor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _key(lock: str) -> int:
    """The name of a lock as the signed 64-bit number that PostgreSQL wants."""
    return int.from_bytes(hashlib.blake2b(lock.encode(), digest_size=8).digest(), "big", signed=True)
