# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as images in a pool of Ceph. QEMU reaches them by itself; the storage host only gives orders.

New images read zeros. A snapshot lives under its image; which one that is stands in one object of the pool. Clones
are copy-on-write, and the library lets a snapshot go while clones live, so nothing is protected.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import GIB, Driver

try:
    import rados
    import rbd
except ImportError:  # said when a backend of this driver is used
    rados = rbd = None

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONF = "/etc/ceph/ceph.conf"
SNAP = "snap-"  # how the names of snapshots begin
SNAPSHOTS = "agentless_snapshots"
SHUT_OUT = 86400.0  # seconds; by then no ticket of a removed user is worth anything
# An operation that gets no answer ends with an error; without these it waits for ever.
PATIENCE = {"client_mount_timeout": "20", "rados_mon_op_timeout": "30", "rados_osd_op_timeout": "60"}


class Rbd(Driver):
    """One pool of one Ceph cluster."""

    protocol = "rbd"
    atomic = True
    _kept: Any = None

    @property
    def capabilities(self) -> dict[str, Any]:
        return {"thin": True, "snapshots": True, "clones": True, "online_extend": True}

    @property
    def _pool(self) -> str:
        return str(self.options["pool"])

    @property
    def _conf(self) -> str:
        return str(self.options.get("conf") or CONF)

    @property
    def _cluster(self) -> Any:
        self._io()
        return self._kept[0]

    def _io(self) -> Any:
        """The pool, connected to when first needed."""
        if rados is None:
            raise BackendError("python3-rados and python3-rbd are not installed: run agentless.cloud.site.")
        if self._kept is None:
            conf = {**PATIENCE, "rbd_default_clone_format": "2"}
            try:
                cluster = rados.Rados(rados_id=str(self.options["user"]), conffile=self._conf, conf=conf)
                cluster.connect(timeout=20)
                self._kept = (cluster, cluster.open_ioctx(self._pool))
            except rados.Error as exc:
                raise BackendError(f"Ceph pool {self._pool} is not reached: {exc}.") from exc
        return self._kept[1]

    @contextlib.contextmanager
    def _image(self, name: str, snapshot: str | None = None, writing: bool = False) -> Iterator[Any]:
        with _said(f"image {name}"), rbd.Image(self._io(), name, snapshot, read_only=not writing) as image:
            yield image

    def path(self, name: str) -> str:
        """For QEMU's tools, which read the key from the user's own keyring."""
        image, snapshot = self._place(name)
        at = f"@{snapshot}" if snapshot else ""
        conf = self._conf.replace(":", "\\:")
        return f"rbd:{self._pool}/{image}{at}:id={self.options['user']}:conf={conf}"

    def size(self, name: str) -> int | None:
        image, snapshot = self._place(name)
        try:
            with self._image(image, snapshot) as opened:
                return int(opened.size())
        except _Missing:
            return None

    def make(self, name: str, size: int, source: str | None) -> str:
        draft = f"making-{name}"
        self._remove(draft)
        self.ctx.effect("image")
        with _said(f"image {draft}"):
            if source is None:
                rbd.RBD().create(self._io(), draft, size)
            else:
                self._clone(source, draft)
        if (self.size(draft) or 0) < size:
            self.extend(draft, size)
        return self.path(draft)

    def _clone(self, source: str, draft: str) -> None:
        image, snapshot = self._place(source)
        clone = rbd.RBD().clone
        if snapshot:
            clone(self._io(), image, snapshot, self._io(), draft)
            return
        with self._image(image, writing=True) as opened:
            kept = f"for-{draft}"
            if kept not in [one["name"] for one in opened.list_snaps()]:
                _snap(opened, kept)
            try:
                clone(self._io(), image, kept, self._io(), draft)
            finally:
                opened.remove_snap(kept)  # out of sight; the clone keeps what it needs of it

    def finish(self, name: str) -> None:
        with _said(f"image {name}"):
            rbd.RBD().rename(self._io(), f"making-{name}", name)

    def delete(self, name: str) -> bool:
        image, snapshot = self._place(name)
        if name.startswith(SNAP):
            return self._forget(name, image, snapshot)
        draft = self._remove(f"making-{name}")
        return self._remove(name) or draft

    def _forget(self, name: str, image: str, snapshot: str | None) -> bool:
        gone = False
        if snapshot and self.size(name) is not None:
            self.ctx.effect("snapshot")
            with self._image(image, writing=True) as opened:
                opened.remove_snap(snapshot)
                gone = True
        with _said(SNAPSHOTS), rados.WriteOpCtx() as op:
            self._io().remove_omap_keys(op, (name,))
            self._io().operate_write_op(op, SNAPSHOTS)
        return gone

    def _remove(self, name: str) -> bool:
        """Remove an image; one that clones still read from goes when the last of them has gone."""
        if self.size(name) is None:
            return False
        self.ctx.effect("remove")
        with self._image(name) as opened:
            watchers = list(opened.watchers_list())
            if [one for one in opened.list_snaps() if one["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER]:
                raise BackendError(f"{name} has snapshots.", "InUse")
        if watchers:
            raise BackendError(f"{name} is open at {watchers[0]['addr']}.", "InUse")
        with _said(f"image {name}"):
            try:
                rbd.RBD().remove(self._io(), name)
            except rbd.ImageHasSnapshots:
                rbd.RBD().trash_move(self._io(), name)
        self._sweep()
        return True

    def _sweep(self) -> None:
        for one in list(rbd.RBD().trash_list(self._io())):
            if one["name"].startswith(("volume-", "backup-", "making-")):
                with contextlib.suppress(rbd.Error):  # a clone still reads from it; its turn comes
                    rbd.RBD().trash_remove(self._io(), one["id"])

    def extend(self, name: str, size: int) -> None:
        with self._image(name, writing=True) as opened:
            if opened.size() < size:
                self.ctx.effect("resize")
                opened.resize(size)

    def snapshot(self, name: str, source: str) -> None:
        self.ctx.effect("snapshot")
        with _said(SNAPSHOTS), rados.WriteOpCtx() as op:
            self._io().set_omap(op, (name,), (source.encode(),))
            self._io().operate_write_op(op, SNAPSHOTS)
        with self._image(source, writing=True) as opened:
            if name not in [one["name"] for one in opened.list_snaps()]:
                _snap(opened, name)

    def _place(self, name: str) -> tuple[str, str | None]:
        """The image, and the snapshot of it that is meant."""
        if not name.startswith(SNAP):
            return name, None
        io, found = self._io(), []
        with contextlib.suppress(rados.ObjectNotFound), rados.ReadOpCtx() as op:
            values, _code = io.get_omap_vals_by_keys(op, (name,))
            io.operate_read_op(op, SNAPSHOTS)
            found = [value for _key, value in values]
        return (found[0].decode(), name) if found else (name, None)

    def usage(self) -> dict[str, float]:
        pools = self._ask("df")["pools"]
        found = next(one["stats"] for one in pools if one["name"] == self._pool)
        stored, free = found.get("stored", found.get("bytes_used", 0)), found["max_avail"]
        return {"total": (stored + free) / GIB, "used": stored / GIB}

    def export(self, name: str, op: dict[str, Any]) -> dict[str, Any]:
        volume_id, host = str(op["id"]), str(op["initiator"])
        user = cephx.user(volume_id, host)
        key, osd = cephx.key(str(op["secret"]), host), cephx.caps(self._pool, name, self._ids(name))
        users = self._users(volume_id)
        others = {} if op.get("shared") else {one: told for one, told in users.items() if one != user}
        changed = bool(others) or users.get(user) != {"key": key, "caps": {"mon": cephx.MON, "osd": osd}}
        if changed and not self.ctx.check_mode:
            self._shut_out(name, others)
            self.ctx.effect("user")
            self._ask("auth import", cephx.keyring(user, key, osd))
        where = {"protocol": "rbd", "pool": self._pool, "name": name, "monitors": self._monitors(), "user": user}
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
            self._ask("auth caps", entity=f"client.{user}", caps=["mon", "allow r"])
        with contextlib.suppress(_Missing), self._image(name) as opened:
            for address in {str(one["addr"]) for one in opened.watchers_list()}:
                self._ask("osd blocklist", blocklistop="add", addr=address, expire=SHUT_OUT)
        for user in users:
            self._ask("auth rm", entity=f"client.{user}")

    def _users(self, volume_id: str) -> dict[str, dict[str, Any]]:
        """Key and rights of the users of one volume."""
        start = f"client.{cephx.owner(volume_id)}"
        found = [one for one in self._ask("auth ls")["auth_dump"] if str(one["entity"]).startswith(start)]
        return {str(one["entity"])[len("client.") :]: {"key": one["key"], "caps": one["caps"]} for one in found}

    def _ids(self, name: str) -> list[str]:
        """The image's id, and those of the images it was cloned from."""
        found: list[str] = []
        with _said(f"image {name}"):
            opened = rbd.Image(self._io(), name, read_only=True)
            while True:
                with opened:
                    found.append(opened.id())
                    try:
                        parent = opened.parent_id()
                    except rbd.ImageNotFound:
                        return found
                opened = rbd.Image(self._io(), image_id=parent, read_only=True)

    def _monitors(self) -> list[str]:
        wanted = []
        for mon in self._ask("mon dump")["mons"]:
            by_type = {one["type"]: one["addr"] for one in mon["public_addrs"]["addrvec"]}
            wanted.append(str(by_type.get("v2") or by_type["v1"]))
        return wanted

    def _ask(self, prefix: str, stdin: str = "", **more: Any) -> Any:
        """An order to the monitors; a keyring travels beside it."""
        order = json.dumps({"prefix": prefix, "format": "json", **more})
        code, out, said = self._cluster.mon_command(order, stdin.encode())
        if code:
            raise BackendError(f"Ceph did not carry out '{prefix}': {said or code}.")
        return json.loads(out) if out.strip() else None


class _Missing(BackendError):
    """There is no such image."""


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    """Ceph's errors as ours."""
    try:
        yield
    except rbd.ImageNotFound as exc:
        raise _Missing(f"Ceph: {what}: {exc}", "NotFound") from exc
    except (rados.Error, rbd.Error) as exc:
        raise BackendError(f"Ceph: {what}: {exc}") from exc


def _snap(image: Any, name: str) -> None:
    """Whoever writes lets go of the image's lock for the moment, so that all it was told to be written is in."""
    image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
    try:
        image.create_snap(name)
    finally:
        image.lock_release()
