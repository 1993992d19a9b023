# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in a pool of Ceph: each written there once, from which volumes are cloned copy-on-write.

The name is the image's digest and format, so that what is shared is what both asked for; nothing of a guest gets in.
An image under its final name is whole: it is written as a draft, kept by a protected snapshot, and renamed. Ceph knows
which clones read from it. When an image is written, those go that nobody has asked for in a while and no clone needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import cache, images
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.volume import fill
from ansible_collections.agentless.cloud.plugins.module_utils.volume.ceph import Missing, said, snaps

try:
    import rados
    import rbd
except ImportError:
    rados = rbd = None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.volume.ceph import Pool

BASE = "image-"  # how their names begin
SNAPSHOT = "base"
USED = "agentless_images"  # the object that says when each was asked for last
LOCKS = "/run/agentless-volumes"

_CHECKSUM = re.compile(r"^sha256:([0-9a-f]{64})$")
_ROUND = 1 << 20


class Bases:
    """The images of one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextlib.contextmanager
    def held(self, image: dict[str, Any], size: int) -> Iterator[str]:
        """The name of an image, which is there until the block ends. Of those who miss it at once, one brings it in.

        :raises BackendError: it cannot be had, or does not fit.
        """
        name = named(image)
        with _lock(name) as handle:
            while True:
                fcntl.flock(handle, fcntl.LOCK_SH)
                there = self._pool.size(name)
                if there is not None:
                    break
                fcntl.flock(handle, fcntl.LOCK_EX)
                if self._pool.size(name) is None:
                    self._bring(name, image, size)
                    self._prune()
            fill.check_size(there, size)
            self._use(name)
            yield name

    def _bring(self, name: str, image: dict[str, Any], size: int) -> None:
        pool, draft = self._pool, _draft(name)
        with fill.fetched(pool.ctx, image) as (path, form, needed):
            needed = -(-needed // _ROUND) * _ROUND
            fill.check_size(needed, size)
            self._use(name)  # first of all, or what a killed call leaves is never looked for
            pool.evict(draft)
            for leftover in (draft, name):
                self._drop(leftover)
            pool.ctx.effect("image")
            with said(f"image {draft}"):
                rbd.RBD().create(pool.io(), draft, needed)
            fill.convert(pool.ctx, form, [path], pool.path(draft))
        with pool.image(draft, writing=True) as opened:
            pool.ctx.effect("snapshot")
            opened.create_snap(SNAPSHOT)
            opened.protect_snap(SNAPSHOT)
        pool.ctx.effect("rename")
        with said(f"image {draft}"):
            try:
                rbd.RBD().rename(pool.io(), draft, name)
                return
            except rbd.ImageExists:
                pass  # another storage host was as quick
        self._drop(draft)

    def _use(self, name: str) -> None:
        with said(USED), rados.WriteOpCtx() as op:
            self._pool.io().set_omap(op, (name,), (str(int(time.time())).encode(),))
            self._pool.io().operate_write_op(op, USED)

    def _prune(self) -> None:
        """Forget images as the host's cache does, and drafts of calls that were killed here."""
        oldest = time.time() - cache.limits().days * 86400
        gone = [name for name, used in self._used().items() if used < oldest and self._forgotten(name)]
        if gone:
            with said(USED), rados.WriteOpCtx() as op:
                self._pool.io().remove_omap_keys(op, tuple(gone))
                self._pool.io().operate_write_op(op, USED)

    def _used(self) -> dict[str, float]:
        with said(USED), rados.ReadOpCtx() as op:
            found, _code = self._pool.io().get_omap_vals(op, "", BASE, 10000)
            self._pool.io().operate_read_op(op, USED)
            return {name: float(when.decode()) for name, when in found}

    def _forgotten(self, name: str) -> bool:
        """Whether it is gone; one that is being used this moment, or that a clone reads from, stays."""
        with _lock(name) as handle, contextlib.suppress(BlockingIOError, BackendError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._pool.evict(_draft(name))
            self._drop(_draft(name))
            return self._drop(name)
        return False

    def _drop(self, name: str) -> bool:
        """Whether it is gone; clones keep it."""
        with contextlib.suppress(Missing):
            with self._pool.image(name, writing=True) as opened:
                for one in snaps(opened):
                    if not self._unsnapped(opened, one):
                        return False
            self._pool.ctx.effect("remove")
            with said(f"image {name}"):
                rbd.RBD().remove(self._pool.io(), name)
        return True

    def _unsnapped(self, opened: Any, snapshot: str) -> bool:
        opened.set_snap(snapshot)
        if list(opened.list_children2()):
            return False
        opened.set_snap(None)
        self._pool.ctx.effect("snapshot")
        if opened.is_protected_snap(snapshot):
            opened.unprotect_snap(snapshot)
        opened.remove_snap(snapshot)
        return True


def named(image: dict[str, Any]) -> str:
    """What an image is called in the pool. The format decides what a guest reads of the same bytes, so it is named.

    :raises BackendError: not a checksum, or a format that is not read here.
    """
    found, form = _CHECKSUM.match(str(image.get("checksum"))), str(image.get("format"))
    if not found or form not in images.FORMATS:
        raise BackendError(f"{image.get('checksum')!r} as {form!r} is no image that can be read here.", "ImageRefused")
    return f"{BASE}{found.group(1)}-{form}"


def _draft(name: str) -> str:
    """One for each host, whose lock keeps others of the same host from it."""
    return f"making-{name}-{hashlib.sha256((initiator() or '').encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _lock(name: str) -> Iterator[int]:
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    handle = os.open(os.path.join(LOCKS, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)
