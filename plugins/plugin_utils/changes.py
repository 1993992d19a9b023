# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Desired and actual state compared: a list of named changes.

Check mode returns it, diff mode prints it, and the real run carries it out: one plan for all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One thing that differs: what, its value now and its value after."""

    what: str
    before: Any
    after: Any


def compare(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Change]:
    """The changes that make ``actual`` as ``wanted``; a wanted value of None means that the user did not ask."""
    return [
        Change(key, actual.get(key), value)
        for key, value in wanted.items()
        if value is not None and actual.get(key) != value
    ]


def created(wanted: Mapping[str, Any]) -> list[Change]:
    """The changes of something that does not exist yet."""
    return [Change(key, None, value) for key, value in wanted.items() if value is not None]


def removed(actual: Mapping[str, Any], keys: Iterable[str]) -> list[Change]:
    """The changes of something that goes."""
    return [Change(key, actual.get(key), None) for key in keys if actual.get(key) is not None]


def render(changes: Iterable[Change], header: str) -> dict[str, Any]:
    """The changes in the form that Ansible's ``--diff`` prints."""
    listed = list(changes)
    return {
        "before_header": header,
        "after_header": header,
        "before": {change.what: change.before for change in listed if change.before is not None},
        "after": {change.what: change.after for change in listed if change.after is not None},
    }
