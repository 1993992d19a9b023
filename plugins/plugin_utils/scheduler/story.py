# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The story of one placement: hosts seen, survivors of each filter, why the others fell, and the best of the rest."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost

MOST_REASONS = 50  # hosts whose reason is told one by one; beyond that only counts ...
MOST_CANDIDATES = 10  # whose weights are told
FIRST_REASONS = 3  # ... except for the first of each filter
IN_WORDS = 5


class Words(NamedTuple):
    """What is placed, where, and what to do if there is nowhere."""

    what: str
    where: str
    nowhere: str


INSTANCES = Words("instance", "host", "No host is registered (module agentless.cloud.host).")


class Story:
    """Written down while it happens.

    :ivar candidates: the best hosts with their weights.
    """

    def __init__(self, seen: int, words: Words = INSTANCES) -> None:
        self.seen = seen
        self._words = words
        self.candidates: list[dict[str, Any]] = []
        self._survivors: list[dict[str, Any]] = []
        self._filtered: list[dict[str, str]] = []
        self._counts: dict[str, int] = {}
        self._full: list[dict[str, str]] = []
        self._full_counts: dict[str, int] = {}

    def fell(self, name: str, host: str, reason: str) -> None:
        """The filter of that name refused the host."""
        _note(self._filtered, self._counts, {"filter": name, "host": host, "reason": reason})

    def left(self, name: str, count: int) -> None:
        """So many hosts passed the filter."""
        self._survivors.append({"filter": name, "left": count})

    def filled(self, name: str, host: str, reason: str) -> None:
        """The batch itself has used the host up."""
        _note(self._full, self._full_counts, {"filter": name, "host": host, "reason": reason})

    def told(self) -> dict[str, Any]:
        """The explanation as the interface has it."""
        story: dict[str, Any] = {
            "seen": self.seen,
            "survivors": self._survivors,
            "filtered": self._filtered,
            "filtered_counts": self._counts,
            "candidates": self.candidates,
        }
        return {**story, "used_up": self._full} if self._full else story

    def no_valid_host(self, count: int, found: int) -> NoValidHost:
        """The error that says it in words."""
        what, where, nowhere = self._words
        asked = f"the {what}" if count == 1 else f"all {count} {what}s"
        said = [f"No valid host for {asked}."]
        if not self.seen:
            said.append(nowhere)
            return NoValidHost(" ".join(said), explanation=self.told())
        steps = [
            f"{step['filter']} left {step['left']} ({_words(self._filtered, self._counts, step['filter'])})"
            for step in self._survivors
            if self._counts.get(step["filter"])
        ]
        said.append(f"{where.capitalize()}s seen: {self.seen}. {'; '.join(steps) or 'Every filter passed'}.")
        if found:
            used = [f"{name} ({_words(self._full, self._full_counts, name)})" for name in self._full_counts]
            said.append(f"{found} of them found room, then no {where} was left: {'; '.join(used)}.")
        return NoValidHost(" ".join(said), explanation=self.told())


def _note(entries: list[dict[str, str]], counts: dict[str, int], entry: dict[str, str]) -> None:
    number = counts[entry["filter"]] = counts.get(entry["filter"], 0) + 1
    if number <= FIRST_REASONS or len(entries) < MOST_REASONS:
        entries.append(entry)


def _words(entries: list[dict[str, str]], counts: dict[str, int], name: str) -> str:
    told = [f"{entry['host']}: {entry['reason']}" for entry in entries if entry["filter"] == name][:IN_WORDS]
    more = counts[name] - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")
