# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host stores volumes on, as the role wrote it down. The controller only ever names a backend."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.file import File
from ansible_collections.agentless.cloud.plugins.module_utils.volume.gluster import Gluster
from ansible_collections.agentless.cloud.plugins.module_utils.volume.lvm import Lvm
from ansible_collections.agentless.cloud.plugins.module_utils.volume.nfs import Nfs
from ansible_collections.agentless.cloud.plugins.module_utils.volume.rbd import Rbd

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver

CONFIG = "/etc/agentless/volume.json"
DRIVERS: dict[str, type[Driver]] = {"file": File, "gluster": Gluster, "lvm": Lvm, "nfs": Nfs, "rbd": Rbd}

_NAME = re.compile(r"^[a-z0-9][a-z0-9.-]{0,30}$")


class Config:
    """The backends of this host, and how its targets are called and reached.

    :ivar portals: addresses and ports of the target; whoever comes by one of them alone comes by the first.
    :ivar iqn: how the names of targets begin.
    """

    def __init__(self, ctx: Context, path: str = CONFIG) -> None:
        self._ctx = ctx
        self._made: dict[str, Driver] = {}
        told = _read(path)
        self.portals = [str(each) for each in told.get("portals") or [told.get("portal", "")]]
        self.iqn = str(told.get("iqn", ""))
        self.options: dict[str, dict[str, Any]] = dict(told.get("backends", {}))

    def driver(self, name: Any) -> Driver:
        """The driver of a backend, the same for the whole call.

        :raises BackendError: this host has no such backend.
        """
        if name not in self._made:
            if not isinstance(name, str) or name not in self.options or not _NAME.match(name):
                known = ", ".join(sorted(self.options)) or "none"
                raise BackendError(f"There is no backend {name!r} on this host; it has {known}.", "NotFound")
            kind = str(self.options[name].get("driver"))
            if kind not in DRIVERS:
                raise BackendError(f"The backend {name!r} has the driver {kind!r}, which is not known.")
            self._made[name] = DRIVERS[kind](self._ctx, self.options[name])
        return self._made[name]

    def close(self) -> None:
        """Close the drivers that were made, each whatever became of the others."""
        with contextlib.ExitStack() as stack:
            for driver in self._made.values():
                stack.callback(driver.close)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as handle:
            return dict(json.load(handle))
    except FileNotFoundError as exc:
        raise BackendError(f"{path} is missing: run agentless.cloud.site for this host.") from exc
    except (ValueError, TypeError) as exc:
        raise BackendError(f"{path} cannot be read: {exc}.") from exc
