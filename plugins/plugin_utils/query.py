# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A JMESPath query over a list, within bounds: a short text cannot make much of little.

JMESPath passes values on by reference, so that each ``[@, @]`` doubles what a result is in writing and costs nothing
until somebody writes it, or compares it. Therefore every value that a query makes, compares or hands to a function is
weighed as if written out, and neither one value nor all of them together may weigh more than the list gives reason for.
The front desk imports this file only for a task that has a query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

try:
    from jmespath import compile as compiled
    from jmespath.exceptions import JMESPathError
    from jmespath.functions import Functions
    from jmespath.visitor import Options, TreeInterpreter
except ImportError:  # said by search
    compiled = Options = None
    JMESPathError = ValueError
    Functions = TreeInterpreter = object

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

DEEPEST = 100  # parts of a query, or lists and dictionaries of a value, within each other
SPARE = 1 << 20  # what any one value may weigh more than the list
TURNS = 16  # how often that much may be made in all
# Weights are about the bytes that a value takes in memory, which are more than it takes in writing.
_LIST, _DICT, _ENTRY, _SCALAR, _STEP = 56, 64, 16, 16, 16
_MAKING = frozenset(
    {
        "filter_projection",
        "flatten",
        "function_expression",
        "literal",
        "multi_select_dict",
        "multi_select_list",
        "projection",
        "slice",
        "value_projection",
    }
)
# What jmespath lets through where a function or a comparison does not go with a value.
_MISFIT = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


def search(expression: str, rows: list[Any]) -> Any:
    """What the query makes of the list.

    :raises BadInput: it is not JMESPath, does not go with the list, or makes too much of it.
    """
    if compiled is None:
        raise BadInput("A query needs the Python package jmespath on the controller: pip install jmespath.")
    limits.check("query", "query", expression)
    shown = f"query {expression!r:.200}"
    try:
        tree = compiled(expression).parsed
        if _depth(tree) > DEEPEST:
            raise BadInput(f"{shown} is nested more than {DEEPEST} deep; give a flatter one.", limit=DEEPEST)
        scale = _Scale(shown, rows)
        found = _Interpreter(scale).visit(tree, rows)
        scale.weigh(found)
    except RecursionError as exc:
        raise BadInput(f"{shown} is nested too deep; give a flatter one.", limit=DEEPEST) from exc
    except JMESPathError as exc:
        raise BadInput(f"{shown} is not JMESPath: {exc!s:.500}") from exc
    except _MISFIT as exc:
        raise BadInput(f"{shown} does not go with the list: {exc!s:.500}") from exc
    return found


class _Scale:
    """Weighs values, and refuses what is too much.

    :param shown: the query, for the message.
    """

    def __init__(self, shown: str, rows: list[Any]) -> None:
        self._shown = shown
        self._most = weight(rows, None) + SPARE
        self._left = TURNS * self._most

    def pay(self, amount: int) -> None:
        """Count something that was done.

        :raises BadInput: it was done too often.
        """
        self._left -= amount
        if self._left < 0:
            raise BadInput(
                f"{self._shown} takes more work than its list gives reason for; ask for less at once.",
                limit=TURNS * self._most,
            )

    def weigh(self, value: Any) -> None:
        """Count a value that was made, is compared or given to a function.

        :raises BadInput: it is larger than anything that can be asked of the list, or too deep.
        """
        found = weight(value, self._most)
        if found > self._most:
            self.refuse()
        self.pay(found)

    def room_for(self, amount: int) -> None:
        """Look ahead, before something of this weight is made.

        :raises BadInput: it is more than a value may be.
        """
        if amount > self._most:
            self.refuse()

    def refuse(self) -> None:
        """Say that it is too much.

        :raises BadInput: always.
        """
        raise BadInput(
            f"{self._shown} makes more of its list than {self._most} bytes, which is the list itself and "
            f"{SPARE} bytes; ask for less.",
            limit=self._most,
        )


def weight(value: Any, most: int | None) -> int:
    """What a value weighs, written out; of one that is heavier than ``most`` only that it is.

    :raises BadInput: it holds what is no value, or is nested too deep to be written.
    """
    total, waiting = 0, [(value, 0)]
    while waiting and (most is None or total <= most):
        part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInput(f"The query makes something that is nested more than {DEEPEST} deep.", limit=DEEPEST)
        if isinstance(part, str):
            total += _SCALAR + len(part)
        elif isinstance(part, Mapping):
            total += _DICT + sum(_ENTRY + len(key) for key in part if isinstance(key, str))
            waiting += [(each, depth + 1) for each in part.values()]
        elif isinstance(part, (list, tuple)):
            total += _LIST + _ENTRY * len(part)
            waiting += [(each, depth + 1) for each in part]
        elif type(part).__name__ == "_Expression":
            raise BadInput("The query makes a value of an expression with '&', which is only good for a function.")
        else:
            total += _SCALAR
    return total


class _Functions(Functions):
    """The functions of JMESPath, whose arguments are weighed first."""

    def __init__(self, scale: _Scale) -> None:
        self._scale = scale

    def call_function(self, name: str, given: list[Any]) -> Any:
        """Call one."""
        for each in given:
            if type(each).__name__ != "_Expression":
                self._scale.weigh(each)
        if name == "join" and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], list):
            self._scale.room_for(len(given[0]) * len(given[1]))
        return super().call_function(name, given)


class _Interpreter(TreeInterpreter):
    """Walks the tree of a query, counts its steps and weighs what they make."""

    def __init__(self, scale: _Scale) -> None:
        super().__init__(Options(custom_functions=_Functions(scale)))
        self._scale = scale
        self.COMPARATOR_FUNC = {word: self._weighed(each) for word, each in TreeInterpreter.COMPARATOR_FUNC.items()}

    def visit(self, node: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The value of one part of the query."""
        self._scale.pay(_STEP)
        found = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKING:
            self._scale.weigh(found)
        return found

    def _weighed(self, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def weigh_first(left: Any, right: Any) -> Any:
            self._scale.weigh(left)
            self._scale.weigh(right)
            return compare(left, right)

        return weigh_first


def _depth(tree: Mapping[str, Any]) -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(each, depth + 1) for each in node.get("children") or () if isinstance(each, Mapping)]
    return deepest
