# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage of the code that runs on hosts: they are made to measure it, and its data are taken before they go.

Only with AGENTLESS_COVERAGE=hosts and a directory in AGENTLESS_COVERAGE_DATA. A host gets the controller's own
coverage.py, so that no flavor needs a package for it and all data are of one version; where the compiled part does not
fit the host's Python, coverage.py does without.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from agentless_lab.host import Host
from agentless_lab.system import LabError, write

PACKAGES = "usr/lib/python3/dist-packages"
DATA = "var/lib/agentless-coverage"
BEGIN = Path(__file__).resolve().parents[2] / "measure" / "begin" / "sitecustomize.py"
MODULE = "agentless_coverage"
PATIENCE = 60  # seconds for a machine to hand over its data


def wanted() -> Path | None:
    """Return where data go; None when hosts are not to measure anything."""
    place = os.environ.get("AGENTLESS_COVERAGE_DATA")
    return Path(place) if place and os.environ.get("AGENTLESS_COVERAGE") == "hosts" else None


def prepare(host: Host) -> None:
    """Have the host measure what runs of the collection, before it boots for the first time."""
    if wanted() is None:
        return
    found = importlib.util.find_spec("coverage")
    if found is None or found.origin is None:
        raise LabError("AGENTLESS_COVERAGE=hosts needs coverage.py: use the Python of the tests (CONTRIBUTING.md)")
    packages = host.upper / PACKAGES
    skipped = shutil.ignore_patterns("__pycache__", "htmlfiles")
    shutil.copytree(Path(found.origin).parent, packages / "coverage", ignore=skipped, dirs_exist_ok=True)
    write(packages / f"{MODULE}.py", BEGIN.read_text(encoding="utf-8"))
    write(packages / f"{MODULE}.pth", f"import {MODULE}\n")
    (host.upper / DATA).mkdir(parents=True, exist_ok=True)
    (host.upper / DATA).chmod(0o1777)


def collect(hosts: Iterable[tuple[Host, list[str]]]) -> None:
    """Take the data of hosts that are about to go.

    :param hosts: each with the command that reaches it.
    """
    place = wanted()
    if place is None:
        return
    for host, ssh in hosts:
        target = place / host.lab / host.name
        if not host.machine:
            _copy(host.upper / DATA, target)
        elif host.running():
            _ask(ssh, target)


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.glob("data.*")):
        target.mkdir(parents=True, exist_ok=True)
        # A process that is just writing loses what it has; it would lose it with the host, too.
        with contextlib.suppress(OSError):
            shutil.copyfile(path, target / path.name)


def _ask(ssh: list[str], target: Path) -> None:
    """Have a machine send its data; one that does not answer keeps them."""
    try:
        done = subprocess.run([*ssh, f"tar -c -C /{DATA} ."], capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return
    if done.returncode == 0:
        target.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    (target / Path(entry.name).name).write_bytes(content.read())
