# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments with one ansible-core each, kept beside those of scripts/_setup."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

from agentless_lab.rootfs import remove
from agentless_lab.system import cache_root, lock, run

from tests.cores import unpacked

LOCKS = Path(__file__).resolve().parents[1] / "locks"
SYSTEM = Path("/usr/bin/python3")
SERIES = {"oldest": (3, 10), "newest": (3, 12)}  # the Python that each wants at least
WEEK = 7 * 24 * 3600


def interpreter(series: str) -> Path:
    """Return a Python that is new enough: the machine's, else Debian 13's."""
    if SYSTEM.exists():
        version = run([SYSTEM, "-c", "import sys; print(*sys.version_info[:2])"]).split()
        if tuple(int(part) for part in version) >= SERIES[series]:
            return SYSTEM
    return unpacked.python()


def programs(series: str) -> Path:
    """Return the directory of the programs of an ansible-core, made first when it is not there.

    An environment is made in its place, since its programs name their interpreter; a mark says that it is whole.
    """
    kept = cache_root().with_name("agentless-cloud")
    python, locks = interpreter(series), [LOCKS / f"{name}.txt" for name in ("build", series)]
    made_of = [str(python), run([python, "-VV"]), *(lock.read_text(encoding="utf-8") for lock in locks)]
    target = kept / f"core-{series}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]}"
    with lock(kept / f"core-{series}.lock"):
        if not (target / ".complete").exists():
            remove(target)
            run([python, "-m", "venv", target])
            for each in locks:  # setuptools is there before what it builds: pip would fetch one, and ask for no hash
                pip = [target / "bin" / "python", "-m", "pip"]
                run([*pip, "install", "-q", "--require-hashes", "--no-build-isolation", "-r", each])
            (target / ".complete").touch()
            if series == "newest":
                _mention_newer(target)
        (target / ".used").touch()
        for other in kept.glob(f"core-{series}-*"):
            mark = other / ".used"
            if other != target and (not mark.exists() or time.time() - mark.stat().st_mtime > WEEK):
                shutil.rmtree(other)
    return target / "bin"


def path(directory: Path) -> str:
    """Return a PATH on which these programs come first."""
    return f"{directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _mention_newer(target: Path) -> None:
    """Say so where the package index has a newer ansible-core than was taken."""
    said = run([target / "bin" / "python", "-m", "pip", "index", "versions", "ansible-core"], check=False)
    there, _newline, listed = said.partition("\n")
    if there and f"INSTALLED: {there.split('(')[-1].rstrip(')')}" not in " ".join(listed.split()):
        print(f"There is a newer one: {there}. docs/testing.md says how to take it.", file=sys.stderr)
