# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One device over all ways to a volume, by device mapper.

The role has multipathd take only what is named to it (``find_multipaths strict``), so that it never grabs a disk of the
host; a volume is named while it is attached.
"""

from __future__ import annotations

import glob
import os
import time
from typing import TYPE_CHECKING

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

TIMEOUT = 5  # seconds before a lost session's writes go another way
PATIENCE = 30
_TRIES = 5
_LOOK = 0.2


def runs(ctx: Context) -> bool:
    """Whether multipathd answers, and takes nothing by itself."""
    try:
        told = ctx.run(["multipathd", "show", "config", "local"], timeout=10, check=False)
    except BackendError:
        return False
    words = {tuple(line.split()) for line in told.stdout.splitlines()}
    return bool({("find_multipaths", '"strict"'), ("find_multipaths", "strict")} & words)


def assemble(ctx: Context, volume_id: str, disks: Sequence[str]) -> None:
    """Have the map over these disks."""
    path = connections.map_path(volume_id)
    for disk in disks:
        ctx.run(["multipath", "-a", f"/dev/{disk}"])
        ctx.run(["multipathd", "add", "path", disk], check=False)
    deadline = time.monotonic() + PATIENCE
    while not set(disks) <= set(_slaves(path)):
        if time.monotonic() > deadline:
            raise BackendError(f"multipathd made no map of volume {volume_id}.", error="Timeout")
        time.sleep(_LOOK)


def check(path: str, disks: Sequence[str]) -> None:
    """Refuse a map with a way in it that is not ours: we have not read its serial number."""
    strange = sorted(set(_slaves(path)) - set(disks))
    if strange:
        raise BackendError(f"{path} has a way that is no session of the volume: {strange[0]}.")


def maps(disks: Sequence[str]) -> list[str]:
    """The maps that stand on these disks, such as ``dm-3``."""
    return [os.path.basename(one) for disk in disks for one in glob.glob(f"/sys/block/{disk}/holders/dm-*")]


def resize(ctx: Context, volume_id: str) -> None:
    """Have the map as large as its disks are now."""
    ctx.run(["multipathd", "resize", "map", connections.wwid(volume_id)])


def remove(ctx: Context, volume_id: str, disks: Sequence[str]) -> None:
    """Have no map of the volume, and none made again; what it holds is flushed.

    :raises BackendError: somebody has it open.
    """
    for disk in disks:
        ctx.run(["multipath", "-w", f"/dev/{disk}"], check=False)
    path, said = connections.map_path(volume_id), ""
    for _turn in range(_TRIES):
        if not os.path.exists(path):
            return
        said = ctx.run(["multipath", "-f", connections.wwid(volume_id)], timeout=90, check=False).stdout.strip()
        if os.path.exists(path):
            time.sleep(_LOOK)
    raise BackendError(f"The map of volume {volume_id} does not go: {said[-500:] or 'it is in use'}")


def _slaves(path: str) -> list[str]:
    try:
        return os.listdir(f"/sys/class/block/{os.path.basename(os.path.realpath(path))}/slaves")
    except OSError:
        return []
