# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that people give to things."""

from __future__ import annotations

import unicodedata

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

LONGEST = 255


def label(kind: str, text: str) -> str:
    """A name that a person gives. It never reaches a path, a shell or a template, so it may hold almost anything.

    :raises BadInput: it is empty, longer than 255 characters or holds control characters.
    """
    if not text or len(text) > LONGEST:
        raise BadInput(f"A {kind} has 1 to {LONGEST} characters; this one has {len(text)}.")
    if any(unicodedata.category(char).startswith("C") for char in text):
        raise BadInput(f"The {kind} {text!r} holds control characters, which no name may.")
    return text
