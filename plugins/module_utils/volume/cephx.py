# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ceph's users for volumes: one for each volume and host, who may read and write that one image and nothing else.

Both ends derive the key from the volume's secret and the name of the host, so that it never travels in a reply, and
what one host has kept of it is of no use after the volume went to another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "agentless-"
# What every RBD client may do at the monitors: read the map, and shut out a client by its address, which is how a guest
# whose predecessor died gets the image's lock.
MON = "profile rbd"

_AES = 1


def user(volume_id: str, host: str) -> str:
    """The name of the user; ``host`` is the initiator name of the host that holds the volume."""
    return f"{owner(volume_id)}{hashlib.sha256(host.encode()).hexdigest()[:12]}"


def owner(volume_id: str) -> str:
    """How the names of all users of one volume begin."""
    return f"{PREFIX}{volume_id}-"


def key(secret: str, host: str) -> str:
    """The user's key as Ceph writes it: type, time of making, length, bytes."""
    made = hmac.new(secret.encode(), b"cephx " + host.encode(), hashlib.sha256).digest()[:16]
    return base64.b64encode(struct.pack("<HIIH", _AES, 0, 0, len(made)) + made).decode()


def caps(pool: str, name: str, ids: Sequence[str]) -> str:
    """What the user may do with the objects of an image and, for reading, with those of the images it was cloned from.

    :param ids: of the image itself, its parent, the parent's parent and so on.
    """
    own, *parents = ids
    grants = [f"allow rwx pool={pool} object_prefix rbd_{part}.{own}" for part in ("header", "object_map", "data")]
    grants += [f"allow r class-read pool={pool} object_prefix rbd_{part}" for part in (f"id.{name}", "info")]
    for parent in parents:
        parts = ("header", "object_map", "data")
        grants += [f"allow r class-read pool={pool} object_prefix rbd_{part}.{parent}" for part in parts]
    if parents:  # a parent is opened by its id, and the library looks for its name
        grants += [f"allow class-read pool={pool} object_prefix rbd_{part}" for part in ("directory", "trash")]
    return ", ".join(grants)


def keyring(name: str, text: str, osd: str) -> str:
    """The user as Ceph imports it."""
    return f'[client.{name}]\n\tkey = {text}\n\tcaps mon = "{MON}"\n\tcaps osd = "{osd}"\n'
