# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every driver offers, and the names that volumes have on a host."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import Blocks

GIB = 1024**3


class Driver:
    """One backend of this host. A volume under its final name is complete: what takes time is made under another one.

    :param options: the backend's entry in the host's configuration.
    """

    protocol = "iscsi"  # how compute hosts reach a volume; what is not iscsi exports by itself
    atomic = False  # whether a snapshot is the volume at one moment, and costs nothing

    def __init__(self, ctx: Context, options: dict[str, Any]) -> None:
        self.ctx = ctx
        self.options = options

    @property
    def capabilities(self) -> dict[str, Any]:
        """What volume types can ask for: ``thin``, ``snapshots``, ``online_extend``."""
        return {}

    def base(self, image: dict[str, Any], size: int) -> contextlib.AbstractContextManager[str | None]:
        """What a new volume of an image is a clone of, there while the block lasts; None where each is written anew.

        :raises BackendError: the image cannot be had, or needs more than ``size`` bytes.
        """
        del image, size
        return contextlib.nullcontext()

    def close(self) -> None:
        """Let go of what was connected to; the last thing that is asked of a driver in a call."""

    def names(self) -> list[str]:
        """Everything that lies there: volumes, snapshots, backups, drafts, and what others have put there."""
        raise NotImplementedError

    def size(self, name: str) -> int | None:
        """Bytes, or None if there is no such volume or snapshot."""
        raise NotImplementedError

    def make(self, name: str, size: int, source: str | None) -> str:
        """Make a draft, empty or a copy of ``source``; returns the path that content can be written to."""
        raise NotImplementedError

    def finish(self, name: str) -> None:
        """Give the draft its final name."""
        raise NotImplementedError

    def create(self, name: str, size: int, source: str | None) -> None:
        """Make a whole volume, empty or a copy of ``source``; a killed one is not there."""
        self.make(name, size, source)
        self.finish(name)

    def delete(self, name: str) -> bool:
        """Delete a volume and its draft so that the next one reads zeros; whether there was one."""
        raise NotImplementedError

    def clear(self, names: Sequence[str]) -> None:
        """Delete what can go of these at once, where that is faster; :meth:`delete` follows for each."""

    def extend(self, name: str, size: int) -> None:
        """Grow a volume."""
        raise NotImplementedError

    def snapshot(self, name: str, source: str) -> None:
        """Keep the content of ``source`` as ``name``."""
        raise NotImplementedError

    def path(self, name: str) -> str:
        """Where this host reads and writes the volume or snapshot; ready to be opened."""
        raise NotImplementedError

    def opened(self, where: str, writing: bool = False) -> contextlib.AbstractContextManager[Blocks]:
        """Open what :meth:`path` or :meth:`make` returned, block by block."""
        return blocks.opened(where, writing)

    def still(self, name: str) -> str:
        """What a snapshot is called that a backup is made from; ``name`` is its UUID."""
        return named("snap", name)

    def changed(self, snapshot: str, since: str) -> set[int] | None:
        """Which blocks of a snapshot differ from an older one's; None where nobody knows."""
        del snapshot, since
        return None

    def settle(self, snapshot: str, done: bool) -> None:
        """A backup was made from the snapshot, or failed: it is of no use any more."""
        del done
        self.delete(snapshot)

    def usage(self) -> dict[str, float]:
        """Total and used room in GiB."""
        raise NotImplementedError

    def export(self, name: str, op: dict[str, Any]) -> dict[str, Any]:
        """Let a host in, where the protocol is not iscsi; returns how it gets there, and ``changed``."""
        raise NotImplementedError

    def unexport(self, name: str, op: dict[str, Any]) -> bool:
        """Let a host, or without one every host, in no more; whether anything changed."""
        raise NotImplementedError


def named(kind: str, text: Any) -> str:
    """The name of a volume or snapshot; nothing but a UUID gets into it."""
    try:
        return f"{kind}-{uuid.UUID(str(text))}"
    except ValueError as exc:
        raise BackendError(f"{text!r} is not a UUID.") from exc


def size_bytes(gib: Any) -> int:
    """GiB as bytes."""
    if isinstance(gib, bool) or not isinstance(gib, int) or gib < 1:
        raise BackendError(f"A volume of {gib!r} GiB cannot be made: the size is a whole number from 1.")
    return gib * GIB
