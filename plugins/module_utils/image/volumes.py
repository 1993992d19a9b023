# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume read by an image host, over whatever the storage host offers it by, into one qcow2 file."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files
from ansible_collections.agentless.cloud.plugins.module_utils.volume import fill

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

TIME = 6 * 3600  # seconds
LIMITS = ("prlimit", "--as=2147483648", "--core=0")
_LOOK = 1.0  # seconds between two looks whether anybody wants it still
_BLOCK = 1 << 20
_KEEP_FREE = 1 << 30


def read(ctx: Context, volume: dict[str, Any], handle: int, path: str) -> tuple[str, int]:
    """Write what a volume holds into an open file; its checksum and size. For a process group of its own.

    :raises BackendError: it cannot be read, there is no room, or the file was removed meanwhile.
    """
    ended, reasons = threading.Event(), list[str]()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(handle, path, ended, reasons), daemon=True).start()
    try:
        with fill.exported(volume) as source:
            argv = [*LIMITS, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", *source, path]
            done = ctx.run(argv, timeout=TIME, check=False, preexec=_mortal)
    finally:
        ended.set()
    if done.returncode != 0:
        raise BackendError("".join(reasons[:1]) or f"The volume could not be read: {done.stderr.strip()[-1000:]}")
    return _measured(handle)


def _watch(handle: int, path: str, ended: threading.Event, reasons: list[str]) -> None:
    """End the reading where nobody wants it any more, or the store gets full."""
    while not ended.wait(_LOOK):
        free = os.fstatvfs(handle)
        if not files.same(handle, path):
            reasons.append("Nobody wants it any more.")
        elif free.f_bavail * free.f_frsize < _KEEP_FREE:
            reasons.append("The volume does not fit the store, where 1 GiB is left free.")
        if reasons:
            os.killpg(os.getpgid(0), signal.SIGTERM)


def _mortal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _measured(handle: int) -> tuple[str, int]:
    seen, size = hashlib.sha256(), 0
    with os.fdopen(os.dup(handle), "rb") as stream:
        stream.seek(0)
        while block := stream.read(_BLOCK):
            seen.update(block)
            size += len(block)
    return f"sha256:{seen.hexdigest()}", size
