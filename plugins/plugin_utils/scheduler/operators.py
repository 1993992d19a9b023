# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator words of flavor extra specs, as Nova reads them (nova, "Flavors": extra specs operators).

No operator means equal text; ``=`` means at least, as a number; ``== != >= <=`` compare numbers;
``s== s!= s< s<= s> s>=`` compare texts; ``<in> x`` looks for a part; ``<all-in> a b`` for all words; ``<or> a <or> b`` for one of the texts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

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
        return rest in found
    if word == "<all-in>":
        return set(rest.split()) <= set(found.split())
    if word == "<or>":
        return found in [part.strip() for part in wanted.split("<or>") if part.strip()]
    return found == wanted
