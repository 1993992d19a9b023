# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pool of a Ceph cluster: connected when first needed, asked by its library, its errors as ours."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver

try:
    import rados
    import rbd
except ImportError:  # said when a backend of this driver is used
    rados = rbd = None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

CONF = "/etc/ceph/ceph.conf"
# An operation that gets no answer ends with an error; without these it waits for ever.
PATIENCE = {"client_mount_timeout": "20", "rados_mon_op_timeout": "30", "rados_osd_op_timeout": "60"}
SHUT_OUT = 86400.0  # seconds; by then no ticket of a removed user is worth anything
NOTICED = 5.0  # seconds in which the cluster drops those that are shut out


class Pool(Driver):
    """The pool of one backend."""

    _kept: Any = None

    def __init__(self, ctx: Context, options: dict[str, Any]) -> None:
        super().__init__(ctx, options)
        self._ending = contextlib.ExitStack()

    @property
    def pool(self) -> str:
        """Its name in the cluster."""
        return str(self.options["pool"])

    @property
    def conf(self) -> str:
        """Where the cluster is described."""
        return str(self.options.get("conf") or CONF)

    @property
    def _cluster(self) -> Any:
        self.io()
        return self._kept[0]

    def io(self) -> Any:
        """The pool, connected to when first needed."""
        if rados is None:
            raise BackendError("python3-rados and python3-rbd are not installed: run agentless.cloud.site.")
        if self._kept is None:
            about = {**PATIENCE, "rbd_default_clone_format": "2"}
            try:
                with contextlib.ExitStack() as ending:
                    cluster = rados.Rados(rados_id=str(self.options["user"]), conffile=self.conf, conf=about)
                    ending.callback(cluster.shutdown)
                    cluster.connect(timeout=20)
                    io = cluster.open_ioctx(self.pool)
                    ending.callback(io.close)
                    self._kept, self._ending = (cluster, io), ending.pop_all()
            except rados.Error as exc:
                raise BackendError(f"Ceph pool {self.pool} is not reached: {exc}.") from exc
        return self._kept[1]

    def close(self) -> None:
        """End the library's threads, which otherwise meet what the process destroys at its end."""
        self._kept = None
        self._ending.close()

    @contextlib.contextmanager
    def image(self, name: str, snapshot: str | None = None, writing: bool = False) -> Iterator[Any]:
        """Open an image, or a snapshot of it.

        :raises Missing: there is none.
        """
        with said(f"image {name}"), rbd.Image(self.io(), name, read_only=not writing) as image:
            if snapshot is not None:
                # Not named while opening: the library then ends the opening in a thread that nothing waits for, and
                # a close soon after frees what this thread still locks. The process crashes or hangs.
                image.set_snap(snapshot)
            yield image

    def evict(self, name: str) -> None:
        """Shut out, at once and for a day, whoever has an image open."""
        with contextlib.suppress(Missing), self.image(name) as opened:
            for address in {str(one["addr"]) for one in opened.watchers_list()}:
                self.ask("osd blocklist", blocklistop="add", addr=address, expire=SHUT_OUT)
            deadline = time.monotonic() + NOTICED
            while list(opened.watchers_list()) and time.monotonic() < deadline:
                time.sleep(0.1)

    def ask(self, prefix: str, stdin: str = "", **more: Any) -> Any:
        """An order to the monitors; a keyring travels beside it."""
        order = json.dumps({"prefix": prefix, "format": "json", **more})
        code, out, why = self._cluster.mon_command(order, stdin.encode())
        if code:
            raise BackendError(f"Ceph did not carry out '{prefix}': {why or code}.")
        return json.loads(out) if out.strip() else None


class Missing(BackendError):
    """There is no such image."""


@contextlib.contextmanager
def said(what: str) -> Iterator[None]:
    """Ceph's errors as ours."""
    try:
        yield
    except rbd.ImageNotFound as exc:
        raise Missing(f"Ceph: {what}: {exc}", "NotFound") from exc
    except (rados.Error, rbd.Error) as exc:
        raise BackendError(f"Ceph: {what}: {exc}") from exc


def snap(image: Any, name: str) -> None:
    """Whoever writes lets go of the image's lock for the moment, so that all it was told to be written is in."""
    image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
    try:
        image.create_snap(name)
    finally:
        image.lock_release()


def snaps(image: Any) -> list[str]:
    """Snapshots that somebody made, without those that Ceph keeps for clones."""
    return [str(one["name"]) for one in image.list_snaps() if one["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER]
