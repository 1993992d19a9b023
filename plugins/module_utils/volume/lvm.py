# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as logical volumes, thin or thick."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import GIB, Driver

WIPE = 6 * 3600


def rows(text: str) -> list[list[str]]:
    """The fields of a report whose separator is a bar."""
    return [[field.strip() for field in line.split("|")] for line in text.splitlines() if line.strip()]


class Lvm(Driver):
    """Thin volumes read zeros because the pool zeroes new blocks; thick ones are wiped when made and when deleted."""

    @property
    def _vg(self) -> str:
        return str(self.options["vg"])

    @property
    def _thin(self) -> bool:
        return bool(self.options.get("thin", True))

    def _report(self, command: str, fields: str, *more: str) -> list[list[str]]:
        argv = [command, "--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "-o", fields, *more]
        return rows(self.ctx.run(argv).stdout)

    def size(self, name: str) -> int | None:
        found = dict(row[:2] for row in self._report("lvs", "lv_name,lv_size", self._vg))
        return int(found[name]) if name in found else None

    def path(self, name: str) -> str:
        return f"/dev/{self._vg}/{name}"

    def make(self, name: str, size: int, source: str | None) -> str:
        draft = f"making-{name}"
        self._remove(draft)
        self.ctx.effect("lvcreate")
        if source and not self._thin:
            raise BackendError("A thick logical volume cannot be cloned.", "NotSupported")
        if source:
            origin = f"{self._vg}/{source}"
            self.ctx.run(["lvcreate", "-y", "-s", "-kn", "-prw", "-ay", "-K", "-n", draft, origin])
            if (self.size(draft) or 0) < size:
                self.ctx.run(["lvextend", "-L", f"{size}b", f"{self._vg}/{draft}"])
        elif self._thin:
            self._zeroing()
            argv = ["lvcreate", "-y", "-V", f"{size}b", "-n", draft, "--thinpool", f"{self._vg}/{self.options['pool']}"]
            self.ctx.run(argv)
        else:
            self.ctx.run(["lvcreate", "-y", "-Wn", "-L", f"{size}b", "-n", draft, self._vg])
            self._wipe(draft)
        return self.path(draft)

    def finish(self, name: str) -> None:
        self.ctx.run(["lvrename", self._vg, f"making-{name}", name])

    def delete(self, name: str) -> bool:
        draft = self._remove(f"making-{name}")
        return self._remove(name) or draft

    def extend(self, name: str, size: int) -> None:
        if not self._thin:
            # The added extents may hold what another tenant wrote before this role had the group.
            raise BackendError("A thick logical volume cannot be extended yet.", "NotSupported")
        self._zeroing()
        self.ctx.effect("lvextend")
        self.ctx.run(["lvextend", "-L", f"{size}b", f"{self._vg}/{name}"])

    def snapshot(self, name: str, source: str) -> None:
        if not self._thin:
            raise BackendError("A thick logical volume has no snapshots.", "NotSupported")
        self.ctx.effect("lvcreate")
        self.ctx.run(["lvcreate", "-y", "-s", "-pr", "-n", name, f"{self._vg}/{source}"])

    def usage(self) -> dict[str, float]:
        if self._thin:
            pool = f"{self._vg}/{self.options['pool']}"
            total, percent = self._report("lvs", "lv_size,data_percent", pool)[0]
            return {"total": int(total) / GIB, "used": int(total) * float(percent or 0) / 100 / GIB}
        total, free = self._report("vgs", "vg_size,vg_free", self._vg)[0]
        return {"total": int(total) / GIB, "used": (int(total) - int(free)) / GIB}

    def _zeroing(self) -> None:
        found: Any = self._report("lvs", "zero", f"{self._vg}/{self.options['pool']}")
        if found != [["zero"]] and found != [["1"]]:
            raise BackendError("The thin pool does not zero new blocks: set it with 'lvchange --zero y'.")

    def _wipe(self, name: str) -> None:
        self.ctx.run(["blkdiscard", "-z", self.path(name)], timeout=WIPE)

    def _remove(self, name: str) -> bool:
        if self.size(name) is None:
            return False
        self.ctx.effect("lvremove")
        if not self._thin:
            self._wipe(name)
        self.ctx.run(["lvremove", "-y", f"{self._vg}/{name}"])
        return True
