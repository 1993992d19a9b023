# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image store: a directory of files named by the SHA-256 of what is in them, each written once.

A content arrives in ``incoming``, is read through and measured there, and only then gets its name. What is under a name
is therefore complete and is what the name says; nginx serves nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
import uuid
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import images

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

FORGOTTEN = 86_400  # seconds after which something left in incoming belongs to no living run
_CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")
_BLOCK = 1 << 20


def offer(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: whether the content is here; if not, be ready to receive it."""
    target = path_of(ctx, op)
    if size_of(target) == op["size"]:
        clear(ctx, op)
        return {"present": True}
    if not ctx.check_mode:
        prepare(ctx)
        _sweep(drafts(ctx))
        _room(ctx, op["size"], copies=2)  # what arrives, and its measured copy
    return {"present": False}


def store(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: give a file that has arrived its name, if it is what was sent; otherwise leave nothing of it."""
    target = path_of(ctx, op)
    answer = {"checksum": op["checksum"], "size": op["size"]}
    if size_of(target) == op["size"]:
        _discard(op["path"])
        return {"changed": False, **answer}
    prepare(ctx)
    draft = os.path.join(drafts(ctx), f"{uuid.uuid4()}.part")
    try:
        ctx.effect("store")
        _measured(op, draft, target)
        os.rename(draft, target)
        settle(os.path.dirname(target))
        clear(ctx, op)
    finally:
        _forget(draft)
        _discard(op["path"])
    return {"changed": True, **answer}


def present(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: whether the content is here, by its name and size; :func:`verify` reads it through."""
    return {"present": size_of(path_of(ctx, op)) == op["size"]}


def fetch(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: get a content from another store that has it, and give it its name if it is what was said."""
    target = path_of(ctx, op)
    if size_of(target) == op["size"]:
        return {"changed": False}
    if ctx.check_mode:
        return {"changed": True}
    prepare(ctx)
    _sweep(drafts(ctx))
    _room(ctx, op["size"], copies=1)
    draft = os.path.join(drafts(ctx), f"{image_id(op['id'])}.{uuid.uuid4()}")
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        ctx.effect("fetch")
        images.fetch(handle, op, _digest(op), ctx.state_dir)
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        os.rename(draft, target)
        settle(os.path.dirname(target))
    finally:
        os.close(handle)
        _forget(draft)
    return {"changed": True}


def remove(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have a content gone, and what a broken upload of it left."""
    target = path_of(ctx, op)
    there = os.path.lexists(target)
    if there and not ctx.check_mode:
        ctx.effect("remove")
        _forget(target)
    clear(ctx, op)
    return {"changed": there}


def verify(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: read a stored content through and say whether it still is what its name says."""
    target = path_of(ctx, op)
    if not os.path.exists(target):
        return {"present": False, "intact": False}
    handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        digest = _hashed(stream, None)[0]
    return {"present": True, "intact": digest == _digest(op)}


def _measured(op: dict[str, Any], draft: str, target: str) -> None:
    """Copy what arrived to a draft of our own while measuring it.

    The one who sent it may still have it open, or be another user of this host; the draft is nobody's but ours.
    """
    source = os.open(op["path"], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(source, "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BackendError("What arrived is not a file.", "ImageRefused")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as copy:
            digest, size = _hashed(stream, copy, op["size"])
            if digest != _digest(op) or size != op["size"]:
                raise BackendError(
                    f"What arrived has {size} bytes and the SHA-256 {digest}, not {op['size']} bytes and "
                    f"{_digest(op)}: nothing was stored.",
                    "ImageRefused",
                )
            copy.flush()
            os.fchmod(copy.fileno(), 0o644)
            os.fsync(copy.fileno())


def _hashed(stream: Any, copy: Any, most: int | None = None) -> tuple[str, int]:
    seen = hashlib.sha256()
    size = 0
    while True:
        block = stream.read(_BLOCK)
        if not block:
            return seen.hexdigest(), size
        size += len(block)
        if most is not None and size > most:
            raise BackendError(f"What arrived is longer than the {most} bytes that were sent.", "ImageRefused")
        seen.update(block)
        if copy is not None:
            copy.write(block)


def _digest(op: dict[str, Any]) -> str:
    found = _CHECKSUM.fullmatch(str(op.get("checksum")))
    if not found:
        raise BackendError(f"{op.get('checksum')!r} is not a checksum 'sha256:<64 hex digits>'.", "ImageRefused")
    return found.group(1)


def path_of(ctx: Context, op: dict[str, Any]) -> str:
    """Where a content has its name, or will have."""
    return os.path.join(ctx.state_dir, "image-store", "sha256", _digest(op))


def drafts(ctx: Context) -> str:
    """Where contents arrive."""
    return os.path.join(ctx.state_dir, "image-store", "incoming")


def image_id(text: Any) -> str:
    """The UUID of an image; anything else is refused, so that no path can be smuggled in."""
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError) as exc:
        raise BackendError(f"{text!r} is not the UUID of an image.") from exc


def prepare(ctx: Context) -> None:
    """The store's directories, where the role has not made them: it lets nginx through, which lists nothing."""
    root = os.path.join(ctx.state_dir, "image-store")
    for path, mode in ((ctx.state_dir, 0o711), (root, 0o710), (os.path.join(root, "sha256"), 0o710)):
        os.makedirs(path, mode=mode, exist_ok=True)
    os.makedirs(drafts(ctx), mode=0o700, exist_ok=True)


def _room(ctx: Context, size: int, *, copies: int) -> None:
    free = os.statvfs(ctx.state_dir)
    left = free.f_bavail * free.f_frsize
    if copies * size > left:
        raise BackendError(f"The image needs {copies * size} bytes, and {ctx.state_dir} has {left} left.")


def _sweep(incoming: str) -> None:
    for entry in os.scandir(incoming):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > FORGOTTEN:
                os.unlink(entry.path)


def clear(ctx: Context, op: dict[str, Any]) -> None:
    """Remove what broken uploads of this image left. One that is still under way finds its content stored."""
    image = image_id(op["id"])
    if ctx.check_mode or not os.path.isdir(drafts(ctx)):
        return
    for name in os.listdir(drafts(ctx)):
        if name.startswith(f"{image}."):
            _forget(os.path.join(drafts(ctx), name))


def _discard(path: str) -> None:
    """Remove an upload, and the temporary directory that Ansible made for it alone."""
    _forget(path)
    if os.path.basename(os.path.dirname(path)).startswith("ansible-tmp-"):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))


def size_of(path: str) -> int | None:
    """The size of a file, None where there is none."""
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _forget(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def settle(directory: str) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
