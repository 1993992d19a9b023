# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a storage host, whoever asked for it: for audits. Reads only."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.config import Config
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.target import Target

CONFIGFS = "/sys/kernel/config/target"

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OURS = re.compile(rf"^(?:making-)?(?:volume|snap|backup|kept)-{_UUID}$")
_LABEL = re.compile(rf"^(?P<backend>[a-z0-9.-]+)\.(?P<name>volume-{_UUID})$")
_BACKUP = re.compile(rf"^(?:making-)?backup-{_UUID}$")


def survey(ctx: Context, config: Config, target: Target) -> dict[str, Any]:
    """Everything of ours: what backends hold (bytes by name), targets with those let in, backstores, backups in files.

    A backend that does not answer is named in ``broken``, and nothing is said of what it holds.
    """
    backends: dict[str, dict[str, int]] = {}
    broken: dict[str, str] = {}
    for name in sorted(config.options):
        try:
            driver = config.driver(name)
            sizes = {each: driver.size(each) for each in ours(driver.names())}
        except (BackendError, OSError) as exc:
            broken[name] = str(exc)
            continue
        backends[name] = {each: size for each, size in sizes.items() if size is not None}
    folder = os.path.join(ctx.state_dir, "backups")
    kept = os.listdir(folder) if os.path.isdir(folder) else []
    return {
        "changed": False,
        "backends": backends,
        "broken": broken,
        "backups": sorted(name for name in kept if _BACKUP.match(name)),
        **target.listed(),
    }


def ours(names: Iterable[str]) -> list[str]:
    """Those that are named as this collection names what it makes."""
    return sorted(name for name in names if _OURS.match(name))


def exports(base: str, root: str = CONFIGFS) -> dict[str, Any]:
    """Targets whose names begin with ``base``, and backstores named like theirs that have none.

    Read where the kernel shows them, without rtslib, which would make an object of everything.
    """
    targets, used = [], set()
    for iqn in _listed(os.path.join(root, "iscsi")):
        prefix, _colon, label = iqn.partition(":")
        found = _LABEL.match(label)
        if prefix == base and found:
            used.add(label)
            acls = _listed(os.path.join(root, "iscsi", iqn, "tpgt_1", "acls"))
            targets.append({**found.groupdict(), "initiators": acls})
    stores = [one for hba in _listed(os.path.join(root, "core")) for one in _listed(os.path.join(root, "core", hba))]
    return {"targets": targets, "backstores": [one for one in stores if _LABEL.match(one) and one not in used]}


def _listed(path: str) -> list[str]:
    """The directories in one, none where it is not there: it has gone in between, or the module is not loaded."""
    try:
        return sorted(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
