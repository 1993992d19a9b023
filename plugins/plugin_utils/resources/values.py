# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person gives, checked and brought into the one form that is stored and compared. Pure.

Every check takes the option's name and its value, and returns the value to store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits, names
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

Check = Callable[[str, Any], Any]

LARGEST = 2**31 - 1  # sums of many such numbers still fit the database's 64 bits


def label(option: str, value: Any) -> str:
    """A name, by the one rule for names.

    :raises BadInput: it is empty, longer than 255 characters, or holds control characters.
    """
    return names.label(option, str(value))


def line(option: str, value: Any) -> str:
    """A text of one line, which may be empty.

    :raises BadInput: it holds control characters.
    """
    text = str(value)
    if names.controls(text):
        raise BadInput(f"{option} {text[:60]!r} holds control characters or line breaks.")
    return text


def description(option: str, value: Any) -> str:
    """A text of one line of the length that descriptions have.

    :raises BadInput: it is longer, or holds control characters.
    """
    limits.check("description", option, str(value))
    return line(option, value)


def number(least: int, most: int = LARGEST) -> Check:
    """A whole number in a range."""

    def check(option: str, value: Any) -> int:
        try:
            found = int(value)
        except (TypeError, ValueError) as exc:
            raise BadInput(f"{option} is {value!r}; it must be a whole number.") from exc
        if not least <= found <= most:
            raise BadInput(f"{option} is {found}; it must be from {least} to {most}.")
        return found

    return check


def flag(option: str, value: Any) -> bool:
    """Yes or no; the module's documentation has made it a boolean already."""
    return bool(value)


def texts(option: str, value: Mapping[str, Any]) -> dict[str, str]:
    """Text by text, as extra specs and properties are. Booleans are written as Nova writes them.

    :raises BadInput: a key is no label, a value is a list or a dictionary, or there is too much of them.
    """
    limits.check("entries", option, value)
    return {label(f"key of {option}", key): text(f"{option}[{key!r}]", each) for key, each in value.items()}


def text(option: str, value: Any) -> str:
    """Any scalar as text.

    :raises BadInput: it is a list, a dictionary or nothing, or too long.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        limits.check("value", option, str(value))
        return line(option, value)
    raise BadInput(f"{option} is {value!r:.60}; it must be a text. Encode a list or a dictionary yourself.")


def words(option: str, value: Iterable[Any]) -> list[str]:
    """Labels without order and without repetition: the tags of an image."""
    found = {label(f"element of {option}", each) for each in value}
    limits.check("image tags", option, found)
    return sorted(found)
