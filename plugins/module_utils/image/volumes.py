# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume read by an image host, from the storage host that exports it, into one qcow2 file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        with _kept(str(volume["secret"])) as secret:
            source = ["--object", f"secret,id=chap,file={secret}", _address(volume)]
            argv = [*LIMITS, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", *source, path]
            done = ctx.run(argv, timeout=TIME, check=False, preexec=_mortal)
    finally:
        ended.set()
    if done.returncode != 0:
        raise BackendError("".join(reasons[:1]) or f"The volume could not be read: {done.stderr.strip()[-1000:]}")
    return _measured(handle)


def _address(volume: dict[str, Any]) -> str:
    export = volume["export"]
    if export.get("protocol") != "iscsi":
        raise BackendError(f"A volume that is reached by {export.get('protocol')!r} cannot be read by an image store.")
    about = {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": str(export["portal"]),
        "target": str(export["iqn"]),
        "lun": int(export.get("lun", 0)),
        "user": str(volume["user"]),
        "password-secret": "chap",
        "initiator-name": initiator() or "",
    }
    return f"json:{json.dumps({'driver': 'raw', 'file': about})}"


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


@contextlib.contextmanager
def _kept(secret: str) -> Iterator[str]:
    """The secret in a file that only root can read, for as long as it is needed."""
    with tempfile.NamedTemporaryFile("w", dir="/run", prefix="agentless-") as stream:
        stream.write(secret)
        stream.flush()
        yield stream.name


def _measured(handle: int) -> tuple[str, int]:
    seen, size = hashlib.sha256(), 0
    with os.fdopen(os.dup(handle), "rb") as stream:
        stream.seek(0)
        while block := stream.read(_BLOCK):
            seen.update(block)
            size += len(block)
    return f"sha256:{seen.hexdigest()}", size
