# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image cache: one file per content, named by its SHA-256.

The unfinished download is also the lock: whoever holds ``<digest>.part`` downloads, the others wait for it and find
the finished file. A killed download leaves nothing but that file, which the next one starts over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import struct
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

FORMATS = frozenset({"raw", "qcow2"})
CA = "/etc/agentless/ca.pem"  # of the site's own authority, which alone certifies image stores

_CHECKSUM = re.compile(r"^sha256:([0-9a-f]{64})$")
_QCOW2 = struct.Struct(">4sIQIIQ")  # magic, version, backing file offset and length, cluster bits, virtual size
_EXTERNAL_DATA = 1 << 2


def prefetch(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have an image in the cache before anyone waits for it."""
    path, downloaded = ensure(ctx, op["image"])
    return {"changed": downloaded, "path": path}


def ensure(ctx: Context, image: dict[str, Any]) -> tuple[str, bool]:
    """The path of an image's cached file, and whether it had to be downloaded."""
    found = _CHECKSUM.match(str(image.get("checksum")))
    if not found:
        raise BackendError(f"{image.get('checksum')!r} is not a checksum 'sha256:<64 hex digits>'.", "ImageRefused")
    path = os.path.join(ctx.state_dir, "images", found.group(1))
    if ctx.check_mode:
        return path, not os.path.exists(path)
    files.entered_by_qemu(os.path.dirname(path))
    if os.path.exists(path):
        return path, False
    draft = path + ".part"
    handle = _lead(draft, path)
    if handle is None:
        return path, False
    try:
        ctx.effect("image")
        fetch(handle, image, found.group(1), ctx.state_dir)
        os.fchmod(handle, 0o444)
        os.rename(draft, path)
        _settle(os.path.dirname(path))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
    finally:
        os.close(handle)
    return path, True


def _lead(draft: str, path: str) -> int | None:
    """Become the one that downloads, or None once another has done it."""
    while not os.path.exists(path):
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if files.same(handle, draft):
            if not os.path.exists(path):
                return handle
            os.unlink(draft)  # made after another had finished
        os.close(handle)
    return None


def _settle(directory: str) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fetch(handle: int, image: dict[str, Any], digest: str, state_dir: str) -> None:
    """Fill an open file with an image, from the first of its addresses (``url``, then ``mirrors``) that has it.

    :raises BackendError: none of them has; says what each did.
    """
    failed: list[BackendError] = []
    for url in [image.get("url"), *image.get("mirrors", ())]:
        os.lseek(handle, 0, os.SEEK_SET)  # the one before may have written something
        try:
            return _download(handle, {**image, "url": url}, digest, state_dir)
        except BackendError as exc:
            failed.append(exc)
    raise BackendError(" ".join(exc.msg for exc in failed), error=failed[0].error)


def _download(handle: int, image: dict[str, Any], digest: str, state_dir: str) -> None:
    size = image.get("size")
    url = str(image.get("url"))
    free = os.statvfs(state_dir)
    if size and size > free.f_bavail * free.f_frsize:
        raise BackendError(f"The image needs {size} bytes, and {state_dir} has {free.f_bavail * free.f_frsize} left.")
    os.ftruncate(handle, 0)
    seen = hashlib.sha256()
    written = 0
    # Most calls find the image here, and do without all that it takes to fetch one.
    from ansible_collections.agentless.cloud.plugins.module_utils.compute import stores

    try:
        with stores.opened(url, CA) as (source, line):
            # What is there, and no whole block: that could take a slow store longer than it has.
            while block := source.read1(1 << 20):
                written += len(block)
                if size and written > size:
                    raise BackendError(f"{url} is longer than the {size} bytes registered.", "ImageRefused")
                line.brought(len(block))
                seen.update(block)
                _write(handle, block)
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise BackendError(f"No space left in {state_dir} after {written} bytes of {url}.") from exc
        raise BackendError(f"{url} could not be downloaded: {getattr(exc, 'reason', exc)}.") from exc
    if seen.hexdigest() != digest:
        raise BackendError(
            f"{url} has the SHA-256 {seen.hexdigest()} after {written} bytes, not {digest}: nothing was stored.",
            error="ImageRefused",
        )
    os.fsync(handle)


def _write(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def virtual_size(path: str, form: str) -> int:
    """The size that a guest sees, read from the file itself; a file that leads to other files is refused."""
    if form == "raw":
        return os.path.getsize(path)
    with open(path, "rb") as stream:
        head = stream.read(104)
    if len(head) < 72 or head[:4] != b"QFI\xfb":
        raise BackendError(f"The image {os.path.basename(path)} is not qcow2.", "ImageRefused")
    _magic, version, backing, _length, _bits, size = _QCOW2.unpack_from(head)
    incompatible = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    if backing or incompatible & _EXTERNAL_DATA:
        raise BackendError(f"The image {os.path.basename(path)} leads to another file.", "ImageRefused")
    return int(size)
