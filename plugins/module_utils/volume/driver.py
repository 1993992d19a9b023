# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every driver offers, and the configuration that chooses it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

CONFIG = "/etc/agentless/volume.json"
GIB = 1024**3


class Driver:
    """One backend. A volume under its final name is complete: it is made under another one and renamed."""

    copies = False  # whether a snapshot is a copy, which tears if the volume is written meanwhile

    def __init__(self, ctx: Context, options: dict[str, Any]) -> None:
        self.ctx = ctx
        self.options = options

    def size(self, name: str) -> int | None:
        """Bytes, or None if there is no such volume or snapshot."""
        raise NotImplementedError

    def make(self, name: str, size: int, source: str | None) -> str:
        """Make a draft, empty or a copy of ``source``; returns its path."""
        raise NotImplementedError

    def finish(self, name: str) -> None:
        """Give the draft its final name."""
        raise NotImplementedError

    def delete(self, name: str) -> bool:
        """Delete a volume and its draft so that the next one reads zeros; whether there was one."""
        raise NotImplementedError

    def extend(self, name: str, size: int) -> None:
        """Grow a volume."""
        raise NotImplementedError

    def snapshot(self, name: str, source: str) -> None:
        """Keep the content of ``source`` as ``name``."""
        raise NotImplementedError

    def path(self, name: str) -> str:
        """Where the target finds the volume."""
        raise NotImplementedError

    def usage(self) -> dict[str, float]:
        """Total and used room in GiB."""
        raise NotImplementedError


def config(path: str = CONFIG) -> dict[str, Any]:
    """This host's configuration."""
    try:
        with open(path, encoding="utf-8") as handle:
            return dict(json.load(handle))
    except FileNotFoundError as exc:
        raise BackendError(f"{path} is missing: run agentless.cloud.site for this host.") from exc
    except ValueError as exc:
        raise BackendError(f"{path} is not JSON: {exc}.") from exc


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
