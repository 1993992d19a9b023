# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as images in a pool of Ceph. QEMU reaches them by itself; the storage host only gives orders.

New images read zeros. A snapshot lives under its image; which one that is stands in one object of the pool. Clones
are copy-on-write, and the library lets a snapshot go while clones live, so nothing is protected.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx, rbd_blocks
from ansible_collections.agentless.cloud.plugins.module_utils.volume.ceph import Missing, Pool, said, snap, snaps
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import GIB, named
from ansible_collections.agentless.cloud.plugins.module_utils.volume.rbd_images import BASE, SNAPSHOT, Bases

try:
    import rados
    import rbd
except ImportError:
    rados = rbd = None

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import Blocks

SNAP = "snap-"  # how the names of snapshots begin
KEPT = "kept-"  # and of those that the last backup was made from
SNAPSHOTS = "agentless_snapshots"


class Rbd(Pool):
    """One pool of one Ceph cluster."""

    protocol = "rbd"
    atomic = True

    @property
    def capabilities(self) -> dict[str, Any]:
        return {"thin": True, "snapshots": True, "clones": True, "online_extend": True}

    def path(self, name: str) -> str:
        """For QEMU's tools, which read the key from the user's own keyring."""
        image, snapshot = self._place(name)
        at = f"@{snapshot}" if snapshot else ""
        conf = self.conf.replace(":", "\\:")
        return f"rbd:{self.pool}/{image}{at}:id={self.options['user']}:conf={conf}"

    def base(self, image: dict[str, Any], size: int) -> contextlib.AbstractContextManager[str | None]:
        return Bases(self).held(image, size)

    def names(self) -> list[str]:
        io, snapshots = self.io(), []
        with said(SNAPSHOTS), contextlib.suppress(rados.ObjectNotFound), rados.ReadOpCtx() as op:
            values, _code = io.get_omap_keys(op, "", 100_000)
            io.operate_read_op(op, SNAPSHOTS)
            snapshots = [name for name, _value in values]
        with said("the list of images"):
            return [*rbd.RBD().list(io), *snapshots]

    def size(self, name: str) -> int | None:
        image, snapshot = self._place(name)
        try:
            with self.image(image, snapshot) as opened:
                return int(opened.size())
        except Missing:
            return None

    def make(self, name: str, size: int, source: str | None) -> str:
        draft = f"making-{name}"
        self._remove(draft)
        self.ctx.effect("image")
        with said(f"image {draft}"):
            if source is None:
                rbd.RBD().create(self.io(), draft, size)
            else:
                self._clone(source, draft)
        if (self.size(draft) or 0) < size:
            self.extend(draft, size)
        return self.path(draft)

    def _clone(self, source: str, draft: str) -> None:
        image, snapshot = self._place(source)
        clone = rbd.RBD().clone
        if snapshot:
            clone(self.io(), image, snapshot, self.io(), draft)
            return
        with self.image(image, writing=True) as opened:
            kept = f"for-{draft}"
            if kept not in [one["name"] for one in opened.list_snaps()]:
                snap(opened, kept)
            try:
                clone(self.io(), image, kept, self.io(), draft)
            finally:
                opened.remove_snap(kept)  # out of sight; the clone keeps what it needs of it

    def finish(self, name: str) -> None:
        with said(f"image {name}"):
            rbd.RBD().rename(self.io(), f"making-{name}", name)

    def delete(self, name: str) -> bool:
        image, snapshot = self._place(name)
        if name.startswith((SNAP, KEPT)):
            return self._forget(name, image, snapshot)
        draft = self._remove(f"making-{name}")
        return self._remove(name) or draft

    def _forget(self, name: str, image: str, snapshot: str | None) -> bool:
        gone = False
        if snapshot and self.size(name) is not None:
            self.ctx.effect("snapshot")
            with self.image(image, writing=True) as opened:
                opened.remove_snap(snapshot)
                gone = True
        with said(SNAPSHOTS), contextlib.suppress(rados.ObjectNotFound), rados.WriteOpCtx() as op:
            self.io().remove_omap_keys(op, (name,))
            self.io().operate_write_op(op, SNAPSHOTS)
        return gone

    def _remove(self, name: str) -> bool:
        """Remove an image; one that clones still read from goes when the last of them has gone."""
        if self.size(name) is None:
            return False
        self.ctx.effect("remove")
        if name.startswith("making-"):
            self.evict(name)  # of a killed call, which holds the image for half a minute; who made it has the lock
        with self.image(name) as opened:
            watchers, kept = list(opened.watchers_list()), snaps(opened)
        if [one for one in kept if not one.startswith(KEPT)]:
            raise BackendError(f"{name} has snapshots.", "InUse")
        if watchers:
            raise BackendError(f"{name} is open at {watchers[0]['addr']}.", "InUse")
        for one in kept:
            self._forget(one, name, one)
        with said(f"image {name}"):
            try:
                rbd.RBD().remove(self.io(), name)
            except rbd.ImageHasSnapshots:
                rbd.RBD().trash_move(self.io(), name)
        self._sweep()
        return True

    def _sweep(self) -> None:
        for one in list(rbd.RBD().trash_list(self.io())):
            if one["name"].startswith(("volume-", "backup-", "making-", BASE)):
                with contextlib.suppress(rbd.Error):  # a clone still reads from it; its turn comes
                    rbd.RBD().trash_remove(self.io(), one["id"])

    def extend(self, name: str, size: int) -> None:
        with self.image(name, writing=True) as opened:
            if opened.size() < size:
                self.ctx.effect("resize")
                opened.resize(size)

    def snapshot(self, name: str, source: str) -> None:
        self.ctx.effect("snapshot")
        with said(SNAPSHOTS), rados.WriteOpCtx() as op:
            self.io().set_omap(op, (name,), (source.encode(),))
            self.io().operate_write_op(op, SNAPSHOTS)
        with self.image(source, writing=True) as opened:
            if name not in [one["name"] for one in opened.list_snaps()]:
                snap(opened, name)

    def _place(self, name: str) -> tuple[str, str | None]:
        """The image, and the snapshot of it that is meant."""
        if name.startswith(BASE):
            return name, SNAPSHOT
        if not name.startswith((SNAP, KEPT)):
            return name, None
        io, found = self.io(), []
        with contextlib.suppress(rados.ObjectNotFound), rados.ReadOpCtx() as op:
            values, _code = io.get_omap_vals_by_keys(op, (name,))
            io.operate_read_op(op, SNAPSHOTS)
            found = [value for _key, value in values]
        return (found[0].decode(), name) if found else (name, None)

    @contextlib.contextmanager
    def opened(self, where: str, writing: bool = False) -> Iterator[Blocks]:
        image, _at, snapshot = where.partition("/")[2].partition(":")[0].partition("@")
        with self.image(image, snapshot or None, writing) as opened:
            yield rbd_blocks.ImageBlocks(opened)

    def still(self, name: str) -> str:
        return named("kept", name)

    def changed(self, snapshot: str, since: str) -> set[int] | None:
        image, at = self._place(snapshot)
        with self.image(image, at) as opened:
            return rbd_blocks.touched(opened, since) if since in snaps(opened) else None

    def settle(self, snapshot: str, done: bool) -> None:
        """The snapshot of the last backup stays until the next, which then reads what has changed since."""
        image, _at = self._place(snapshot)
        with self.image(image) as opened:
            kept = [one for one in snaps(opened) if one.startswith(KEPT)]
        for one in kept:
            if (one != snapshot) == done:
                self.delete(one)

    def usage(self) -> dict[str, float]:
        pools = self.ask("df")["pools"]
        found = next(one["stats"] for one in pools if one["name"] == self.pool)
        stored, free = found.get("stored", found.get("bytes_used", 0)), found["max_avail"]
        return {"total": (stored + free) / GIB, "used": stored / GIB}

    def export(self, name: str, op: dict[str, Any]) -> dict[str, Any]:
        volume_id, host = str(op["id"]), str(op["initiator"])
        user = cephx.user(volume_id, host)
        key, osd = cephx.key(str(op["secret"]), host), cephx.caps(self.pool, name, self._ids(name))
        users = self._users(volume_id)
        others = {} if op.get("shared") else {one: told for one, told in users.items() if one != user}
        changed = bool(others) or users.get(user) != {"key": key, "caps": {"mon": cephx.MON, "osd": osd}}
        if changed and not self.ctx.check_mode:
            self._shut_out(name, others)
            self.ctx.effect("user")
            self.ask("auth import", cephx.keyring(user, key, osd))
        where = {"protocol": "rbd", "pool": self.pool, "name": name, "monitors": self._monitors(), "user": user}
        return {"changed": changed, **where}

    def unexport(self, name: str, op: dict[str, Any]) -> bool:
        """Those that hold the image open are shut out at once, and for ever by taking the key away."""
        volume_id = str(op["id"])
        found = self._users(volume_id)
        if op.get("initiator"):
            user = cephx.user(volume_id, str(op["initiator"]))
            found = {user: found[user]} if user in found else {}
        if found and not self.ctx.check_mode:
            self._shut_out(name, found)
        return bool(found)

    def _shut_out(self, name: str, users: Iterable[str]) -> None:
        """The keys go last: whoever dies in between finds them again and does the rest."""
        users = list(users)
        if not users:
            return
        for user in users:
            self.ctx.effect("caps")
            self.ask("auth caps", entity=f"client.{user}", caps=["mon", "allow r"])
        self.evict(name)
        for user in users:
            self.ask("auth rm", entity=f"client.{user}")

    def _users(self, volume_id: str) -> dict[str, dict[str, Any]]:
        """Key and rights of the users of one volume."""
        start = f"client.{cephx.owner(volume_id)}"
        found = [one for one in self.ask("auth ls")["auth_dump"] if str(one["entity"]).startswith(start)]
        return {str(one["entity"])[len("client.") :]: {"key": one["key"], "caps": one["caps"]} for one in found}

    def _ids(self, name: str) -> list[str]:
        """The image's id, and those of the images it was cloned from."""
        found: list[str] = []
        with said(f"image {name}"):
            opened = rbd.Image(self.io(), name, read_only=True)
            while True:
                with opened:
                    found.append(opened.id())
                    try:
                        parent = opened.parent_id()
                    except rbd.ImageNotFound:
                        return found
                opened = rbd.Image(self.io(), image_id=parent, read_only=True)

    def _monitors(self) -> list[str]:
        wanted = []
        for mon in self.ask("mon dump")["mons"]:
            by_type = {one["type"]: one["addr"] for one in mon["public_addrs"]["addrvec"]}
            wanted.append(str(by_type.get("v2") or by_type["v1"]))
        return wanted
