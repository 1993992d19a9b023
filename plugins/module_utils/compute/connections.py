# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a compute host reaches a volume, and where its device is then. Pure; what is wrong is a ``ValueError``."""

from __future__ import annotations

import re
import uuid
from typing import Any

QEMU, HOST, MULTIPATH = "qemu", "host", "multipath"
# QEMU's own client; the host's initiator; that one by all portals at once.
CONNECTIONS = (QEMU, HOST, MULTIPATH)
SPEC = "connection"  # what says so among the extra specs of a volume type

_TARGET = re.compile(r"^iqn[a-z0-9.:-]{1,220}$")  # becomes part of paths
_PORTAL = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::(?P<port>[0-9]{1,5}))?$")


def known(connection: Any) -> str:
    """The word, if it is one of :data:`CONNECTIONS`.

    :raises ValueError: it is none.
    """
    if connection not in CONNECTIONS:
        raise ValueError(f"{SPEC} is one of {', '.join(CONNECTIONS)}, not {connection!r}")
    return str(connection)


def by_host(volume: dict[str, Any]) -> bool:
    """Whether the host itself logs in to the volume, and the guest gets the device."""
    return known(volume.get("connection") or QEMU) != QEMU


def device_path(volume: dict[str, Any]) -> str:
    """Where udev shows the volume that the host has logged in to; no other volume is ever shown there.

    :raises ValueError: it is not reached by iSCSI.
    """
    given = volume["source"]
    if given.get("protocol") != "iscsi":
        raise ValueError(f"the host cannot log in to what is reached by {given.get('protocol')!r}")
    if volume["connection"] == MULTIPATH:
        return map_path(volume["id"])
    address, port = split(portals(volume)[0])
    return f"/dev/disk/by-path/ip-{address}:{port}-iscsi-{target(given['iqn'])}-lun-{int(given.get('lun', 0))}"


def map_path(volume_id: str) -> str:
    """Where udev shows the map over all ways to a volume."""
    return f"/dev/disk/by-id/dm-uuid-mpath-{wwid(volume_id)}"


def wwid(volume_id: str) -> str:
    """What the volume is called by the world: the kernel's target makes it of the serial number, as long as it goes."""
    return f"36001405{uuid.UUID(volume_id).hex[:25]}"


def portals(volume: dict[str, Any]) -> list[str]:
    """The portals that the host logs in by: all of them for multipath, else the first."""
    given = volume["source"]
    found = [str(one) for one in given.get("portals") or [given["portal"]]]
    for one in found:
        split(one)
    return found if volume["connection"] == MULTIPATH else found[:1]


def target(iqn: Any) -> str:
    """The name of a target, which becomes part of paths.

    :raises ValueError: it is none.
    """
    if not isinstance(iqn, str) or not _TARGET.match(iqn):
        raise ValueError(f"{iqn!r} is not the name of a target")
    return iqn


def split(portal: str) -> tuple[str, str]:
    """Address and port of a portal, without brackets.

    :raises ValueError: it is none.
    """
    found = _PORTAL.match(str(portal))
    if found is None:
        raise ValueError(f"{portal!r} is not an address with a port")
    return found.group("v6") or found.group("name"), found.group("port") or "3260"


def joined(address: str, port: str) -> str:
    """The portal of an address and a port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
