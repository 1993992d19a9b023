# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a volume may live: what a wish asks of the scheduler, now and when it is asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import Record, Wish


@dataclass(frozen=True)
class Asked:
    """A place for so many GiB.

    :param only: the one backend that it can be, by id.
    :param tried: backends that it cannot be.
    """

    size: int
    type: Record | None = None
    zone: str | None = None
    only: str | None = None
    same_host: Sequence[str] = ()
    different_host: Sequence[str] = ()
    tried: Sequence[str] = ()


def asked(wish: Wish) -> Asked:
    """What a new volume asks for."""
    return Asked(
        size=wish.size,
        type=wish.type,
        zone=wish.zone,
        only=wish.backend_id,
        same_host=wish.same_host,
        different_host=wish.different_host,
    )


def remembered(wish: Wish) -> Record:
    """What is kept of a wish until the volume is made, in case its backend refuses it."""
    return {
        "zone": wish.zone,
        "only": wish.backend_id,
        "same_host": list(wish.same_host),
        "different_host": list(wish.different_host),
        "tried": [],
    }


def again(record: Mapping[str, Any], place: Mapping[str, Any], kind: Record | None) -> Asked:
    """What a recorded volume asks for when its backend has refused it."""
    return Asked(
        size=int(record["size"]),
        type=kind,
        zone=place.get("zone"),
        only=place.get("only"),
        same_host=place.get("same_host") or (),
        different_host=place.get("different_host") or (),
        tried=place.get("tried") or (),
    )


def named(backend: Mapping[str, Any] | None) -> str:
    """A backend in a message."""
    return f"{backend['host']}@{backend['name']}" if backend else "no backend"
