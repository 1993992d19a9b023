# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure which lines of the collection a Python process runs, from its first import of one of them.

Python imports this file when it starts: on the controller because its directory is on PYTHONPATH, on a test host
because the lab puts it there beside the system's packages. A process that never imports our code never loads
coverage.py, which takes longer than many of these processes do. Runs on Python 3.9, with coverage.py from 6.5 on.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import os
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "ansible_collections.agentless.cloud."
ON_A_HOST = "/var/lib/agentless-coverage"
WHERE = os.environ.get("AGENTLESS_COVERAGE_DATA") or ON_A_HOST
MEASURED = [
    f"{place}/plugins/{part}/*"
    for place in ("*/ansible_collections/agentless/cloud", os.environ.get("AGENTLESS_COVERAGE_CHECKOUT"))
    for part in ("plugin_utils", "module_utils")
    if place
]
_import = builtins.__import__


def _watch(name: str, *more: Any, **options: Any) -> Any:
    """Import, and begin to measure before the first module of ours."""
    if name.startswith(OURS):
        builtins.__import__ = _import
        _begin()
    return _import(name, *more, **options)


def _begin() -> None:
    try:
        import coverage
    except ImportError:
        return
    measured = coverage.Coverage(
        data_file=os.path.join(WHERE, "data"), data_suffix=True, branch=True, include=MEASURED, config_file=False
    )
    leave = os._exit

    def keep() -> None:
        try:
            with _quiet():
                measured.stop()
                if measured.get_data():
                    measured.save()
        except Exception:  # a disk that a test has filled; the process under test goes its way
            pass

    def kept(status: int) -> NoReturn:
        keep()
        leave(status)

    atexit.register(keep)
    # Forked children end by this and skip what is registered: the workers of a play, and those of the tests.
    os._exit = kept
    with _quiet():
        measured.start()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what coverage.py would tell a person away from the output that is under test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


if os.path.isdir(WHERE):
    builtins.__import__ = _watch
