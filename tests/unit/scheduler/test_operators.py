# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator words of extra specs."""

from __future__ import annotations

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.operators import matches, matches_list


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("", "", True),
        ("123", "= 123", True),
        ("124", "= 123", True),
        ("34", "= 234", False),
        ("many", "= 1", False),
        ("1", "= ", False),
        ("123", "== 123.0", True),
        ("1", "!= 2", True),
        ("1", "!= 1", False),
        ("124", ">= 123", True),
        ("9", ">= 11", False),
        ("123", "<= 1000", True),
        ("1000", "<= 123", False),
        ("2", "s== 2", True),
        ("02", "s== 2", False),
        ("2", "s!= 3", True),
        ("2", "s< 3", True),
        ("4", "s< 3", False),
        ("2", "s<= 2", True),
        ("5", "s> 3", True),
        ("3", "s> 3", False),
        ("3", "s>= 3", True),
        ("12311321", "<in> 11", True),
        ("12310321", "<in> 11", False),
        ("x", "<in>", False),
        ("aes mmx aux", "<all-in> aes mmx", True),
        ("aes mmx aux", "<all-in> aes sse", False),
        ("12", "<or> 11 <or> 12", True),
        ("13", "<or> 11 <or> 12", False),
        ("12 ", "<or> 12", False),
        ("3", "< 4", False),  # there is no such word
    ],
)
def test_texts_and_numbers(found: str, wanted: str, fits: bool) -> None:
    assert matches(found, wanted) is fits


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("aes", True),
        ("ae", False),
        ("<in> aes", True),
        ("<in> ae", False),
        ("<all-in> aes mmx", True),
        ("<all-in> aes sse", False),
        ("<all-in>", False),
        ("<or> sse <or> mmx", True),
        ("<or> sse", False),
        ("s== aes", False),
    ],
)
def test_lists(wanted: str, fits: bool) -> None:
    assert matches_list(("aes", "mmx"), wanted) is fits
