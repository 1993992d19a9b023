# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator words of flavor extra specs, as Nova reads them (nova, "Flavors": extra specs operators).

No operator means equal text; ``=`` means at least, as a number; ``== != >= <=`` compare numbers;
``s== s!= s< s<= s> s>=`` compare texts; ``<in> x`` looks for a part; ``<all-in> a b`` for all of them;
``<or> a <or> b`` for one of the texts. In a list a part is one of its entries, and no operator means ``<in>``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection

_NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}


def matches(found: str, wanted: str) -> bool:
    """Whether the text found meets the requirement. A number that is none never matches."""
    word, _space, rest = wanted.strip().partition(" ")
    rest = rest.strip()
    if word in _NUMBERS:
        try:
            return _NUMBERS[word](float(found), float(rest))
        except ValueError:
            return False
    if word in _TEXTS:
        return _TEXTS[word](found, rest)
    if word == "<in>":
        return bool(rest) and rest in found
    if word == "<all-in>":
        return bool(rest) and all(part in found for part in rest.split())
    if word == "<or>":
        return found in _alternatives(wanted)
    return found == wanted


def matches_list(found: Collection[str], wanted: str) -> bool:
    """Whether the list found has what is required; only the words that ask for parts mean anything here."""
    word, _space, rest = wanted.strip().partition(" ")
    if word == "<in>":
        return rest.strip() in found
    if word == "<all-in>":
        return bool(rest.strip()) and all(part in found for part in rest.split())
    if word == "<or>":
        return any(part in found for part in _alternatives(wanted))
    return wanted.strip() in found


def _alternatives(wanted: str) -> list[str]:
    return [part.strip() for part in wanted.split("<or>") if part.strip()]
