# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blocks of a volume or of a backup, read quickly where there is nothing: most of a volume is zeros.

Holes of files are not read at all. The rest is read past the page cache, which the kernel's target does not look into
either, into the same memory again and again, and compared with zeros as a whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 4 << 20
_PAGE = 4096


class Blocks:
    """One volume or file that is open.

    :param handle: its descriptor, to be read.
    :param out: another one, to be written.
    """

    def __init__(self, handle: int, out: int | None = None) -> None:
        self._handle = handle
        self._out = out
        # Beginning at a page, as reading past the cache wants it; what is before and after stays zeros.
        self._room = bytearray(BLOCK + _PAGE)
        self._zeros = bytes(self._room)
        start = -ctypes.addressof(ctypes.c_char.from_buffer(self._room)) % _PAGE
        self._view = memoryview(self._room)[start : start + BLOCK]

    def read(self, place: int, length: int) -> bytes:
        """What a block holds; nothing if it is all zeros.

        :raises BackendError: it ends too early.
        """
        start, done = place * BLOCK, 0
        if self._hole(start, length):
            return b""
        while done < length:
            part = os.preadv(self._handle, [self._view[done:length]], start + done)
            if not part:
                raise BackendError(f"A block that should have {length} bytes has {done}.")
            done += part
        self._view[length:] = bytes(BLOCK - length)
        return b"" if self._room == self._zeros else bytes(self._view[:length])

    def write(self, place: int, content: bytes) -> None:
        """Write a block from its beginning.

        :raises BackendError: it was not opened for that.
        """
        if self._out is None:
            raise BackendError("This is open to be read.")
        view = memoryview(content)
        while view:
            done = os.pwrite(self._out, view, place * BLOCK + len(content) - len(view))
            view = view[done:]

    def sync(self) -> None:
        """Have what was written last through a power cut."""
        if self._out is not None:
            os.fsync(self._out)

    def _hole(self, start: int, length: int) -> bool:
        """Whether a file has nothing there; a device says of everything that it may be data."""
        if start + length > os.lseek(self._handle, 0, os.SEEK_END):
            return False
        try:
            return os.lseek(self._handle, start, os.SEEK_DATA) >= start + length
        except OSError as exc:
            return exc.errno == errno.ENXIO


@contextlib.contextmanager
def opened(path: str, writing: bool = False) -> Iterator[Blocks]:
    """Open a volume or file to read it, and to write it where that is said."""
    with contextlib.ExitStack() as stack:
        handle = _open(stack, path, os.O_RDONLY)
        whole = os.lseek(handle, 0, os.SEEK_END) % _PAGE == 0
        with contextlib.suppress(OSError):  # a file system that cannot
            handle = _open(stack, path, os.O_RDONLY | (os.O_DIRECT if whole else 0))
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        yield Blocks(handle, _open(stack, path, os.O_WRONLY) if writing else None)


def _open(stack: contextlib.ExitStack, path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return handle
