# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check every shell script with shellcheck: files, scripts that Python files hold, and shell tasks of roles.

They are found by their first line, so that a new one needs no entry anywhere. A script of /bin/sh is read as dash does:
it runs there or in busybox, whose shell is a sibling.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FIRST_LINE = re.compile(r"#!\s*\S*/(?:env\s+)?(?P<shell>bash|sh)\b|# shellcheck shell=(?P<said>\w+)")
DIALECTS = {"sh": "dash"}
SHELL_TASKS = ("ansible.builtin.shell", "shell")


class _Loader(yaml.SafeLoader):
    """Reads YAML that has tags of Ansible."""


_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def dialect(text: str) -> str | None:
    """The dialect that a script is written in, None where the text is no script."""
    found = FIRST_LINE.match(text)
    if found is None:
        return None
    shell = found["shell"] or found["said"]
    return DIALECTS.get(shell, shell)


def in_python(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The scripts that a Python file holds as texts, with their lines. What an f-string fills in stands as a word."""
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "TEMPLATE" for part in parts)
        if "\n" in text:
            yield node.lineno, text
        return
    for child in ast.iter_child_nodes(node):
        yield from in_python(child)


def in_tasks(document: Any) -> Iterator[tuple[str, str]]:
    """The shell tasks in a file of tasks or plays, by name. What is a template stands as a word."""
    if isinstance(document, list):
        for each in document:
            yield from in_tasks(each)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in SHELL_TASKS:
                arguments = value if isinstance(value, dict) else {"cmd": value}
                shell = str(arguments.get("executable", "/bin/sh"))
                text = re.sub(r"\{\{.*?\}\}", "TEMPLATE", str(arguments.get("cmd", "")))
                yield str(document.get("name", "a task")), f"#!{shell}\n{text}\n"
            elif isinstance(value, (dict, list)):
                yield from in_tasks(value)


def scripts(files: list[Path]) -> Iterator[tuple[str, str, str]]:
    """Everything to check: where it stands, its dialect and its text."""
    for file in files:
        if not file.is_file() or file.is_symlink():
            continue
        text = file.read_bytes().decode(errors="replace")
        if file.suffix == ".py":
            found = [(f"{file}:{line}", script) for line, script in in_python(ast.parse(text))]
        elif file.suffix in (".yml", ".yaml"):
            found = [(f"{file}: {name}", script) for name, script in in_tasks(yaml.load(text, _Loader))]
        else:
            found = [(str(file), text)]
        for where, script in found:
            kind = dialect(script)
            if kind is not None:
                yield where, kind, script


def main() -> int:
    """Check all; print what is wrong, and how many were checked."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    bad = checked = 0
    for where, kind, text in scripts([Path(name) for name in sorted(listed.split("\0")) if name]):
        checked += 1
        # --external-sources: what a script reads in by "." is read too.
        command = ["shellcheck", f"--shell={kind}", "--external-sources", "--color=never", "-"]
        said = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if said.returncode:
            bad += 1
            print(f"{where} ({kind}):\n{said.stdout}{said.stderr}")
    print(f"{checked} scripts checked, {bad} with findings")
    return 1 if bad or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
