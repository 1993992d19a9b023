# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an audit finds: one thing that is not as the records have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

# Why somebody should look: nobody knows it; it ought to be there; it is not as recorded; work that nobody finished;
# nobody could look.
ORPHAN, MISSING, DIFFERENT, UNFINISHED, UNKNOWN = "orphan", "missing", "different", "unfinished", "unknown"


@dataclass(frozen=True, order=True)
class Finding:
    """One finding.

    :param kind: one of ``orphan``, ``missing``, ``different``, ``unfinished``, ``unknown``.
    :param what: the sort of thing, such as ``volume``, ``target``, ``secret``, ``claim``.
    :param id: its UUID, or the name it goes by where it has none.
    :param host: the inventory host that has it; empty for what only the database has.
    :param says: what was found, for a person.
    """

    kind: str
    what: str
    id: str
    host: str
    says: str

    def shown(self) -> dict[str, Any]:
        """As the module returns it."""
        return {**asdict(self), "host": self.host or None}


def lasting(before: Iterable[Finding], after: Iterable[Finding]) -> list[Finding]:
    """What held against the records before the hosts were asked and after, so that work under way is no finding."""
    return sorted(set(before) & set(after))
