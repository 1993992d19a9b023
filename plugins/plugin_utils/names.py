# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that people give to things."""

from __future__ import annotations

import unicodedata

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

LONGEST = limits.TABLE["name"].most
# Letters and symbols by their category, and blanks to whoever looks: Hangul fillers and the empty Braille pattern.
_UNSEEN = "\u115f\u1160\u2800\u3164\uffa0"


def label(kind: str, text: str) -> str:
    """A name that a person gives. It never reaches a path, a shell or a template, so it may hold almost anything.

    :raises BadInput: it is empty or longer than 255 characters, holds control characters or line separators, or begins
        or ends with a blank.
    """
    if not text or len(text) > LONGEST:
        raise BadInput(f"A {kind} has 1 to {LONGEST} characters; this one has {len(text)}.", limit=LONGEST)
    if controls(text):
        raise BadInput(f"The {kind} {text!r} holds control characters or line separators, which no name may.")
    if text.strip() != text or not text.strip(_UNSEEN):
        raise BadInput(f"The {kind} {text!r} begins or ends with a blank, or is nothing but blanks; no name may.")
    return text


def controls(text: str) -> bool:
    """Whether the text has a character that ends a line, controls a terminal or turns the direction of writing."""
    return not text.isprintable() and any(
        category.startswith("C") or category in ("Zl", "Zp") for category in map(unicodedata.category, text)
    )
