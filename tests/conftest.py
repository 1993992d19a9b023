# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes ``ansible_collections.agentless.cloud`` importable from a checkout at any path.

Python and Ansible both want the collection below ``ansible_collections/agentless/cloud``. Where the checkout does not
lie there, a tree with one symbolic link stands in for it, for this process and for every child it starts.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def _tree() -> Path:
    given = os.environ.get("AGENTLESS_COLLECTIONS_TREE")
    if given:
        return Path(given)
    if CHECKOUT.parts[-3:] == ("ansible_collections", "agentless", "cloud"):
        return CHECKOUT.parents[2]
    root = Path(tempfile.mkdtemp(prefix="agentless-tree-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    link = root / "ansible_collections" / "agentless" / "cloud"
    link.parent.mkdir(parents=True)
    link.symlink_to(CHECKOUT)
    return root


def _prepend(variable: str, entry: str) -> None:
    entries = [part for part in os.environ.get(variable, "").split(os.pathsep) if part and part != entry]
    os.environ[variable] = os.pathsep.join([entry, *entries])


TREE = str(_tree())
if TREE not in sys.path:
    sys.path.insert(0, TREE)
_prepend("PYTHONPATH", TREE)
_prepend("ANSIBLE_COLLECTIONS_PATH", TREE)
_prepend("PATH", str(Path(sys.executable).parent))
# A test never meets the database of the person who runs it.
os.environ.pop("AGENTLESS_DATABASE", None)
os.environ["AGENTLESS_COLLECTIONS_TREE"] = TREE
os.environ.setdefault("ANSIBLE_INJECT_FACT_VARS", "False")  # as the roles demand


def pytest_configure(config: pytest.Config) -> None:
    """Have a run that is told to stop say where it is, and then clean up like one that is interrupted."""
    log = os.dup(2)  # tests that run have another one, whose content goes with them

    def told(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            faulthandler.dump_traceback(log)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, told)
