# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a compute host says of its guests' power is one of a few words, or its answer counts for nothing."""

from __future__ import annotations

import ast
import inspect
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, domains
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import change
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Reply, Rpc

ID = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"


def observed(answer: dict[str, Any]) -> dict[str, str]:
    """What is made of a host's answer about one guest."""
    reply = Reply("k1", [{"ok": True, **answer}])
    rpc = SimpleNamespace(map=lambda _calls: [reply], results=Rpc.results)
    guest = SimpleNamespace(id=ID, name="web", host={"name": "k1"})
    return change.observed(cast("Any", SimpleNamespace(rpc=rpc)), cast("Any", [guest]))


@pytest.mark.parametrize("state", sorted(change.STATES))
def test_words(state: str) -> None:
    assert observed({"instances": {ID: {"state": state}, "another": {"state": "x"}}}) == {ID: state}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"instances": None},
        {"instances": [ID]},
        {"instances": {}},
        {"instances": {ID: "running"}},
        {"instances": {ID: None}},
        {"instances": {ID: {}}},
        {"instances": {ID: {"state": None}}},
        {"instances": {ID: {"state": ["running"]}}},
        {"instances": {ID: {"state": "Running"}}},
        {"instances": {ID: {"state": "x" * 100_000}}},
    ],
)
def test_lies(answer: dict[str, Any]) -> None:
    with pytest.raises(BadReply, match="k1 does not say how its guest") as caught:
        observed(answer)
    assert len(caught.value.msg) < 200


def test_the_words_are_those_that_hosts_have() -> None:
    """All that the half on hosts can say: of a domain, and of one that is not there or not ours."""
    words = {
        node.value
        for part in (connection.state, domains._seen)
        for node in ast.walk(ast.parse(inspect.getsource(part)))
        if isinstance(node, ast.Constant) and node.value in change.STATES
    }
    assert words == change.STATES
