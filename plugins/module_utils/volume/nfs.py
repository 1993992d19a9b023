# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as files that compute hosts reach over NFS with QEMU's own client; nothing is mounted there.

NFS believes a client whatever user it names. So a volume belongs to a user made of its id and the name of the host
while that host holds it, and to root otherwise: the server looks at every read and write, and a host that was shut out
gets no further, also with the file open. It does not stop who is root on another host that may reach the export.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.volume.file import File

ROOT = 0
# Users that no system gives out: above all ranges of useradd and of containers, below the sign bit.
FIRST_USER, USERS = 1 << 30, 1 << 30


class Nfs(File):
    """The directory is local to this host, which exports it."""

    protocol = "nfs"

    @property
    def capabilities(self) -> dict[str, Any]:
        return {**super().capabilities, "online_extend": True}

    def export(self, name: str, op: dict[str, Any]) -> dict[str, Any]:
        path, uid = self.path(name), owner(op)
        changed = os.stat(path).st_uid != uid
        if changed and not self.ctx.check_mode:
            self.ctx.effect("chown")
            os.chown(path, uid, ROOT)
        return {"changed": changed, "protocol": "nfs", "host": str(self.options["server"]), "path": path, "uid": uid}

    def unexport(self, name: str, op: dict[str, Any]) -> bool:
        if self.size(name) is None:
            return False
        path = self.path(name)
        now = os.stat(path).st_uid
        # A volume that went to another host meanwhile is that host's.
        changed = now != ROOT and (not op.get("initiator") or now == owner(op))
        if changed and not self.ctx.check_mode:
            self.ctx.effect("chown")
            os.chown(path, ROOT, ROOT)
        return changed


def owner(op: dict[str, Any]) -> int:
    """Return the user that owns a volume while this host, or with ``shared`` any host, holds it."""
    host = "" if op.get("shared") else str(op["initiator"])
    made = hashlib.sha256(f"{op['id']} {host}".encode()).digest()
    return FIRST_USER + int.from_bytes(made[:4], "big") % USERS
