# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Desired and actual state compared: what is a change and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created, removed, render


@pytest.mark.parametrize(
    ("wanted", "actual", "changes"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": None}, {"a": 1}, []),  # not asked for
        ({"a": None}, {}, []),
        ({"a": 2}, {"a": 1}, [Change("a", 1, 2)]),
        ({"a": 1}, {}, [Change("a", None, 1)]),
        ({"a": 0, "b": ""}, {"a": None, "b": None}, [Change("a", None, 0), Change("b", None, "")]),
        ({"a": False}, {"a": True}, [Change("a", True, False)]),
    ],
)
def test_what_differs(wanted: dict[str, Any], actual: dict[str, Any], changes: list[Change]) -> None:
    assert compare(wanted, actual) == changes


def test_what_comes_and_what_goes() -> None:
    assert created({"a": 1, "b": None}) == [Change("a", None, 1)]
    assert removed({"a": 1, "b": None}, ["a", "b", "c"]) == [Change("a", 1, None)]
    assert render([Change("a", None, 1), Change("b", 2, None)], "it") == {
        "before_header": "it",
        "after_header": "it",
        "before": {"b": 2},
        "after": {"a": 1},
    }
