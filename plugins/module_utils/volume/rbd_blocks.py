# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image in Ceph block by block. The cluster says where there is anything, and what changed since a snapshot."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import BLOCK, Blocks


class ImageBlocks(Blocks):
    """One image, or a snapshot of it, that is open.

    :param image: of Ceph's library.
    """

    def __init__(self, image: Any) -> None:
        self._image = image
        self._data = touched(image, None)
        self._nothing = bytes(BLOCK)

    def read(self, place: int, length: int) -> bytes:
        if place not in self._data:
            return b""
        content = bytes(self._image.read(place * BLOCK, length))
        if len(content) != length:
            raise BackendError(f"A block that should have {length} bytes has {len(content)}.")
        return b"" if content == self._nothing[:length] else content

    def write(self, place: int, content: bytes) -> None:
        self._image.write(content, place * BLOCK)

    def sync(self) -> None:
        self._image.flush()


def touched(image: Any, since: str | None) -> set[int]:
    """Which blocks hold something, be it of what the image is a clone of; or which differ from those of a snapshot."""
    found: set[int] = set()

    def note(offset: int, length: int, _exists: bool) -> None:
        found.update(range(offset // BLOCK, (offset + length - 1) // BLOCK + 1))

    # Not by whole objects: some releases leave out what is in a parent then.
    image.diff_iterate(0, image.size(), since, note, include_parent=True, whole_object=False)
    return found
