# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes back from a host is looked at before it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError

CALL = rpc.Call("k1", "compute_backend", [{"op": "spawn", "id": "a"}, {"op": "stop", "id": "b"}])
FINE = [{"ok": True}, {"ok": False, "error": "InUse"}]


@pytest.mark.parametrize("key", ["results", "ansible_module_results"])
def test_an_answer_that_is_believed(key: str) -> None:
    assert rpc._validated(CALL, "me", {key: FINE, "identity": "me"}) == (FINE, "me")


@pytest.mark.parametrize(("told", "believed"), [("me", "me"), (None, None), (7, None), (["me"], None)])
def test_the_identity_of_a_host_that_is_met_is_a_text(told: Any, believed: str | None) -> None:
    assert rpc._validated(CALL, None, {"results": FINE, "identity": told})[1] == believed


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        ({"unreachable": True, "msg": "no route"}, "HostUnreachable", "no route"),
        ({}, "BackendFailed", "no reason given"),
        ({"failed": True, "msg": "x" * 3000 + "end", "results": FINE}, "BackendFailed", "end"),
        ({"failed": True, "error": "HostMismatch", "msg": "other"}, "HostMismatch", "other"),
        ({"failed": True, "error": "NoValidHost", "msg": "a class that no host may name"}, "BackendFailed", "a class"),
        ({"module_stderr": "Traceback"}, "BackendFailed", "Traceback"),
        ({"results": FINE[:1]}, "BadReply", "each operation"),
        ({"results": [*FINE, {"ok": True}]}, "BadReply", "each operation"),
        ({"results": {"ok": True, "b": 1}}, "BadReply", "each operation"),
        ({"results": [{"ok": True}, "yes"]}, "BadReply", "form"),
        ({"results": [{"ok": True}, {"ok": 1}]}, "BadReply", "form"),
        ({"results": [{"ok": True}, {}]}, "BadReply", "form"),
        ({"results": FINE, "identity": "other"}, "HostMismatch", "'other'"),
        ({"results": FINE}, "HostMismatch", "None"),
    ],
)
def test_an_answer_that_is_not(raw: dict[str, Any], error: str, words: str) -> None:
    with pytest.raises(CloudError) as caught:
        rpc._validated(CALL, "me", raw)
    assert caught.value.error == error
    assert words in caught.value.msg
    assert caught.value.details["host"] == "k1"


def test_the_first_failure_of_a_reply_is_raised() -> None:
    with pytest.raises(CloudError) as caught:
        rpc.Rpc.results(rpc.Reply("k1", [{"ok": True}, {"ok": False, "error": "InUse", "msg": "held"}]))
    assert (caught.value.error, caught.value.msg) == ("InUse", "k1: held")
    assert rpc.Rpc.results(rpc.Reply("k1", FINE[:1])) == FINE[:1]


@pytest.mark.parametrize(
    ("verbs", "introduces", "label"),
    [
        (["identify"], True, "compute_backend:identify@k1"),
        (["discover", "identify"], True, "compute_backend:discover,identify@k1"),
        (["stop", "discover"], False, "compute_backend:discover,stop@k1"),
    ],
)
def test_calls_are_named_by_what_they_do(verbs: list[str], introduces: bool, label: str) -> None:
    call = rpc.Call("k1", "compute_backend", [{"op": verb} for verb in verbs])
    assert (call.introduces, call.label) == (introduces, label)
