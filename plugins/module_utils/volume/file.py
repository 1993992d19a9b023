# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as raw sparse files in a directory. A new file reads zeros by itself."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import GIB, Driver

COPY = 6 * 3600  # seconds


class File(Driver):
    """A snapshot is a copy, which shares its blocks where the file system can (XFS, Btrfs)."""

    @property
    def capabilities(self) -> dict[str, Any]:
        return {"thin": True, "snapshots": True, "online_extend": True}

    def path(self, name: str) -> str:
        return os.path.join(str(self.options["path"]), name)

    def names(self) -> list[str]:
        return os.listdir(self.path(""))

    def size(self, name: str) -> int | None:
        try:
            return os.stat(self.path(name)).st_size
        except FileNotFoundError:
            return None

    def make(self, name: str, size: int, source: str | None) -> str:
        draft = self.path(f"making-{name}")
        self._unlink(draft)
        self.ctx.effect("file")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if source:
                argv = ["cp", "--reflink=auto", "--sparse=always", self.path(source), draft]
                self.ctx.run(argv, timeout=COPY)
            os.ftruncate(handle, max(size, os.fstat(handle).st_size))
            os.fsync(handle)
        finally:
            os.close(handle)
        return draft

    def finish(self, name: str) -> None:
        self.ctx.effect("rename")
        os.rename(self.path(f"making-{name}"), self.path(name))
        directory = os.open(str(self.options["path"]), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def delete(self, name: str) -> bool:
        there = [each for each in (f"making-{name}", name) if self.size(each) is not None]
        for each in there:
            self.ctx.effect("unlink")
            self._unlink(self.path(each))
        return bool(there)

    def extend(self, name: str, size: int) -> None:
        if size < (self.size(name) or 0):
            raise BackendError(f"{name} is larger than {size} bytes and is not cut.")
        self.ctx.effect("truncate")
        os.truncate(self.path(name), size)

    def snapshot(self, name: str, source: str) -> None:
        self.create(name, 0, source)

    def usage(self) -> dict[str, float]:
        found = os.statvfs(str(self.options["path"]))
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        return {"total": total / GIB, "used": (total - free) / GIB}

    @staticmethod
    def _unlink(path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
