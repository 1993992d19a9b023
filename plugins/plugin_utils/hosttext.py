# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says in words, made fit for a terminal, a log and a task's result. Pure.

A host may be anybody's. Its words could move the cursor, clear the screen, write a line that looks like one of
Ansible's own, or turn the direction of what follows; and they could be as long as a disk.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply

MOST = 2000  # characters that are shown
SHORT = 60  # characters of what should not be there at all; more would begin a line of its own
NOTHING = "no reason given"
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


def clean(said: object, most: int = MOST) -> str:
    """The words of a host in one line: what is not printable is escaped as in Python, and the middle of more is cut.

    Line feeds are escaped too, since whatever follows one looks like a line of somebody else's.

    :param said: a text; anything else is not shown, but for its type.
    """
    if said is None:
        return NOTHING
    if not isinstance(said, str):
        return f"(no text but {type(said).__name__})"
    text = said.strip() if len(said) <= most else said[:most].lstrip() + said[-most:].rstrip()
    shown = escaped(text)
    if len(said) > most or len(shown) > most:
        half = most // 2
        shown = f"{shown[:half]} ... ({len(said)} characters) ... {shown[-half:]}"
    return shown or NOTHING


def escaped(text: str) -> str:
    """The text with everything escaped that is not printable: controls, line ends, turns of direction, odd blanks."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def quiet(done: dict[str, Any]) -> dict[str, Any]:
    """What a command of Ansible's gave, without what could do something to a terminal: its errors, and what follows a
    module's answer, of which ansible-core makes a warning. The answer itself is JSON, which has its own escapes.
    """
    answer, brace, rest = str(done.get("stdout") or "").rpartition("}")
    if brace and rest.strip():
        found = f'{answer}{brace}\n"{clean(rest, SHORT)}"'
        done = {**done, "stdout": found, "stdout_lines": found.splitlines()}
    errors = str(done.get("stderr") or "")
    if not errors.isprintable():
        found = "\n".join(escaped(line.rstrip("\r")) for line in errors.split("\n"))
        done = {**done, "stderr": found, "stderr_lines": found.splitlines()}
    return done


def introduced(host: str, said: object) -> str | None:
    """The UUID by which a host introduces itself, in its usual form; None where it said none.

    :raises BadReply: it is not a UUID.
    """
    if said is None:
        return None
    try:
        if isinstance(said, str):
            return str(uuid.UUID(said))
    except ValueError:
        pass
    raise BadReply(f"{host} says that it is {clean(said, 60)!r}, which is not a UUID.", host=host)


def checksum(said: object) -> str | None:
    """The checksum that a host says something has; None where it says none, or what is not one."""
    return said if isinstance(said, str) and _CHECKSUM.fullmatch(said) else None
