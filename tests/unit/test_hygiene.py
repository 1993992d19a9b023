# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reader of any file may count on: a licence, no trace of the machine it was written on, readable pieces."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LICENSED = {".py", ".sh", ".yml", ".yaml", ".toml"}
# Whole files that cannot carry a comment, or that a tool writes.
UNLICENSED = re.compile(r"(^|/)(golden/|changelogs/(changelog\.yaml|fragments/))")
SOMEONES_MACHINE = re.compile(re.escape(f"{ROOT}/") + r"|(?<![\w.-])/(?:work|opt/venv|opt/pypi|opt/wheels|tmp/setup)/")
FILE_LINES = 300
FUNCTION_LINES = 50
# path or path:function -> why it is longer than the rest and better whole.
LONG: dict[str, str] = {}


def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not {".git", "__pycache__"} & set(path.parts)]
    return [path for path in sorted(found) if path.is_file() and not path.is_symlink()]


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode()


def is_code(path: Path, text: str) -> bool:
    return path.suffix in LICENSED or text.startswith("#!")


def without_licence(path: str, text: str) -> bool:
    return (
        bool(text.strip())
        and not UNLICENSED.search(path)
        and "SPDX-License-Identifier: GPL-3.0-or-later" not in text[:600]
    )


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each function with its lines, docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, lines


def code_lines(text: str, tree: ast.Module) -> int:
    """Lines of a file without the documentation that Ansible keeps in it as text."""
    documented = 0
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented += (node.end_lineno or node.lineno) - node.lineno + 1
    return text.count("\n") - documented


def too_long(path: str, text: str) -> Iterator[tuple[str, str]]:
    tree = ast.parse(text)
    lines = code_lines(text, tree)
    if lines > FILE_LINES:
        yield path, f"{path}: {lines} lines, at most {FILE_LINES}"
    for name, length in functions(tree):
        if length > FUNCTION_LINES:
            yield f"{path}:{name}", f"{path}:{name}: {length} lines, at most {FUNCTION_LINES}"


def test_every_file_says_its_licence() -> None:
    found = []
    for path in files():
        text = text_of(path)
        name = path.relative_to(ROOT).as_posix()
        if is_code(path, text) and without_licence(name, text):
            found.append(name)
    assert not found, "no SPDX line: " + ", ".join(found)


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in files():
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if SOMEONES_MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_pieces_are_of_a_size_to_read() -> None:
    found = dict(
        item
        for path in sorted((ROOT / "plugins").rglob("*.py"))
        for item in too_long(path.relative_to(ROOT).as_posix(), path.read_text())
    )
    assert not [said for key, said in found.items() if key not in LONG], "\n".join(
        said for key, said in found.items() if key not in LONG
    )
    assert not set(LONG) - set(found), "no longer long: take it off the list"


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("cd /" + "work/main", True),
        (f"{ROOT}/plugins", True),
        ("/home/ada/cloud", False),
        ("/var/lib/agentless/work/x", False),
        ("~/.local/share/agentless", False),
    ],
)
def test_traces_are_seen(line: str, refused: bool) -> None:
    assert bool(SOMEONES_MACHINE.search(line)) is refused


def test_lengths_are_seen() -> None:
    body = "\n".join(["    x = 1"] * (FUNCTION_LINES + 1))
    assert list(dict(too_long("plugins/a.py", f"def f():\n{body}\n"))) == ["plugins/a.py:f"]
    assert list(dict(too_long("plugins/a.py", "x = 1\n" * (FILE_LINES + 1)))) == ["plugins/a.py"]
    assert not list(too_long("plugins/a.py", 'DOCUMENTATION = r"""' + "\n" * FILE_LINES + '"""\n'))
    assert without_licence("plugins/a.py", "x = 1\n")
    assert not without_licence("plugins/a.py", "# SPDX-License-Identifier: GPL-3.0-or-later\nx = 1\n")
