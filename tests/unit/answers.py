# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the controller reads what hosts answer: found in the source, followed from the bus through every function.

A value that came from a host is followed through names, containers, loops and calls of functions of ours. Two things
are noted of each function: the keys that it reads of an answer, ``*`` where the key is not written out, and what it
hands an answer or a part of it to that is not followed any further (``> name``): another library, a class, a method
that no class of ours has. The functions in ``CHECKED`` are followed too, but what they return counts as looked at.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOM = "plugin_utils"
OURS = f"ansible_collections.agentless.cloud.plugins.{ROOM}."

# What a name holds: replies of the bus, the list of an operation's results, or something that a host said.
REPLY, RESULTS, SAID = "reply", "results", "said"
_ORDER = (None, REPLY, RESULTS, SAID)
Kind = str | None

# Return values of these are replies, whoever calls them.
CARRIES = frozenset({"volume/orders.py::carry"})
# Arguments of these are what a host said, beside those that are followed there.
TOLD: Mapping[str, Mapping[str, Kind]] = {
    "rpc.py::Rpc.results": {"reply": REPLY},
    "rpc.py::_validated": {"raw": SAID},
    "rpc.py::failure": {"result": SAID},
}
# The bus itself, whose inner parts handle what is not looked at yet.
BUS = frozenset({"rpc.py", "transfers.py", "bounds.py", "ahead.py", "connections.py", "fan_out.py"})

_SAME = frozenset(
    {"dict", "enumerate", "filter", "float", "frozenset", "int", "iter", "list", "map", "next"}
    | {"repr", "reversed", "set", "sorted", "str", "sum", "tuple", "zip"}
)
_ASKS = frozenset({"all", "any", "bool", "callable", "hash", "isinstance", "issubclass", "len", "range", "type"})
_LOOKS_UP = frozenset({"get", "pop", "setdefault"})
_KEEPS = frozenset({"add", "append", "extend", "insert", "setdefault", "update"})


@dataclass
class Function:
    """A function or method of ours."""

    key: str
    file: str
    node: ast.FunctionDef
    method: bool
    given: dict[str, Kind] = field(default_factory=dict)
    returns: Kind = None

    @property
    def names(self) -> list[str]:
        every = [*self.node.args.posonlyargs, *self.node.args.args]
        return [each.arg for each in every][1 if self.method else 0 :]

    @property
    def keywords(self) -> list[str]:
        return [each.arg for each in self.node.args.kwonlyargs]


def most(*kinds: Kind) -> Kind:
    return max(kinds, key=_ORDER.index, default=None)


class Reading:
    """All files of a directory, read together.

    :param sources: the text of each by its path there.
    """

    def __init__(self, sources: Mapping[str, str], checked: Mapping[str, str]) -> None:
        self.checked = checked
        self.functions: dict[str, Function] = {}
        self.methods: dict[str, list[Function]] = defaultdict(list)
        self.names: dict[str, dict[str, tuple[str, str]]] = {}
        self.found: dict[str, set[str]] = defaultdict(set)
        self.kept: dict[tuple[str, str], Kind] = {}  # attributes of objects, by file and name
        self.callers: dict[str, set[str]] = defaultdict(set)
        for file, text in sorted(sources.items()):
            tree = _parsed(text)
            self.names[file] = _imported(tree)
            self._collect(file, tree.body)
        for key, given in TOLD.items():
            if key in self.functions:
                self.functions[key].given.update(given)
        self._again = set(self.functions)
        while self._again:
            now, self._again = sorted(self._again), set()
            for key in now:
                _Body(self, self.functions[key]).read()

    def _collect(self, file: str, body: list[ast.stmt], prefix: str = "") -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                self._collect(file, node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
                made = Function(f"{file}::{prefix}{node.name}", file, node, bool(prefix) and not static)
                self.functions[made.key] = made
                if prefix:
                    self.methods[node.name].append(made)

    def resolve(self, file: str, func: ast.expr) -> list[Function]:
        """The functions of ours that a call may mean."""
        if isinstance(func, ast.Name):
            where, name = self.names[file].get(func.id, ("", ""))
            keys = [f"{file}::{func.id}", f"{where}.py::{name}", f"{where}/__init__.py::{name}"]
            keys += [f"{key}.__init__" for key in keys]
            return [self.functions[key] for key in keys if key in self.functions]
        if isinstance(func, ast.Attribute):
            if isinstance(func.value, ast.Name) and func.value.id in self.names[file]:
                module = "/".join(filter(None, self.names[file][func.value.id]))
                keys = [f"{module}.py::{func.attr}", f"{module}/__init__.py::{func.attr}"]
                keys += [f"{key}.__init__" for key in keys]
                return [self.functions[key] for key in keys if key in self.functions]
            return self.methods.get(func.attr, [])
        return []

    def give(self, function: Function, name: str, kind: Kind) -> None:
        """A parameter has something of that kind."""
        now = most(function.given.get(name), kind)
        if now != function.given.get(name):
            function.given[name] = now
            self._again.add(function.key)

    def keep(self, function: Function, name: str, kind: Kind) -> None:
        """Objects of a file have something of that kind in an attribute."""
        where = (function.file, name)
        if function.file not in BUS and most(self.kept.get(where), kind) != self.kept.get(where):
            self.kept[where] = most(self.kept.get(where), kind)
            self._again |= {key for key, each in self.functions.items() if each.file == function.file}

    def back(self, function: Function, kind: Kind) -> None:
        """A function returns something of that kind."""
        if function.key in self.checked:
            kind = None
        elif function.key in CARRIES:
            kind = REPLY
        if most(function.returns, kind) != function.returns:
            function.returns = most(function.returns, kind)
            self._again |= self.callers[function.key]

    def note(self, function: Function, what: str) -> None:
        if function.file not in BUS or function.key in TOLD:
            self.found[function.key].add(what)


class _Body:
    """One function, with what its names hold."""

    def __init__(self, all_of_it: Reading, function: Function) -> None:
        self.all, self.function = all_of_it, function
        self.holds: dict[str, Kind] = dict(function.given)

    def read(self) -> None:
        before: dict[str, Kind] | None = None
        while before != self.holds:  # a loop may use at its head what its end has made
            before = dict(self.holds)
            for statement in self.function.node.body:
                self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.assign(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            self.hold(node.target, self.kind(node.value))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self.loop(node.target, node.iter)
        elif isinstance(node, ast.Return) and node.value is not None:
            self.all.back(self.function, self.kind(node.value))
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                kind = self.kind(item.context_expr)
                if item.optional_vars is not None:
                    self.hold(item.optional_vars, kind)
        elif isinstance(node, ast.Match):
            self.kind(node.subject)
        else:
            for name, value in ast.iter_fields(node):
                if name not in ("body", "orelse", "finalbody", "handlers", "decorator_list", "args"):
                    for each in value if isinstance(value, list) else [value]:
                        if isinstance(each, ast.expr):
                            self.kind(each)
        for part in ("body", "orelse", "finalbody"):
            for each in getattr(node, part, None) or ():
                self.statement(each)
        for handler in [*(getattr(node, "handlers", None) or ()), *(getattr(node, "cases", None) or ())]:
            for each in handler.body:
                self.statement(each)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        both = isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List))
        if both and len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                self.assign(one, other)
            return
        kind = self.kind(value)
        if isinstance(target, (ast.Tuple, ast.List)) and kind == RESULTS:
            kind = SAID
        self.hold(target, kind)

    def hold(self, target: ast.expr, kind: Kind) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self.hold(each, kind)
            return
        if isinstance(target, ast.Attribute) and kind is not None:
            self.all.keep(self.function, target.attr, kind)
            return
        while isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
            target = target.value
        if isinstance(target, ast.Name) and kind is not None:
            self.holds[target.id] = most(self.holds.get(target.id), kind)

    def loop(self, target: ast.expr, source: ast.expr) -> None:
        called = source.func.id if isinstance(source, ast.Call) and isinstance(source.func, ast.Name) else ""
        if isinstance(source, ast.Call) and isinstance(target, ast.Tuple):
            parts = [self.one_of(self.kind(each)) for each in source.args]
            if called == "enumerate":
                parts = [None, *parts]
            if called in ("zip", "enumerate") and len(parts) == len(target.elts):
                for each, kind in zip(target.elts, parts, strict=True):
                    self.hold(each, kind)
                return
        self.hold(target, self.one_of(self.kind(source)))

    @staticmethod
    def one_of(kind: Kind) -> Kind:
        return SAID if kind == RESULTS else kind

    def kind(self, node: ast.expr | None) -> Kind:
        """What an expression has; what it reads or hands on is noted."""
        if node is None or isinstance(node, ast.Constant):
            return None
        if isinstance(node, ast.Name):
            return self.holds.get(node.id)
        if isinstance(node, ast.Attribute):
            held = self.kind(node.value)
            if held == REPLY:
                return {"results": RESULTS, "identity": SAID}.get(node.attr)
            return held or self.all.kept.get((self.function.file, node.attr))
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for each in node.generators:
                self.loop(each.target, each.iter)
                for test in each.ifs:
                    self.kind(test)
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            return most(*(self.kind(each) for each in parts))
        if isinstance(node, ast.Compare):
            for each in [node.left, *node.comparators]:
                self.kind(each)
            return None
        if isinstance(node, ast.IfExp):
            self.kind(node.test)
            return most(self.kind(node.body), self.kind(node.orelse))
        if isinstance(node, ast.NamedExpr):
            self.assign(node.target, node.value)
            return self.kind(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.kind(node.operand)
            return None
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            self.all.back(self.function, self.kind(node.value))
            return None
        if isinstance(node, ast.Lambda):
            return self.kind(node.body)
        parts = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return most(*(self.kind(each) for each in parts))

    def subscript(self, node: ast.Subscript) -> Kind:
        held = self.kind(node.value)
        self.kind(node.slice)
        if held == SAID:
            self.key(node.slice)
        single = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
        return SAID if held == RESULTS and single else held

    def key(self, node: ast.expr | None) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.all.note(self.function, node.value)
        elif not isinstance(node, (ast.Slice, ast.Constant, ast.UnaryOp)):
            self.all.note(self.function, "*")

    def call(self, node: ast.Call) -> Kind:
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        positional = [self.kind(each) for each in node.args]
        named = [(each.arg, self.kind(each.value)) for each in node.keywords]
        given = most(*positional, *(kind for _name, kind in named))
        if isinstance(node.func, ast.Attribute):
            bus = ast.unparse(node.func.value).rpartition(".")[2].lower().endswith("rpc")
            if bus and last in ("call", "map", "results"):
                return REPLY if last == "map" else RESULTS
            if bus and last in ("fetch", "put"):
                self.all.note(self.function, f"> {name}")
                return SAID
            held = self.kind(node.func.value)
            if held is not None and not (held == REPLY and last not in _LOOKS_UP):
                if held == SAID and last in _LOOKS_UP and node.args:
                    self.key(node.args[0])
                return held
            if last in _KEEPS and given is not None:
                self.hold(node.func.value, given)
                return None
        if isinstance(node.func, ast.Name) and last in _ASKS:
            return None
        if name.startswith("itertools.") or (isinstance(node.func, ast.Name) and last in _SAME):
            return given
        functions = self.all.resolve(self.function.file, node.func)
        for each in functions:
            self.all.callers[each.key].add(self.function.key)
            self.bind(each, positional, named)
        if not functions and given in (RESULTS, SAID):
            self.all.note(self.function, f"> {name if len(name) < 40 else last}")
        returned = most(*(each.returns for each in functions))
        return REPLY if any(each.key in CARRIES for each in functions) else returned

    def bind(self, function: Function, positional: list[Kind], named: list[tuple[str | None, Kind]]) -> None:
        names = function.names
        for place, kind in enumerate(positional):
            if kind is not None:
                self.all.give(function, names[min(place, len(names) - 1)] if names else "*", kind)
        for name, kind in named:
            if kind is not None:
                for each in [name] if name in (*names, *function.keywords) else [*names, *function.keywords]:
                    self.all.give(function, str(each), kind)


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What names of a file mean of ours: where they are from, and what they are called there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and f"{node.module}.".startswith(OURS):
            where = f"{node.module}.".removeprefix(OURS).rstrip(".").replace(".", "/")
            found |= {alias.asname or alias.name: (where, alias.name) for alias in node.names}
    return found


def sources(root: Path) -> dict[str, str]:
    """The files of the controller's half."""
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.py"))}


FACTS = re.compile(r"[\w)\]]+\.ansible_facts\b|['\"]ansible_facts\.\w+")
VARIABLE = re.compile(r"\b__[a-z]\w+")


def crossings(role: Path) -> set[str]:
    """Where a role has one host's word reach another or the controller.

    Facts of a host that is not the one at hand; what was registered of the host at hand and is used in a task that runs
    elsewhere; what was registered elsewhere, which is then the host's own; files that the controller fetches.
    """
    found: set[str] = set()
    files = [path for path in sorted(role.rglob("*")) if path.suffix in (".yml", ".j2") and path.parent.name != "meta"]
    for path in files:
        name = str(path.relative_to(role.parent))
        lines = [
            line.partition(" # ")[0] for line in path.read_text().splitlines() if not line.lstrip().startswith("#")
        ]
        found |= {f"{name}: {match}" for match in FACTS.findall("\n".join(lines))}
    tasks = [each for path in files if path.parent.name == "tasks" for each in _tasks(path, role.parent)]
    places: dict[str, set[str]] = defaultdict(set)
    for _name, where, task in tasks:
        if "register" in task:
            places[task["register"]].add(where)
    for name, where, task in tasks:
        used = {each for each in VARIABLE.findall(str(task)) if each != task.get("register")}
        if where:
            found |= {f"{name}: {each} at {where}" for each in used if places.get(each, {where}) != {where}}
        if where not in ("", "localhost") and "register" in task:
            found.add(f"{name}: {task['register']} from {where}")
        for module in ("fetch", "slurp"):
            if f"ansible.builtin.{module}" in task:
                found.add(f"{name}: {module} {task[f'ansible.builtin.{module}'].get('src')}")
    return found


def _tasks(path: Path, roles: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """The tasks of a file, each with where it runs; empty for the host at hand."""
    name = str(path.relative_to(roles))

    def below(entries: Any, where: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for each in entries or ():
            here = str(each.get("delegate_to", where))
            parts = {part: each[part] for part in ("block", "rescue", "always") if part in each}
            yield name, here, {key: value for key, value in each.items() if key not in parts}
            for part in parts.values():
                yield from below(part, here)

    return list(below(yaml.safe_load(path.read_text()), ""))
