# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as files in a volume of Gluster. QEMU on compute hosts speaks its protocol; this host mounts it.

Gluster knows no users beside the numbers that clients name. A volume belongs to QEMU's user while a host holds it and
to root otherwise, which keeps it from being opened; who has it open already is not stopped by it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.volume.file import File

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

MOUNTS = "/run/agentless-gluster"
HOLDERS = "user.agentless.holders"
PORT = 24007
QEMU = 64055  # Debian's user libvirt-qemu, which has this number everywhere
ROOT = 0


class Gluster(File):
    """One volume of Gluster, mounted where only root looks."""

    protocol = "gluster"

    def __init__(self, ctx: Context, options: dict[str, Any]) -> None:
        super().__init__(ctx, {**options, "path": os.path.join(MOUNTS, str(options["volume"]))})

    @property
    def capabilities(self) -> dict[str, Any]:
        return {**super().capabilities, "online_extend": True}

    def path(self, name: str) -> str:
        self._mount()
        return super().path(name)

    def usage(self) -> dict[str, float]:
        self._mount()
        return super().usage()

    def _mount(self) -> None:
        volume, servers = str(self.options["volume"]), [str(one) for one in self.options["servers"]]
        where = str(self.options["path"])
        try:
            mounted = os.stat(where).st_dev != os.stat(MOUNTS).st_dev
        except FileNotFoundError:
            mounted = False
        except OSError as exc:
            if exc.errno != errno.ENOTCONN:
                raise
            self.ctx.run(["umount", "--lazy", where])  # its process is gone
            mounted = False
        if not mounted:
            os.makedirs(where, mode=0o700, exist_ok=True)
            more = ["-o", "backup-volfile-servers=" + ":".join(servers[1:])] if servers[1:] else []
            self.ctx.run(["mount", "-t", "glusterfs", *more, f"{servers[0]}:/{volume}", where])

    def export(self, name: str, op: dict[str, Any]) -> dict[str, Any]:
        held = self._holders(name) if op.get("shared") else set()
        changed = self._give(name, held | {str(op["initiator"])})
        hosts = [f"{_bracketed(str(one))}:{PORT}" for one in self.options["servers"]]
        where = {"hosts": hosts, "volume": str(self.options["volume"]), "path": name}
        return {"changed": changed, "protocol": "gluster", **where}

    def unexport(self, name: str, op: dict[str, Any]) -> bool:
        if self.size(name) is None:
            return False
        return self._give(name, self._holders(name) - {op["initiator"]} if op.get("initiator") else set())

    def _holders(self, name: str) -> set[str]:
        """The hosts that hold the volume, as stands with the file itself."""
        path = self.path(name)
        kept = os.getxattr(path, HOLDERS).decode() if HOLDERS in os.listxattr(path) else ""
        return set(kept.split())

    def _give(self, name: str, holders: set[str]) -> bool:
        path, owner = self.path(name), int(self.options.get("owner") or QEMU) if holders else ROOT
        changed = os.stat(path).st_uid != owner or self._holders(name) != holders
        if changed and not self.ctx.check_mode:
            self.ctx.effect("chown")
            os.setxattr(path, HOLDERS, " ".join(sorted(holders)).encode())
            os.chown(path, owner, owner)
        return changed


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
