# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JMESPath query gives what jmespath gives, and neither much of little nor anything but a result or BadInput."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import jmespath
import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import query
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import answer

ROWS: list[Any] = [
    {"name": f"web{n}", "id": f"{n:032}", "ram": n, "tags": ["a", "b"], "flavor": {"name": "small"}, "zone": None}
    for n in range(3)
]
FINE = [
    "[].name",
    "[?name=='web1'].id | [0]",
    "[?ram > `0` && contains(tags, 'a')].{name: name, all: @}",
    "sort_by(@, &name)[::-1].[name, ram]",
    "max_by(@, &ram).flavor.name",
    "[].tags[]",
    "[*].flavor.*[]",
    "map(&join('-', tags), @)",
    "join(', ', [].name)",
    "length(@)",
    "to_string([0])",
    "{a: [0], b: `{\"c\": [1, 2]}`, c: 'x'}",
    "[?!zone || ram == `1`].name",
    "not_null([0].zone, [0].name)",
    "[7].name",
]


def doubled(times: int, part: str = "[@,@]") -> str:
    return " | ".join([part] * times)


# Each would take all memory, all time, or the stack.
TOO_MUCH = {
    "75 MB of 173 characters": doubled(24, "[@,@,@]")[:173].rpartition(" |")[0],
    "doubled again and again": doubled(40),
    "doubled as dictionaries": doubled(40, "{a: @, b: @}"),
    "doubled lists": doubled(40, "[@,@][]"),
    "doubled by a function": "merge({a: @}, {b: @}) | " + doubled(40, "{c: @, d: @}"),
    "doubled by map": "map(&[@,@,@,@,@,@,@,@,@,@]," * 7 + "[@]" + ")" * 7,
    "written out on the way": f"length(to_string({doubled(30)}))",
    "compared on the way": f"({doubled(50)}) == ({doubled(50)})",
    "contained on the way": f"contains([{doubled(50)}], {doubled(50)})",
    "hidden behind a filter": f"[?({doubled(50)}) == `1`]",
    "joined": f"join('{'x' * 3600}', map(&'', `0` | {doubled(4, '[@,@,@,@,@,@,@,@,@,@][]')}))",
    "made and thrown away": f"{doubled(20)} | @{'[0]' * 20}",
    "text by text": "to_string(" * 12 + "@" + ")" * 12 + " | " + doubled(9, "to_string([@,@,@,@])"),
    "many times": f"{doubled(9)} | [" + ",".join(["length(to_string(@))"] * 60) + "]",
    "compared many times": f"{{a: {doubled(8)}, b: {doubled(8)}}} | [" + ",".join(["a==b"] * 300) + "]",
    "looked into many times": f"{doubled(9)} | [" + ",".join(["contains(@, 'x')"] * 200) + "]",
    "brackets": "[" * 2000 + "@" + "]" * 2000,
    "brackets that jmespath can read": "[" * 150 + "@" + "]" * 150,
    "negations that jmespath can follow": "!" * 110 + "a",
    "negations": "!" * 4000 + "a",
    "a long pipe": "a|" * 2000 + "a",
    "a long choice": "a||" * 1000 + "a",
    "a deep literal": "`" + "[" * 1900 + "]" * 1900 + "`",
    "a literal that json can read": "`" + "[" * 500 + "]" * 500 + "`",
    "functions": "map(&" * 200 + "@" + ",[@])" * 200,
    "a long text": "'" + "x" * 5000 + "'",
}
# What jmespath itself lets through as an error of Python, or as a value that no result can hold.
MISFITS = [
    "ceil(`1e999`)",
    "[0].name > `1`",
    "contains('abc', `1`)",
    "&name",
    "[&name]",
    "[::0]",
    "nothing(@)",
    "abs(@)",
    "[?",
    "",
    "join(`1`, @)",
]


@pytest.mark.parametrize("expression", FINE)
def test_a_query_gives_what_jmespath_gives(expression: str) -> None:
    assert query.search(expression, ROWS) == jmespath.search(expression, ROWS)
    assert answer("rows", ROWS, {"name": None, "query": expression}).values["rows"] == jmespath.search(expression, ROWS)


@pytest.mark.parametrize("expression", TOO_MUCH.values(), ids=list(TOO_MUCH))
def test_much_of_little_is_refused(expression: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadInput) as caught:
            query.search(expression, ROWS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20
    assert len(caught.value.msg) < 1000
    assert "limit" in caught.value.details


@pytest.mark.parametrize("expression", MISFITS)
def test_what_does_not_go_with_the_list_is_refused(expression: str) -> None:
    with pytest.raises(BadInput) as caught:
        query.search(expression, ROWS)
    assert len(caught.value.msg) < 1000


def test_the_whole_of_a_long_list_can_be_asked_for() -> None:
    rows = [{"name": f"web{n}", "metadata": {f"k{each}": "v" * 100 for each in range(20)}} for n in range(3000)]
    assert len(json.dumps(rows)) > 6 * query.SPARE
    for expression in ("@", "[*]", "[?name!='x'].{a: name, b: metadata}", "sort_by(@, &name) | [].[@]"):
        assert query.search(expression, rows) == jmespath.search(expression, rows)
    with pytest.raises(BadInput):
        query.search("[@, @, @]", rows)


def test_what_comes_out_is_not_much_more_than_what_went_in() -> None:
    grown = 0
    for times in range(1, 30):
        try:
            grown = len(json.dumps(query.search(doubled(times), ROWS)))
        except BadInput:
            break
    assert 10_000 < grown < len(json.dumps(ROWS)) + query.SPARE
