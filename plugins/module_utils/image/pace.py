# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection whose other end has to keep up: time-outs of sockets begin anew with every byte, these do not."""

from __future__ import annotations

import io
import socket
import time
from typing import Any

STALLED = 60.0  # seconds in which the headers must come, and then ...
SLOWEST = 16 << 10  # ... so many bytes of the file for each of them
LONGEST = 6 * 3600.0  # seconds for all of it, redirects included
BESIDE = 4 << 20  # bytes that may come before the file, or between two pieces of it


class OutOfBounds(OSError):
    """The other end is too slow, or sends too much that is not asked for."""


class Line:
    """What HTTP needs of a socket.

    :param ends: when all must have come, on the monotonic clock.
    """

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends
        self._since = time.monotonic()
        self._useful = 0
        self._raw = 0

    def sendall(self, data: bytes) -> None:
        """Send a request, which is short."""
        self._sock.settimeout(STALLED)
        self._sock.sendall(data)

    def makefile(self, _mode: str = "rb", _buffering: int | None = None) -> io.BufferedReader:
        """What comes, as a file."""
        return io.BufferedReader(_Stream(self))

    def close(self) -> None:
        """Leave the socket open: HTTP closes it before the answer is read. It is closed by whoever made it."""

    def brought(self, size: int) -> None:
        """Count bytes of the file itself."""
        self._raw = 0
        self._useful += size
        if self._useful >= SLOWEST * STALLED:
            self._useful, self._since = 0, time.monotonic()

    def receive(self, buffer: Any) -> int:
        """Read what is there into a buffer.

        :raises OutOfBounds: too little has come in the time that it had, or too much beside the file.
        """
        now = time.monotonic()
        left = min(self._since + STALLED, self._ends) - now
        try:
            if left <= 0:
                raise socket.timeout
            self._sock.settimeout(left)
            count = self._sock.recv_into(buffer)
        except socket.timeout as exc:
            if time.monotonic() >= self._ends:
                raise OutOfBounds(f"it takes longer than {LONGEST / 3600:g} hours") from exc
            raise OutOfBounds(f"it is too slow, less than {SLOWEST >> 10} KiB/s over {STALLED:g} s") from exc
        self._raw += count
        if self._raw > BESIDE:
            raise OutOfBounds(f"it sends more than {BESIDE >> 20} MiB that are not the file")
        return count


class _Stream(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive(buffer)
