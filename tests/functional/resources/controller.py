# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller of its own for a test: a home, a database, an inventory, and the real commands of Ansible."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
HOSTS = {
    "all": {
        "hosts": {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}},
        "children": {"cloud_image": {"hosts": {"store1": {"ansible_connection": "local"}}}},
    }
}
# Private directories of an image host for one command: nothing of the machine that runs the test is touched.
PRIVATE = """set -e
mount --bind "$1/etc" /etc/agentless
mount --bind "$1/lib" /var/lib/agentless
shift
exec "$@"
"""
Result = dict[str, Any]


@dataclass
class Controller:
    """Where a test's plays run.

    :param host: a directory that stands for the image host's; None: there is none.
    """

    home: Path
    host: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    said: str = ""

    @property
    def database(self) -> Path:
        return self.home / "cloud.db"

    def play(
        self, tasks: Sequence[Mapping[str, Any]], *options: str, fails: bool = False, **keywords: Any
    ) -> list[Result]:
        """Run tasks as one play on localhost; the result of each task that ran."""
        file = self.home / "play.yml"
        plays = [{"hosts": "localhost", "gather_facts": False, **keywords, "tasks": list(tasks)}]
        file.write_text(yaml.safe_dump(plays, sort_keys=False))
        told = self.home / "told"
        told.unlink(missing_ok=True)
        inventory = self.home / "hosts.yml"
        inventory.write_text(yaml.safe_dump(HOSTS))
        done = self.command("ansible-playbook", "-i", str(inventory), str(file), *options)
        assert (done.returncode != 0) is fails, self.said
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []

    def command(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Another ansible-core than that of the tests can be named by the directory of its programs.
        programs = Path(os.environ.get("AGENTLESS_TEST_CORE") or Path(sys.executable).parent)
        argv = [str(programs / program), *arguments]
        if self.host is not None:
            argv = ["unshare", "-m", "sh", "-c", PRIVATE, "sh", str(self.host), *argv]
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "AGENTLESS_DATABASE": str(self.database),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "told",
            "TOLD": str(self.home / "told"),
            **self.environment,
        }
        done = subprocess.run(
            argv,
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            timeout=120,
        )
        self.said = done.stdout + done.stderr
        return done

    def digest(self) -> str:
        """What is in the database, as one hash."""
        with sqlite3.connect(self.database) as db:
            return hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()

    def stored(self) -> list[str]:
        """Everything in the image host's store."""
        root = (self.host or self.home) / "lib" / "image-store"
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def with_image_host(home: Path) -> Controller:
    """A controller whose image host is a directory below its home."""
    host = home / "host"
    for name in ("etc", "lib"):
        (host / name).mkdir(parents=True)
    # Servers of these tests are on loopback, which the operator of the store has to allow.
    (host / "etc/image_imports.json").write_text(json.dumps({"allowed": ["127.0.0.1/32"]}))
    return Controller(home, host)


def can_have_private_directories() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None
