# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as logical volumes, thin or thick. What the group holds is read once a call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import GIB, Driver

if TYPE_CHECKING:
    from collections.abc import Sequence

WIPE = 6 * 3600  # seconds


def rows(text: str) -> list[list[str]]:
    """The fields of a report whose separator is a bar."""
    return [[field.strip() for field in line.split("|")] for line in text.splitlines() if line.strip()]


class Lvm(Driver):
    """Thin volumes read zeros because the pool zeroes new blocks; thick ones are wiped when made and when deleted."""

    def __init__(self, ctx: Any, options: dict[str, Any]) -> None:
        super().__init__(ctx, options)
        self._vg = str(options["vg"])
        self._thin = bool(options.get("thin", True))
        self._pool = str(options.get("pool", ""))
        self._sizes: dict[str, int] | None = None
        self._zeroes = False
        self.atomic = self._thin
        self._cleared: set[str] = set()

    @property
    def capabilities(self) -> dict[str, Any]:
        return {"thin": self._thin, "snapshots": self._thin, "online_extend": True}

    def names(self) -> list[str]:
        return list(self._known())

    def size(self, name: str) -> int | None:
        if self._sizes is None:
            found = self._report("lvs", "lv_name,lv_size,zero", self._vg)
            self._sizes = {row[0]: int(row[1]) for row in found}
            self._zeroes = any(row[0] == self._pool and row[2] in ("zero", "1") for row in found)
        return self._sizes.get(name)

    def path(self, name: str) -> str:
        path = f"/dev/{self._vg}/{name}"
        if self.size(name) is not None and not os.path.exists(path):
            # A thin snapshot is left inactive by default, and a volume may be after an unclean start.
            self._do("lvchange", "-ay", "-K", self._of(name))
        return path

    def make(self, name: str, size: int, source: str | None) -> str:
        draft = f"making-{name}"
        self._remove(draft)
        self._new(draft, size, source)
        return self.path(draft)

    def create(self, name: str, size: int, source: str | None) -> None:
        if not self._thin or (source and (self.size(source) or 0) < size):
            super().create(name, size, source)
            return
        self._remove(f"making-{name}")
        self._new(name, size, source)  # one command, whole or not at all

    def finish(self, name: str) -> None:
        self.ctx.effect("lvrename")
        self._do("lvrename", self._vg, f"making-{name}", name)
        self._known()[name] = self._known().pop(f"making-{name}")

    def delete(self, name: str) -> bool:
        draft = self._remove(f"making-{name}")
        return self._remove(name) or draft or name in self._cleared

    def clear(self, names: Sequence[str]) -> None:
        there = [name for name in names if self._thin and self.size(name) is not None]
        if len(there) < 2:
            return
        self.ctx.effect("lvremove")
        # What it refuses stays, and is refused again in its own turn, with the reason.
        self.ctx.run(["lvremove", "-y", "-q", *map(self._of, there)], timeout=WIPE, check=False)
        self._sizes = None
        self._cleared |= {name for name in there if self.size(name) is None}

    def extend(self, name: str, size: int) -> None:
        before = self.size(name) or 0
        if size < before:
            raise BackendError(f"{name} is larger than {size} bytes and is not cut.")
        self._zeroing()
        more = [] if self._thin else self._wiped(name, size - before)
        self.ctx.effect("lvextend")
        self._do("lvextend", "-y", "-L", f"{size}b", self._of(name), *more)
        self._known()[name] = size

    def _wiped(self, name: str, size: int) -> list[str]:
        """Extents that read zeros already: who has the volume open sees the new ones the moment it grows."""
        draft = f"making-{name}"
        self._remove(draft)
        self._new(draft, size, None)
        found = self._report("lvs", "seg_pe_ranges", "--segments", self._of(draft))
        self._remove(draft, wipe=False)
        return [part for row in found for part in row[0].split()]

    def snapshot(self, name: str, source: str) -> None:
        if not self._thin:
            raise BackendError("A thick logical volume has no snapshots: use a thin backend, or a copy of the volume.")
        self.ctx.effect("lvcreate")
        self._do("lvcreate", "-y", "-q", "-s", "-pr", "-n", name, self._of(source))
        self._known()[name] = self.size(source) or 0

    def usage(self) -> dict[str, float]:
        if self._thin:
            total, percent = self._report("lvs", "lv_size,data_percent", self._of(self._pool))[0]
            return {"total": int(total) / GIB, "used": int(total) * float(percent or 0) / 100 / GIB}
        total, free = self._report("vgs", "vg_size,vg_free", self._vg)[0]
        return {"total": int(total) / GIB, "used": (int(total) - int(free)) / GIB}

    def _new(self, name: str, size: int, source: str | None) -> None:
        self.ctx.effect("lvcreate")
        if source and not self._thin:
            raise BackendError("A thick logical volume cannot be cloned: use a thin backend.")
        if source:
            # Without -kn the copy of a snapshot would be skipped when the group is activated.
            self._do("lvcreate", "-y", "-q", "-s", "-kn", "-prw", "-ay", "-K", "-n", name, self._of(source))
            if (self.size(source) or 0) < size:
                self.ctx.effect("lvextend")
                self._do("lvextend", "-y", "-L", f"{size}b", self._of(name))
        elif self._thin:
            self._zeroing()
            self._do("lvcreate", "-y", "-q", "-V", f"{size}b", "-n", name, "--thinpool", self._of(self._pool))
        else:
            self._do("lvcreate", "-y", "-q", "-Wn", "-Zn", "-L", f"{size}b", "-n", name, self._vg)
            self._wipe(name, 0)
        self._known()[name] = max(size, (self.size(source) or 0) if source else 0)

    def _zeroing(self) -> None:
        self._known()
        if self._thin and not self._zeroes:
            raise BackendError("The thin pool does not zero new blocks: set it with 'lvchange --zero y'.")

    def _wipe(self, name: str, offset: int) -> None:
        self.ctx.effect("blkdiscard")
        self.ctx.run(["blkdiscard", "-z", "-o", str(offset), f"/dev/{self._vg}/{name}"], timeout=WIPE)

    def _remove(self, name: str, wipe: bool = True) -> bool:
        if self.size(name) is None:
            return False
        if wipe and not self._thin:
            self._wipe(os.path.basename(self.path(name)), 0)
        self.ctx.effect("lvremove")
        self._do("lvremove", "-y", "-q", self._of(name))
        self._known().pop(name, None)
        return True

    def _known(self) -> dict[str, int]:
        self.size("")
        return self._sizes if self._sizes is not None else {}

    def _of(self, name: str) -> str:
        return f"{self._vg}/{name}"

    def _do(self, *argv: str) -> None:
        """Change the group. What is known of it is read again after a failure."""
        try:
            self.ctx.run(argv, timeout=WIPE)
        except BackendError:
            self._sizes = None
            raise

    def _report(self, command: str, fields: str, *more: str) -> list[list[str]]:
        argv = [command, "--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "-o", fields, *more]
        return rows(self.ctx.run(argv).stdout)
