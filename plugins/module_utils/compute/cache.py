# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the image cache forgets: images that no disk lies over, when nobody has used them for long or room is short.

An image that a disk lies over is never removed, however old. One that is about to get a disk is held by a shared lock
(:func:`held`), which the removal respects.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
import struct
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

LIMITS_FILE = "/etc/agentless/image_cache.json"  # written by the role compute
DAYS = 30
STALE = 86400  # seconds after which a download that nobody holds is a leftover

_DIGEST = re.compile(r"^[0-9a-f]{64}$")
_HEAD = struct.Struct(">4sIQI")  # magic, version, offset and length of the backing file's name


class Image(NamedTuple):
    """A cached image: where it is, its bytes on disk, and when it was last asked for (seconds since the epoch)."""

    path: str
    size: int
    used: float


class Limits(NamedTuple):
    """How long an image that no disk lies over is kept, in days, and how much all of them may take, in GiB (0: any)."""

    days: float = DAYS
    gib: float = 0


def limits(path: str = LIMITS_FILE) -> Limits:
    """What the host allows; the defaults where it says nothing."""
    try:
        with open(path, encoding="utf-8") as stream:
            said = json.load(stream)
    except FileNotFoundError:
        return Limits()
    return Limits(float(said.get("days", DAYS)), float(said.get("gib", 0)))


@contextlib.contextmanager
def held(path: str) -> Iterator[None]:
    """Keep an image from being removed while a disk is laid over it; it counts as used now.

    :raises FileNotFoundError: it has just been removed.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.stat(path)  # gone while we waited for the lock: FileNotFoundError
        os.utime(handle)
        yield
    finally:
        os.close(handle)


def prune(ctx: Context, allowed: Limits, now: float | None = None) -> list[str]:
    """Remove what the limits do not allow; returns the digests that went. In check mode they are only named."""
    moment = time.time() if now is None else now
    folder = os.path.join(ctx.state_dir, "images")
    going = surplus(_idle(ctx.state_dir, folder), allowed, moment)
    gone = [image for image in going if ctx.check_mode or _removed(image.path)]
    if not ctx.check_mode:
        _clear_drafts(folder, moment)
    return sorted(os.path.basename(image.path) for image in gone)


def surplus(idle: list[Image], allowed: Limits, now: float) -> list[Image]:
    """Which of the images that no disk lies over have to go: the old ones, then the longest unused until all fit."""
    by_use = sorted(idle, key=lambda image: (image.used, image.path))
    old = [image for image in by_use if now - image.used > allowed.days * 86400]
    if not allowed.gib:
        return old
    left = [image for image in by_use if image not in old]
    total = sum(image.size for image in left)
    for image in left:
        if total <= allowed.gib * (1 << 30):
            break
        old.append(image)
        total -= image.size
    return old


def backing(path: str) -> str | None:
    """The file that a disk lies over, read from its head; None for a disk of its own."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size or head[:4] != b"QFI\xfb":
            return None
        _magic, _version, offset, length = _HEAD.unpack(head)
        if not offset or length > 1023:  # the format's own bound
            return None
        stream.seek(offset)
        return stream.read(length).decode("utf-8", "surrogateescape")


def _idle(state_dir: str, folder: str) -> list[Image]:
    needed = set()
    # A draft lies over its image already (see disks.ensure).
    for disk in glob.glob(os.path.join(glob.escape(state_dir), "instances", "*", "*.qcow2*")):
        with contextlib.suppress(OSError):
            below = backing(disk)
            needed.add(os.path.basename(below) if below else None)
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if _DIGEST.match(name) and name not in needed:
            stat = os.lstat(os.path.join(folder, name))
            found.append(Image(os.path.join(folder, name), stat.st_blocks * 512, stat.st_mtime))
    return found


def _removed(path: str) -> bool:
    """Whether the image went; one that is being used this moment stays."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _clear_drafts(folder: str, now: float) -> None:
    """Downloads that were killed and that nobody has taken up again."""
    for draft in glob.glob(os.path.join(glob.escape(folder), "*.part")):
        with contextlib.suppress(OSError):
            if now - os.lstat(draft).st_mtime > STALE:
                _removed(draft)


def report(gone: list[str]) -> dict[str, Any]:
    """The result of the operation ``prune_images``."""
    return {"changed": bool(gone), "removed": [f"sha256:{digest}" for digest in gone]}
