# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL cluster of the tests' own: made in a temporary directory, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any


def binaries() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps each version apart, others have them on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Cluster:
    """A running server, which loses its data when the machine does.

    PostgreSQL refuses to run as root: root lends it to the system user ``postgres``.
    """

    def __init__(self, tools: Path) -> None:
        self._tools = tools
        self._as: dict[str, Any] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="agentless-pg-"))
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self._as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {self.directory} -c listen_addresses= -c max_connections=80 -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-l", "log", "-o", options, "start")

    def address(self, database: str) -> str:
        """The URL of a database of this cluster."""
        return f"postgresql://tester@/{database}?host={self.directory}"

    def sql(self, statement: str) -> None:
        """Run a statement outside of any transaction."""
        self._run("psql", "-q", "-h", str(self.directory), "-U", "tester", "-d", "postgres", "-c", statement)

    def stop(self) -> None:
        """Stop the server at once and remove every trace of it."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.directory)

    def _run(self, tool: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._tools / tool), *arguments],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would never end
            stderr=subprocess.DEVNULL,
            check=False,
            **self._as,
        )
        if done.returncode:
            log = self.directory / "log"
            raise RuntimeError(f"{tool} failed: {log.read_text()[-2000:] if log.exists() else arguments}")
