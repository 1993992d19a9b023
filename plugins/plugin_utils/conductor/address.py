# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the database is: from what the user wrote to a SQLAlchemy URL."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import DatabaseFailed

VARIABLE = "AGENTLESS_DATABASE"
DEFAULT = "~/.local/share/agentless/cloud.db"

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def find(address: str | None) -> sa.URL:
    """The database's URL: the address given, else the environment's, else the file under the home directory.

    A text without ``://`` is the path of an SQLite file.

    :raises DatabaseFailed: the text is no address, or names a database that is not supported.
    """
    wanted = address or os.environ.get(VARIABLE) or DEFAULT
    if "://" not in wanted:
        return sa.URL.create("sqlite", database=str(Path(wanted).expanduser().absolute()))
    try:
        url = sa.make_url(wanted)
    except (sa.exc.ArgumentError, ValueError) as exc:
        # The text may hold a password: it is not repeated.
        raise DatabaseFailed("The database address is not a URL of the form postgresql://user@host/name.") from exc
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise DatabaseFailed(
            f"The database {url.drivername!r} is not supported; use a file path (SQLite) or postgresql://"
        )
    if driver == "sqlite":
        return _file(url)
    return url.set(drivername=driver)


def _file(url: sa.URL) -> sa.URL:
    if not url.database or url.database == ":memory:":
        raise DatabaseFailed("SQLite in memory ends with the task; give the path of a file.")
    return sa.URL.create("sqlite", database=str(Path(url.database).expanduser().absolute()))


def shown(url: sa.URL) -> str:
    """The address as messages may show it: without password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
