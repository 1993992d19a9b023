# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian 13's Python on a machine whose own is older.

It is unpacked into the cache: not installed, and not in a root of its own. patchelf tells the interpreter where its C
library lies, so that it runs among this machine's programs, networks, certificates and settings of pip.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from agentless_lab import cache
from agentless_lab.rootfs import remove, swap
from agentless_lab.system import cache_root, lock, require, run, write

SUITE = "trixie"
PACKAGE = "python3-venv"
RECIPE = 1  # raise it when what is done to the tree changes
KIND = "root-python"
LIBRARIES = f"usr/lib/{os.uname().machine}-linux-gnu"
WHEELS = "/usr/share/python-wheels"
PREREQUISITES = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "patchelf": "patchelf"}


def python() -> Path:
    """Return the interpreter, unpacked first when it is not there."""
    # What is unpacked carries its own place in it.
    made_of = json.dumps([RECIPE, SUITE, PACKAGE, str(cache_root())])
    target = cache.use(cache_root() / f"{KIND}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}")
    if not target.is_dir():
        require(PREREQUISITES)
        with lock(cache_root() / "python.lock") as held:
            if not target.is_dir():
                temporary = cache_root() / "part-python"
                remove(temporary)
                _unpack(temporary, held)
                _adapt(temporary, target)
                swap(temporary, target)
                cache.prune(KIND, [target])
    return _interpreter(target)


def _unpack(tree: Path, held: int) -> None:
    """Let mmdebstrap unpack the package with what it needs. It inherits the lock, as when test hosts are made."""
    argv = ["unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet", "--mode=root"]
    argv += ["--variant=extract", "--format=directory", f"--include={PACKAGE}", '--aptopt=Acquire::Languages "none"']
    argv += [SUITE, os.fspath(tree)]
    mirror = os.environ.get("AGENTLESS_LAB_MIRROR")
    argv += [mirror] if mirror else []
    run(argv, env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}, keep=[held])


def _adapt(tree: Path, place: Path) -> None:
    """Have the interpreter find its libraries, and its own pip, where the tree will lie.

    RPATH and not RUNPATH: modules that it loads look there too.
    """
    libraries = place / LIBRARIES
    loader = next((tree / LIBRARIES).glob("ld-linux-*.so.*"))
    options = ["--set-interpreter", f"{libraries / loader.name}", "--force-rpath", "--set-rpath", f"{libraries}"]
    run(["patchelf", *options, _interpreter(tree)])
    for settings in (tree / "usr/lib").glob("python3.*/_sysconfigdata_*.py"):
        write(settings, settings.read_text(encoding="utf-8").replace(WHEELS, f"{place}{WHEELS}"))


def _interpreter(tree: Path) -> Path:
    return (tree / "usr/bin/python3").resolve()
