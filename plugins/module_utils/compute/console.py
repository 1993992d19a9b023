# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text that a guest wrote to its console."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

LOG = "console.log"
MOST = 1 << 20

# Escape sequences (CSI, OSC and the short ones), then whatever control character is left.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console_log(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: the last ``max_bytes`` of the console, older part first, as plain text."""
    path = os.path.join(files.directory(ctx.state_dir, op["id"]), LOG)
    most = min(int(op.get("max_bytes") or MOST), MOST)
    content = b""
    for part in (path, path + ".0"):  # virtlogd moves a long log aside
        if len(content) < most:
            content = _tail(part, most - len(content)) + content
    return {"changed": False, "log": plain(content.decode("utf-8", "replace"))}


def plain(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


def _tail(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - most))
            return stream.read(most)
    except FileNotFoundError:
        return b""
