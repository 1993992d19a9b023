# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls to many hosts side by side, with one deadline for all of them.

At most :data:`AT_ONCE` begin together. A call that has lasted for :data:`PATIENCE` only waits for its host and takes
nothing from the controller's cores, so that the next one begins beside it: silent hosts do not hold up those that
answer. Therefore the last call begins after a time that is known beforehand, and the deadline of the whole grows by
:data:`PATIENCE` for every :data:`AT_ONCE` hosts, never by their timeouts.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence

AT_ONCE = 32  # more would only queue on the controller's cores
PATIENCE = 10.0  # seconds after which a call counts as one that only waits
ALIVE = 256  # calls that have begun and not ended; each has an ssh process and three pipes
GRACE = 3.0  # seconds that a call whose time is up gets to come back


class Member:
    """One call. Its work gets the seconds that it has."""

    def __init__(self, work: Callable[[float], None], timeout: float) -> None:
        self.work, self.timeout = work, timeout
        self.began: float | None = None
        self.thread: threading.Thread | None = None


class Crowd:
    """Calls that run side by side.

    :param timeouts: of each call that will be started, in seconds from its beginning.
    """

    def __init__(self, timeouts: Sequence[float]) -> None:
        rounds = max(0, len(timeouts) - 1) // AT_ONCE
        self._seconds = max(timeouts, default=0) + rounds * PATIENCE
        self.until = time.monotonic() + self._seconds
        self._alive: list[Member] = []
        self._changed = threading.Condition()

    def start(self, work: Callable[[float], None], timeout: float) -> Member:
        """Begin a call, as soon as it is its turn, and return at once."""
        self.until = time.monotonic() + self._seconds  # what the controller did to prepare the call does not count
        member = Member(work, timeout)
        context = contextvars.copy_context()
        member.thread = threading.Thread(target=context.run, args=(self._run, member), daemon=True)
        member.thread.start()
        return member

    def wait(self, member: Member) -> bool:
        """Wait until a call has ended or its time is up; whether it has ended.

        One that has not begun by then never begins, see ``began``; one that has begun is left behind.
        """
        while member.thread is not None and member.thread.is_alive():
            left = self._deadline(member) + GRACE - time.monotonic()
            if left <= 0:
                break
            member.thread.join(min(left, 1.0))  # the deadline is nearer once the call has begun
        return member.began is not None and not (member.thread and member.thread.is_alive())

    def _deadline(self, member: Member) -> float:
        return self.until if member.began is None else min(self.until, member.began + member.timeout)

    def _run(self, member: Member) -> None:
        if not self._begin(member):
            return
        try:
            member.work(max(0.0, self._deadline(member) - time.monotonic()))
        finally:
            with self._changed:
                self._alive.remove(member)
                self._changed.notify_all()

    def _begin(self, member: Member) -> bool:
        """Wait for the turn of a call; False when that did not come in time."""
        with self._changed:
            while True:
                now = time.monotonic()
                if now >= self.until:
                    return False
                busy = [each.began for each in self._alive if each.began is not None and now - each.began < PATIENCE]
                if len(busy) < AT_ONCE and len(self._alive) < ALIVE:
                    member.began = now
                    self._alive.append(member)
                    return True
                full = len(self._alive) >= ALIVE
                self._changed.wait(self.until - now if full else min(self.until, min(busy) + PATIENCE) - now)
