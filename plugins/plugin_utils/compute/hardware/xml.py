# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements in one expression. Text and attributes go through lxml, so any text is data and never markup."""

from __future__ import annotations

from typing import Any

try:
    from lxml import etree
except ImportError:  # documentation can be shown without it; the requirements name it for what boots guests
    etree = None  # type: ignore[assignment]

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

Element = Any


def node(tag: str, *content: Element | str | int | None, **attributes: str | int | None) -> Element:
    """An element with attributes, text and children; what is None is left out.

    :raises BadInput: a text that XML cannot carry.
    """
    try:
        made = etree.Element(tag, {key: str(value) for key, value in attributes.items() if value is not None})
        for part in content:
            if isinstance(part, (str, int)):
                made.text = str(part)
            elif part is not None:
                made.append(part)
    except ValueError as exc:
        raise BadInput(f"{tag}: {exc}") from exc
    return made


def text_of(element: Element) -> str:
    """The element as text, indented by two."""
    etree.indent(element, space="  ")
    return etree.tostring(element, encoding="unicode", pretty_print=True)


def parsed(text: str) -> Element:
    """An element from a text that this collection made."""
    return etree.fromstring(text)
