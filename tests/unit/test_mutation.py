# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that are broken on purpose: each is there once, and is another one then; and who counts as noticing."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import CHECKOUT, LINES, Mutation, broken, judged, read

TABLE = read(LINES.read_text(encoding="utf-8"))
ONE = Mutation("a.py", "if a > b:", "if a >= b:", ("tests/unit",))


@pytest.mark.parametrize("mutation", TABLE, ids=lambda mutation: mutation.name)
def test_each_line_is_there_once(mutation: Mutation) -> None:
    source = (CHECKOUT / mutation.file).read_text(encoding="utf-8")
    changed = broken(source, mutation)
    assert changed is not None, "the line was changed: change it in tests/mutation/lines.yml too, or drop it"
    assert changed != source
    compile(changed, mutation.file, "exec")
    paths = [test.partition("::")[0] for test in mutation.tests if test.startswith("tests/")]
    assert paths
    assert all((CHECKOUT / path).exists() for path in paths)


def test_there_are_fifty_of_them() -> None:
    assert len(set(TABLE)) == len(TABLE) >= 50


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("x = 1\n    if a > b:\n        c()\n", "x = 1\n    if a >= b:\n        c()\n"),
        ("if a > c:\n", None),
        ("if a > b:\n    pass\nif a > b:\n", None),
    ],
)
def test_only_one_line_is_broken(source: str, result: str | None) -> None:
    assert broken(source, ONE) == result


@pytest.mark.parametrize(
    ("code", "output", "noticed", "words"),
    [
        (0, "3 passed", False, "SURVIVED"),
        (1, "FAILED tests/unit/x.py::test_y - assert 1 == 2\n1 failed", True, "noticed by tests/unit/x.py::test_y"),
        (2, "ERROR tests/unit/x.py\nInterrupted: 1 error during collection", False, "DID NOT RUN"),
        (5, "no tests ran", False, "DID NOT RUN"),
        (None, "", True, "out of time"),
    ],
)
def test_who_notices(code: int | None, output: str, noticed: bool, words: str) -> None:
    found, said = judged(ONE, code, output)
    assert found is noticed
    assert words in said
