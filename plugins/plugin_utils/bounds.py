# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bounds on what a host may send in one call, and on how long the call may take.

Ansible's connection plugin for ssh reads what its ssh process writes until there is no more, and returns it as a whole.
So that plugin gets a ``Popen`` of ours (:func:`install`), whose pipes count what is read from them. Beyond the bound,
and when the time is up, the process is killed and the pipe ends, so that the plugin returns as it does from every ssh
that dies; :meth:`Bound.held` then raises the reason. With ControlPersist the process is a client of the shared
connection: its death ends its own session and no other one.

What is counted is bytes, and what makes many small objects of few bytes when text is split into lines and read as JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any, BinaryIO, cast

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadReply,
    CloudError,
    Timeout,
)

ANSWER = 16 << 20  # bytes; the longest of an honest host, an audit of ten thousand volumes, has about 3 MiB
PER_OPERATION = 64 << 10
MOST = 64 << 20  # whatever the number of operations
PER_PIECE = 16  # bytes of the bound for each piece; a piece takes about 100 bytes of memory
_CHUNK = 64 << 10  # what a pipe holds
_CUTS = b"[{,:\n\r\v\f\x1c\x1d\x1e\x85\xa8\xa9"  # the last three end the separators of lines in Unicode


def answer(operations: int) -> int:
    """The bytes that the answer to a number of operations may have."""
    return min(ANSWER + PER_OPERATION * operations, MOST)


class Bound:
    """What one call may bring: at most ``size`` bytes on standard output, in ``seconds`` from now.

    :param subject: what is bounded, as messages begin: ``compute_backend on k1``.
    :param seconds: None for as long as it takes.
    :param into: gets standard output, which the caller of the connection then does not see; from its beginning with
        every command.
    """

    def __init__(
        self, host: str, subject: str, *, size: int, seconds: float | None = None, into: BinaryIO | None = None
    ) -> None:
        self.host, self.subject, self.size, self.seconds, self.into = host, subject, size, seconds, into
        self._until = None if seconds is None else time.monotonic() + seconds
        self._failure: CloudError | None = None

    @property
    def left(self) -> float | None:
        """The seconds left."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whatever is run over a connection in this block, and in threads that have its context, is bounded.

        :raises Timeout, BadReply: a bound was reached.
        """
        token = _bound.set(self)
        try:
            yield
        except Exception:  # whatever the plugin makes of an ssh that we have ended; our reason is the true one
            self.check()
            raise
        finally:
            _bound.reset(token)
        self.check()

    @property
    def failed(self) -> bool:
        """Whether the call was ended."""
        return self._failure is not None

    def check(self) -> None:
        """Raise the reason why the call was ended, if it was."""
        if self._failure is not None:
            raise self._failure

    def late(self) -> None:
        """The call is ended because it took too long."""
        self.end(late(self.host, self.subject, self.seconds or 0))

    def excessive(self, most: int, of: str) -> None:
        """The call is ended because too much came."""
        self.end(
            BadReply(
                f"{self.subject} sent more than {most} {of}, and was cut off. What was done there is not known. No "
                "honest host sends so much: look at it before you use it again.",
                host=self.host,
            )
        )

    def keep(self, write: Callable[..., Any], *words: Any) -> None:
        """Do something with the file ``into``; the call is ended where that fails."""
        try:
            write(*words)
        except OSError as exc:
            self.end(BackendFailed(f"{self.subject} cannot be kept on the controller: {exc}", host=self.host))

    def end(self, failure: CloudError) -> None:
        """The call has failed; the first reason counts."""
        self._failure = self._failure or failure


_bound: ContextVar[Bound | None] = ContextVar("bound", default=None)


def seconds_left() -> float | None:
    """The seconds that are left in the block of :meth:`Bound.held` that this code runs in."""
    bound = _bound.get()
    return None if bound is None else bound.left


def late(host: str, subject: str, seconds: float) -> Timeout:
    """The error of a call that took too long."""
    return Timeout(
        f"{subject} did not answer in {seconds:.0f} s. What was done there is not known; "
        "run again to finish or undo it.",
        host=host,
    )


class _Pipe:
    """The reading end of a pipe, as far as the connection plugin uses it.

    :param into: gets what comes, which nobody else then sees.
    """

    def __init__(self, pipe: IO[bytes], process: _Process, size: int, into: BinaryIO | None = None) -> None:
        self._pipe, self._process, self._size, self._into = pipe, process, size, into
        self._came = self._pieces = 0

    def fileno(self) -> int:
        return self._pipe.fileno()

    def close(self) -> None:
        self._process.forget()
        self._pipe.close()

    def read(self, _size: int = -1) -> bytes | None:
        """What has come, at least a byte; nothing after the end, or beyond the bound."""
        try:
            data = os.read(self._pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        if data:
            self._take(data)
        if self._process.bound.failed:
            self._process.kill()
            return b""
        return data if self._into is None else data[:1]  # an empty one would be the end

    def _take(self, data: bytes) -> None:
        bound, most = self._process.bound, self._size // PER_PIECE
        self._came += len(data)
        if self._came > self._size:
            bound.excessive(self._size, "bytes")
        elif self._into is None:
            self._pieces += len(data) - len(data.translate(None, _CUTS))
            if self._pieces > most:
                bound.excessive(most, "pieces of text")
        else:
            bound.keep(self._into.write, data)


class _Process(subprocess.Popen[bytes]):
    """A process of a connection plugin, whose pipes are bounded by the call that it belongs to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.bound = bound = _bound.get() or Bound("", "A command on a host", size=ANSWER)
        self._timer: threading.Timer | None = None
        left = bound.left
        if left == 0:
            bound.late()
        bound.check()
        if bound.into is not None:
            bound.keep(bound.into.seek, 0)
            bound.keep(bound.into.truncate)
            bound.check()
        super().__init__(*args, **kwargs)
        if left is not None:
            self._timer = threading.Timer(left, self._late)
            self._timer.daemon = True
            self._timer.start()
        # typeshed knows files only, where a reader that has what is called will do
        if self.stdout is not None:
            self.stdout = cast("IO[bytes]", _Pipe(self.stdout, self, bound.size, bound.into))
        if self.stderr is not None:
            self.stderr = cast("IO[bytes]", _Pipe(self.stderr, self, ANSWER))

    def forget(self) -> None:
        """Nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _late(self) -> None:
        if self.poll() is None:
            self.bound.late()
            self.kill()


_OURS = types.ModuleType("subprocess")
vars(_OURS).update({**vars(subprocess), "Popen": _Process})


def install(connection: Any) -> bool:
    """Have the processes of a connection plugin bounded; whether that is possible, which it is for ssh.

    The plugin looks up ``subprocess`` in its own module, where it finds ours from then on, in this process.
    """
    owner = next((each for each in type(connection).__mro__ if "_bare_run" in vars(each)), None)
    module = None if owner is None else sys.modules.get(owner.__module__)
    if module is None or getattr(module, "subprocess", None) not in (subprocess, _OURS):
        return False
    vars(module)["subprocess"] = _OURS
    return True
