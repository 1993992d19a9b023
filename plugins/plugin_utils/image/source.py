# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of an image that is a file of the controller."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ImageRefused
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import inspect

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Content:
    """A file that has been looked at.

    :param path: where it lies on the controller.
    :param virtual_size: the size that a guest would see.
    :param held: the store that has it already, without a name.
    """

    path: str
    checksum: str
    size: int
    virtual_size: int
    held: str | None = None


def local(path: str, *, declared: str, expected: str | None) -> Content:
    """A file of the controller, measured and judged.

    :raises BadInput: there is no such file.
    :raises ImageRefused: it is not what was said.
    """
    with _opened(path) as stream:
        before = _state(stream)
        checksum, size = _measured(stream)
        agree(checksum, expected)
        virtual = inspect.judge(stream, declared, size)
        if _state(stream) != before:
            raise ImageRefused(f"{path} changed while it was read. Nothing was stored.")
    return Content(path, checksum, size, virtual)


def checksum_of(path: str) -> str:
    """The checksum of a file of the controller.

    :raises BadInput: there is no such file.
    """
    with _opened(path) as stream:
        return _measured(stream)[0]


def found(filename: str, playbook: str | None) -> str:
    """The path of a file that a task names: as it is, or beside the playbook, or in the playbook's ``files``."""
    path = os.path.expanduser(filename)
    if os.path.isabs(path) or playbook is None:
        return os.path.abspath(path)
    beside = (os.path.join(playbook, "files", path), os.path.join(playbook, path))
    return next((each for each in beside if os.path.exists(each)), os.path.abspath(path))


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        # Not to wait for a writer, should it be a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as exc:
        raise BadInput(f"The image file {path!r} cannot be read: {getattr(exc, 'strerror', exc)}.") from exc
    with os.fdopen(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BadInput(f"{path} is not a file.")
        yield stream


def _measured(stream: IO[bytes]) -> tuple[str, int]:
    seen, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        seen.update(block)
        size += len(block)
    return f"sha256:{seen.hexdigest()}", size


def _state(stream: IO[bytes]) -> tuple[int, int]:
    now = os.fstat(stream.fileno())
    return now.st_size, now.st_mtime_ns


def agree(checksum: str, expected: str | None) -> None:
    """Refuse another content than the one that was meant.

    :raises ImageRefused: the checksum is not the one expected.
    """
    if expected is not None and checksum != expected:
        raise ImageRefused(
            f"The content has the checksum {checksum}, not {expected}: it is not the file that was meant. "
            "Nothing was stored.",
            checksum=checksum,
        )
