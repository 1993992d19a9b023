# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two numbered choke points: every effect is a database commit or a backend call.

Whatever a task changes passes :func:`commit` or :func:`backend`. Both count, in one sequence that starts at 1 in
each process that runs a task, so that a test can name a point and let a fault happen exactly there. The fault is
given by the environment, never by a mock::

    AGENTLESS_FAULT=3:reply_lost          the third effect of every task is done, and its answer never comes
    AGENTLESS_FAULT=4:killed@instance     the fourth effect of a task of module ``instance`` does not happen: SIGKILL
    AGENTLESS_FAULT=2:error@image/a,3:locked@image/b    in one play, another fault for each task by its option ``name``
    AGENTLESS_FAULT_TRACE=/path           append "number kind label task" for each effect

=================  ============================================================================
``killed``         the whole play (worker and controller) gets SIGKILL before the effect
``killed_after``   the same, just after the effect
``worker_killed``  only the forked worker gets SIGKILL before the effect
``reply_lost``     the effect happens, its answer is lost
``error``          the effect does not happen and fails
``locked``         database commit: the database is locked
``command_killed`` backend: the command on the host is killed at its first irreversible step
``disk_full``      backend: the host has no space left at its first irreversible step
=================  ============================================================================
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    CloudError,
    DatabaseFailed,
    HostUnreachable,
)

T = TypeVar("T")

_ON_HOST = frozenset({"command_killed", "disk_full"})
_KNOWN = _ON_HOST | {"killed", "killed_after", "worker_killed", "reply_lost", "error", "locked"}


@dataclass
class _Counter:
    """How many effects this process has had, in the name of which module, and of which resource."""

    number: int = 0
    task: str = ""
    name: str = ""


_counter = _Counter()


def begin(task: str, name: str = "") -> None:
    """Start counting at 1 again, for a task of the module named, with this option ``name``."""
    _counter.number = 0
    _counter.task, _counter.name = task, name


def commit(label: str, perform: Callable[[], T]) -> T:
    """Carry out a database commit.

    :raises DatabaseFailed: by an injected fault only; what ``perform`` raises is not touched.
    """
    return _next("commit", label).carry_out(lambda fault: perform())


def backend(label: str) -> Effect:
    """The next effect, a backend call. It is numbered here, so that calls made side by side keep their order."""
    return _next("backend", label)


@dataclass(frozen=True)
class Effect:
    """One numbered effect, and the fault that a test put there."""

    kind: str
    label: str
    fault: str | None

    def carry_out(self, perform: Callable[[str | None], T]) -> T:
        """Let it happen; ``perform`` gets the fault that it must hand to the host, or None.

        :raises DatabaseFailed, HostUnreachable, BackendFailed: by an injected fault only.
        """
        if self.fault in ("killed", "worker_killed"):
            _kill(play=self.fault == "killed")
        if self.fault in ("error", "locked"):
            raise _failure(self.kind, self.fault, self.label)
        done = perform(self.fault if self.fault in _ON_HOST else None)
        if self.fault == "killed_after":
            _kill(play=True)
        if self.fault == "reply_lost":
            raise _failure(self.kind, self.fault, self.label)
        return done


def _next(kind: str, label: str) -> Effect:
    _counter.number += 1
    _trace(kind, label)
    return Effect(kind, label, _fault_here())


def _fault_here() -> str | None:
    found = None
    for wanted in filter(None, os.environ.get("AGENTLESS_FAULT", "").split(",")):
        point, _colon, rest = wanted.partition(":")
        fault, _at, where = rest.partition("@")
        task, _slash, name = where.partition("/")
        if fault not in _KNOWN:
            raise DatabaseFailed(f"AGENTLESS_FAULT names the fault {fault!r}; known are {', '.join(sorted(_KNOWN))}.")
        if point == str(_counter.number) and task in ("", _counter.task) and name in ("", _counter.name):
            found = fault
    return found


def _failure(kind: str, fault: str, label: str) -> CloudError:
    if kind == "commit":
        text = "the database is locked" if fault == "locked" else "the connection to the database was lost"
        return DatabaseFailed(f"{label}: {text} (injected).")
    if fault == "reply_lost":
        return HostUnreachable(f"{label}: the answer never came (injected).")
    return BackendFailed(f"{label}: the call failed (injected).")


def _trace(kind: str, label: str) -> None:
    path = os.environ.get("AGENTLESS_FAULT_TRACE")
    if path:
        with open(path, "a", encoding="utf-8") as trace:
            trace.write(f"{_counter.number}\t{kind}\t{label}\t{_counter.task}\n")


def _kill(*, play: bool) -> NoReturn:
    if play:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(137)
