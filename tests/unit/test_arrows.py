# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arrows of the design: who imports whom, and the few calls that only one file may make.

Each rule is a function from one source file to complaints. ``BROKEN`` shows for every rule a sample that it refuses and
one that it lets through, so that a rule which has gone blind is a failing test as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUTURE = "from __future__ import annotations\n"
OURS = "ansible_collections.agentless.cloud.plugins"
PURE = (
    "plugin_utils/scheduler",
    "plugin_utils/compute/hardware",
    "plugin_utils/errors.py",
    "plugin_utils/changes.py",
    "plugin_utils/policy.py",
    "plugin_utils/principal.py",
)
FLOWS = ("audit", "compute", "network", "image", "resources", "volume")
# Edges, where any error at all must become an answer: the front desk, RPC to a host, the half that runs on a host.
CATCH_ALL = frozenset({"plugin_utils/front.py", "plugin_utils/rpc.py", "module_utils/backend.py"})
RUNS_MODULES = "plugin_utils/rpc.py"
CONNECTS = "plugin_utils/connections.py"
FRONT = "plugin_utils/front.py"
# They know projects by name: who resolves a name for a principal, and the module that administers projects.
KNOWS_PROJECTS = ("plugin_utils/conductor/projects.py", "plugin_utils/resources/projects.py")


@dataclass(frozen=True)
class Source:
    """One file, by its path below plugins/."""

    path: str
    tree: ast.Module

    def within(self, *rooms: str) -> bool:
        return any(self.path == room or self.path.startswith(f"{room}/") for room in rooms)

    @property
    def travels(self) -> bool:
        """Whether it is shipped to hosts."""
        return self.within("module_utils") or (self.within("modules") and self.path.endswith("_backend.py"))

    def package(self) -> str:
        return ".".join([OURS, *PurePosixPath(self.path).parent.parts])


Rule = Callable[[Source], Iterator[tuple[int, str]]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    RULES[function.__name__] = function
    return function


def imports(source: Source, tree: ast.AST | None = None) -> Iterator[tuple[int, str]]:
    """Every imported name in full: ``from a.b import c`` gives ``a.b.c``; relative imports are resolved."""
    for node in ast.walk(tree or source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = source.package().split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def room(name: str) -> str | None:
    """The path below plugins/ of an import of ours, with dots as slashes."""
    return name.removeprefix(f"{OURS}.").replace(".", "/") if name.startswith(f"{OURS}.") else None


def below(path: str | None, *rooms: str) -> bool:
    return path is not None and any(path == name or path.startswith(f"{name}/") for name in rooms)


def guarded(source: Source) -> set[int]:
    """Lines inside a ``try`` that catches ImportError."""
    lines: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try) and any(
            "ImportError" in ast.dump(handler.type) for handler in node.handlers if handler.type
        ):
            for statement in node.body:
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return lines


@rule
def pure_code_knows_no_ansible_and_no_database(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within(*PURE):
        return
    for line, name in imports(source):
        if name.split(".")[0] in {
            "ansible",
            "sqlalchemy",
            "alembic",
            "psycopg",
            "subprocess",
            "socket",
            "time",
            "random",
        }:
            yield line, f"imports {name}"
        if below(
            room(name), "plugin_utils/conductor", "plugin_utils/rpc", "plugin_utils/front", "plugin_utils/effects"
        ):
            yield line, f"imports {name}"


@rule
def the_conductor_knows_no_ansible_and_no_flow(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within("plugin_utils/conductor"):
        return
    above = [f"plugin_utils/{name}" for name in (*FLOWS, "scheduler", "rpc", "front")]
    for line, name in imports(source):
        if name.split(".")[0] == "ansible" or below(room(name), *above):
            yield line, f"imports {name}"


@rule
def only_the_conductor_changes_the_database(source: Source) -> Iterator[tuple[int, str]]:
    # What travels has no way to our database; a host may keep notes of its own.
    if source.within("plugin_utils/conductor", "module_utils"):
        return
    for line, name in imports(source):
        # A flow may hand a connection on and read the records; the atomic decisions are not its own.
        reads = name in {f"sqlalchemy.{word}" for word in ("Connection", "select", "func", "and_", "or_")}
        if name.split(".")[0] in {"sqlalchemy", "alembic", "psycopg", "sqlite3"} and not reads:
            yield line, f"imports {name}"
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and named(node.value, "sa")
            and node.attr in {"insert", "update", "delete", "text"}
        ):
            yield node.lineno, f"uses sa.{node.attr}"


@rule
def flows_and_below_do_not_know_the_front(source: Source) -> Iterator[tuple[int, str]]:
    if not source.within("plugin_utils", "module_utils"):
        return
    for line, name in imports(source):
        if below(room(name), "action", "lookup", "inventory", "modules"):
            yield line, f"imports {name}"


@rule
def what_travels_brings_what_it_needs(source: Source) -> Iterator[tuple[int, str]]:
    if not source.travels:
        return
    safe = guarded(source)
    for line, name in imports(source):
        ours = room(name)
        top = name.split(".")[0]
        fine = (
            below(ours, "module_utils")
            or name.startswith("ansible.module_utils.")
            or (ours is None and top in sys.stdlib_module_names)
            or (ours is None and top not in {"ansible", "ansible_collections"} and line in safe)
        )
        if not fine:
            yield line, f"imports {name}, which a host may not have"


@rule
def what_travels_imports_statically(source: Source) -> Iterator[tuple[int, str]]:
    if not source.travels:
        return
    for line, name in imports(source):
        if name.split(".")[0] in {"importlib", "pkgutil", "runpy", "imp"}:
            yield line, f"imports {name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and called(node) in {"__import__", "exec", "eval", "import_module"}:
            yield node.lineno, f"calls {called(node)}"


@rule
def what_travels_runs_on_python_3_9(source: Source) -> Iterator[tuple[int, str]]:
    if not source.travels:
        return
    postponed = any(name == "__future__.annotations" for _line, name in imports(source))
    if not postponed and any(not isinstance(node, ast.Expr) for node in source.tree.body):
        yield 1, "does not postpone annotations"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Match) or type(node).__name__ == "TryStar":
            yield node.lineno, "has syntax that is newer"
        elif isinstance(node, ast.Call):
            newer = {"dataclass": {"slots", "kw_only"}, "zip": {"strict"}}.get(called(node), set())
            yield from ((node.lineno, f"{word.arg}= is newer") for word in node.keywords if word.arg in newer)
            if called(node) in {"isinstance", "issubclass"} and any(is_union(part) for part in node.args[1:]):
                yield node.lineno, "X | Y at run time is newer"
        elif isinstance(node, ast.Assign) and is_union(node.value):
            yield node.lineno, "X | Y at run time is newer"


def is_union(node: ast.expr) -> bool:
    types = {"str", "int", "float", "bytes", "bool", "list", "dict", "tuple", "set", "None"}
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
        return False
    return any(is_union(side) or ast.unparse(side).partition("[")[0] in types for side in (node.left, node.right))


@rule
def only_rpc_runs_modules(source: Source) -> Iterator[tuple[int, str]]:
    if source.path in (RUNS_MODULES, CONNECTS):
        return
    forbidden = {
        "_execute_module",
        "_low_level_execute_command",
        "_transfer_file",
        "_transfer_data",
        "connection_loader",
        "action_loader",
    }
    for node in ast.walk(source.tree):
        word = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if word in forbidden:
            yield node.lineno, f"uses {word}"


@rule
def only_the_front_says_who_asks(source: Source) -> Iterator[tuple[int, str]]:
    if source.path == "plugin_utils/principal.py":
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        made = called(node) in {"Principal", "replace"} and "admin" in {word.arg for word in node.keywords}
        if made or called(node) == "Principal":
            yield node.lineno, "makes a principal of its own"
        if called(node) == "configured" and source.path != FRONT:
            yield node.lineno, "calls configured"
        opens = (
            isinstance(node.func, ast.Attribute) and named(node.func.value, "Conductor") and node.func.attr == "open"
        )
        if opens and source.path != FRONT:
            yield node.lineno, "opens the database without asking whether that is permitted"


@rule
def a_project_is_found_in_one_place(source: Source) -> Iterator[tuple[int, str]]:
    """By ``projects.resolve(conn, name, principal)``; the table and the option are touched by nobody else."""
    if not source.within("plugin_utils", "lookup", "inventory") or source.path in KNOWS_PROJECTS:
        return
    resolved: set[ast.AST] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and resolves(node):
            resolved.update(part for argument in node.args for part in ast.walk(argument))
            who = ast.unparse(node.args[2]) if len(node.args) == 3 else "nobody"
            if who.rpartition(".")[2] != "principal":
                yield node.lineno, f"resolves a project for {who}"
    if not source.within("plugin_utils/conductor/schema", "plugin_utils/conductor/migrations"):
        for node in ast.walk(source.tree):
            # The module of that name is called, as in projects.resolve; cloud.projects is the table.
            if (isinstance(node, ast.Attribute) and node.attr == "projects") or key(node) == "projects":
                yield node.lineno, "reads the table of projects"
        for line, name in imports(source):
            if name.endswith(".projects") and below(room(name), "plugin_utils/conductor/schema"):
                yield line, f"imports {name}"
    # The front hands the option to the policy, by which it is resolved before a flow is called.
    if source.within(*(f"plugin_utils/{flow}" for flow in FLOWS)):
        for node in ast.walk(source.tree):
            if key(node) == "project" and node not in resolved:
                yield node.lineno, "reads the option project and does not resolve it"


def resolves(node: ast.Call) -> bool:
    return ast.unparse(node.func) in {"projects.resolve", "resolve"}


def key(node: ast.AST) -> str:
    """The literal key of ``x["key"]``, ``x.get("key")`` and ``x.pop("key")``, else nothing."""
    inside: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        inside = node.slice
    elif isinstance(node, ast.Call) and called(node) in {"get", "pop", "itemgetter"} and node.args:
        inside = node.args[0]
    return str(inside.value) if isinstance(inside, ast.Constant) else ""


@rule
def nothing_is_asserted(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert is compiled away by python -O"


@rule
def no_shell(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in {"shell", "use_unsafe_shell"} and not off:
                yield node.lineno, f"{keyword.arg}="
        if called(node) in {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}:
            yield node.lineno, f"calls {called(node)}"


@rule
def everything_is_caught_only_at_the_edges(source: Source) -> Iterator[tuple[int, str]]:
    if source.path in CATCH_ALL:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = [
                kind
                for kind in kinds
                if kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
            ]
            # Undoing and raising on is not swallowing.
            raises = any(isinstance(last, ast.Raise) and last.exc is None for last in node.body[-1:])
            if broad and not raises:
                yield node.lineno, "catches every exception"


@rule
def qemu_img_is_told_the_format(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        words = argv(node)
        if (
            not any(word.rsplit("/", 1)[-1] == "qemu-img" or word == "QEMU_IMG" for word in words[:4])
            or "--version" in words
        ):
            continue
        if "-f" not in words:
            yield node.lineno, "qemu-img without -f would guess"
        if "-b" in words and "-F" not in words:
            yield node.lineno, "qemu-img with -b but without -F would guess"
        if "convert" in words and "-O" not in words:
            yield node.lineno, "qemu-img convert without -O would guess"


@rule
def paths_are_absolute(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Call)
            and called(node) in {"Path", "PosixPath", "open", "makedirs", "mkdir", "unlink", "rename"}
            and node.args
        ):
            first = node.args[0]
            if (
                isinstance(node.func, ast.Attribute)
                and node.func.attr not in {"Path", "PosixPath"}
                and not named(node.func.value, "os")
            ):
                continue
            if (
                isinstance(first, ast.Constant)
                and isinstance(first.value, str)
                and not first.value.startswith(("/", "~"))
            ):
                yield node.lineno, f"the path {first.value!r} depends on where the process stands"


def called(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def argv(node: ast.AST) -> list[str]:
    """The literal words of a list, of a tuple or of a call's positional arguments; names stand for themselves."""
    items: list[ast.expr] = []
    if isinstance(node, (ast.List, ast.Tuple)):
        items = node.elts
    elif isinstance(node, ast.Call):
        items = node.args
    return [
        item.value
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
        else item.id
        if isinstance(item, ast.Name)
        else ""
        for item in items
    ]


def complaints(check: Rule, path: str, text: str) -> list[str]:
    source = Source(path, ast.parse(text))
    return [f"plugins/{path}:{line}: {said}" for line, said in check(source)]


@pytest.mark.parametrize("name", RULES)
def test_rule_holds(name: str) -> None:
    found: list[str] = []
    files = sorted((ROOT / "plugins").rglob("*.py"))
    for file in files:
        found += complaints(RULES[name], file.relative_to(ROOT / "plugins").as_posix(), file.read_text())
    assert files, "there is nothing to check"
    assert not found, "\n".join(found)


# rule -> (path, refused, let through)
BROKEN: dict[str, list[tuple[str, str, str]]] = {
    "pure_code_knows_no_ansible_and_no_database": [
        ("plugin_utils/scheduler/filters/ram.py", "import sqlalchemy", "import math"),
        (
            "plugin_utils/scheduler/pipeline.py",
            "from ansible.errors import AnsibleError",
            f"from {OURS}.plugin_utils.errors import BadInput",
        ),
        (
            "plugin_utils/compute/hardware/domain.py",
            f"from {OURS}.plugin_utils.conductor import records",
            "from lxml import etree",
        ),
        ("plugin_utils/compute/hardware/domain.py", "from ...conductor import records", "from . import devices"),
    ],
    "the_conductor_knows_no_ansible_and_no_flow": [
        (
            "plugin_utils/conductor/claims.py",
            f"from {OURS}.plugin_utils.compute import boot",
            f"from {OURS}.plugin_utils.errors import ClaimLost",
        ),
        ("plugin_utils/conductor/claims.py", "import ansible.constants", "import sqlalchemy"),
    ],
    "only_the_conductor_changes_the_database": [
        ("plugin_utils/compute/boot.py", "from sqlalchemy import update", "from sqlalchemy import Connection, select"),
        ("plugin_utils/compute/boot.py", "conn.execute(sa.update(table))", "conn.execute(sa.select(table))"),
        ("lookup/scheduler.py", "import sqlalchemy", "from sqlalchemy import Connection"),
        ("action/instance.py", "import sqlite3", "import json"),
    ],
    "only_the_front_says_who_asks": [
        ("plugin_utils/compute/boot.py", "Principal('root', admin=True)", "f(request.principal)"),
        ("plugin_utils/compute/boot.py", "replace(request.principal, admin=True)", "replace(plan, changes=())"),
        ("lookup/scheduler.py", "principal.configured('root')", "front.caller()"),
        ("inventory/instances.py", "Conductor.open(database)", "admitted(principal, ask, database)"),
    ],
    "a_project_is_found_in_one_place": [
        (
            "plugin_utils/compute/boot.py",
            "records.get(conn, cloud.projects, name)",
            "projects.resolve(conn, request.args['project'], request.principal)",
        ),
        ("plugin_utils/volume/wanted.py", "f(args['project'])", "projects.resolve(conn, args['project'], principal)"),
        ("plugin_utils/volume/wanted.py", "args.get('project')", "args.get('size')"),
        ("plugin_utils/volume/wanted.py", "projects.resolve(conn, args['project'])", "f(args['project_id'])"),
        (
            "plugin_utils/network/networks.py",
            "projects.resolve(conn, args['project'], everybody)",
            "projects.resolve(conn, args['project'], principal)",
        ),
        (
            "plugin_utils/conductor/hosts.py",
            "from .schema.cloud import projects",
            "from ...plugin_utils.conductor import projects",
        ),
        ("plugin_utils/conductor/hosts.py", "metadata.tables['projects']", "metadata.tables['hosts']"),
    ],
    "flows_and_below_do_not_know_the_front": [
        (
            "plugin_utils/compute/boot.py",
            f"from {OURS}.action.instance import ActionModule",
            f"from {OURS}.module_utils.backend import run",
        ),
    ],
    "what_travels_brings_what_it_needs": [
        (
            "module_utils/compute/cache.py",
            f"from {OURS}.plugin_utils.errors import NotFound",
            f"from {OURS}.module_utils.backend import run",
        ),
        (
            "module_utils/compute/cache.py",
            "import libvirt",
            "try:\n    import libvirt\nexcept ImportError:\n    libvirt = None",
        ),
        (
            "module_utils/compute/cache.py",
            "from ansible.errors import AnsibleError",
            "from ansible.module_utils.basic import AnsibleModule",
        ),
        ("modules/compute_backend.py", "import yaml", "import json"),
    ],
    "what_travels_imports_statically": [
        ("module_utils/compute/drivers.py", "import importlib", "import json"),
        ("module_utils/compute/drivers.py", "__import__('x')", "load('x')"),
    ],
    "what_travels_runs_on_python_3_9": [
        (
            "module_utils/values.py",
            FUTURE + "match x:\n    case 1: pass",
            FUTURE + "def f(x: int | None) -> None: pass",
        ),
        (
            "module_utils/values.py",
            FUTURE + "@dataclass(frozen=True, slots=True)\nclass A: pass",
            FUTURE + "@dataclass(frozen=True)\nclass A: pass",
        ),
        ("module_utils/values.py", FUTURE + "isinstance(x, int | str)", FUTURE + "isinstance(x, (int, str))"),
        ("module_utils/values.py", FUTURE + "Value = str | None", FUTURE + "both = left | right"),
        (
            "modules/compute_backend.py",
            "def f(x: int | None) -> None: pass",
            FUTURE + "def f(x: int | None) -> None: pass",
        ),
    ],
    "only_rpc_runs_modules": [
        ("plugin_utils/compute/boot.py", "self._execute_module(module_name='x')", "rpc.call(x)"),
        (
            "action/instance.py",
            "from ansible.plugins.loader import connection_loader\nconnection_loader.get('ssh')",
            "pass",
        ),
    ],
    "nothing_is_asserted": [("plugin_utils/rpc.py", "assert x", "if not x:\n    raise ValueError")],
    "no_shell": [
        ("module_utils/backend.py", "subprocess.run(line, shell=True)", "subprocess.run(words, shell=False)"),
        ("module_utils/backend.py", "module.run_command(line, use_unsafe_shell=True)", "module.run_command(words)"),
        ("module_utils/backend.py", "os.system(line)", "os.stat(path)"),
    ],
    "everything_is_caught_only_at_the_edges": [
        (
            "plugin_utils/compute/boot.py",
            "try:\n    a()\nexcept Exception:\n    pass",
            "try:\n    a()\nexcept OSError:\n    pass",
        ),
        (
            "plugin_utils/compute/boot.py",
            "try:\n    a()\nexcept:\n    pass",
            "try:\n    a()\nexcept BaseException:\n    undo()\n    raise",
        ),
        ("plugin_utils/compute/boot.py", "try:\n    a()\nexcept (OSError, Exception):\n    pass", "a()"),
    ],
    "qemu_img_is_told_the_format": [
        (
            "module_utils/compute/disks.py",
            "run(['qemu-img', 'info', path])",
            "run(['qemu-img', 'info', '-f', form, path])",
        ),
        (
            "module_utils/compute/disks.py",
            "run(['prlimit', '--as=1', '/usr/bin/qemu-img', 'check', path])",
            "run(['qemu-img', '--version'])",
        ),
        (
            "module_utils/compute/disks.py",
            "run(['qemu-img', 'create', '-f', 'qcow2', '-b', base, path])",
            "run(['qemu-img', 'create', '-f', 'qcow2', '-b', base, '-F', form, path])",
        ),
        (
            "module_utils/compute/disks.py",
            "run(['qemu-img', 'convert', '-f', a, x, y])",
            "run(['qemu-img', 'convert', '-f', a, '-O', b, x, y])",
        ),
    ],
    "paths_are_absolute": [
        ("module_utils/compute/disks.py", "Path('instances')", "Path('/var/lib/agentless')"),
        ("module_utils/compute/disks.py", "open('x')", "open(path)"),
        ("module_utils/compute/disks.py", "os.makedirs('a/b')", "self.open('x')"),
    ],
}


@pytest.mark.parametrize("name", RULES)
def test_rule_refuses_what_breaks_it(name: str) -> None:
    for path, bad, good in BROKEN[name]:
        assert complaints(RULES[name], path, bad), f"{name} did not see {bad!r}"
        assert not complaints(RULES[name], path, good), f"{name} refused {good!r}"
