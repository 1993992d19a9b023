# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes back from a host is looked at before it is believed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, CloudError, HostUnreachable

CALL = rpc.Call("k1", "compute_backend", [{"op": "spawn", "id": "a"}, {"op": "stop", "id": "b"}])
FINE = [{"ok": True}, {"ok": False, "error": "InUse"}]
ME, OTHER = "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a11"
EVIL = "\x1b[2J\rok\nPLAY RECAP ***\nk1 : ok=1\u202e" + "x" * 100_000


@pytest.mark.parametrize("key", ["results", "ansible_module_results"])
def test_an_answer_that_is_believed(key: str) -> None:
    assert rpc._validated(CALL, ME, {key: FINE, "identity": ME}) == (FINE, ME)


@pytest.mark.parametrize(("told", "believed"), [(ME, ME), (ME.upper(), ME), (None, None)])
def test_the_identity_of_a_host_that_is_met(told: Any, believed: str | None) -> None:
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
        ({"results": FINE, "identity": OTHER}, "HostMismatch", OTHER),
        ({"results": FINE, "identity": "other"}, "BadReply", "not a UUID"),
        ({"results": FINE, "identity": ["me"]}, "BadReply", "not a UUID"),
        ({"results": FINE}, "HostMismatch", "None"),
    ],
)
def test_an_answer_that_is_not(raw: dict[str, Any], error: str, words: str) -> None:
    with pytest.raises(CloudError) as caught:
        rpc._validated(CALL, ME, raw)
    assert caught.value.error == error
    assert words in caught.value.msg
    assert caught.value.details["host"] == "k1"


@pytest.mark.parametrize("known", [ME, None])
def test_an_identity_is_a_uuid_from_the_first_call_on(known: str | None) -> None:
    with pytest.raises(BadReply) as caught:
        rpc._validated(CALL, known, {"results": FINE, "identity": EVIL})
    assert caught.value.msg.isprintable()
    assert len(caught.value.msg) < 300


@pytest.mark.parametrize(
    "raw",
    [
        {"unreachable": True, "msg": EVIL},
        {"failed": True, "msg": EVIL},
        {"failed": True, "msg": EVIL, "error": EVIL},
        {"failed": True, "msg": [[EVIL]]},
        {"module_stderr": EVIL},
        {"exception": EVIL},
    ],
)
def test_words_of_a_host_do_nothing_to_a_terminal(raw: dict[str, Any]) -> None:
    with pytest.raises(CloudError) as caught:
        rpc._validated(CALL, ME, raw)
    assert caught.value.msg.isprintable()
    assert len(caught.value.msg) < 2200
    error = rpc.failure("k1", {"ok": False, **raw})
    assert error.msg.isprintable()
    assert len(error.msg) < 2200


@pytest.mark.parametrize("kind", [AnsibleConnectionFailure, AnsibleError, ValueError])
def test_words_of_a_connection_do_nothing_to_a_terminal(kind: type[Exception], tmp_path: Path) -> None:
    """What ssh prints is in part the other side's."""

    def broken(*_given: Any, **_more: Any) -> Any:
        raise kind(EVIL)

    normal = SimpleNamespace(_execute_module=broken, _connection=SimpleNamespace(become=None))
    normal._connection.put_file = normal._connection.fetch_file = broken
    bus = rpc.Rpc.__new__(rpc.Rpc)
    bus._ahead = SimpleNamespace(to=lambda *_given: lambda: normal)  # type: ignore[assignment]
    bus._connections = SimpleNamespace(variables=lambda host: {}, to=lambda host: normal)  # type: ignore[assignment]
    (reply,) = bus._run([CALL], {"k1": ME})
    said = [reply.error.msg if reply.error else ""]
    if issubclass(kind, AnsibleError):
        (tmp_path / "a").touch()
        for copy in (
            lambda: bus.put("k1", str(tmp_path / "a"), "/b"),
            lambda: bus.fetch("k1", "/a", str(tmp_path / "b"), size=1),
        ):
            with pytest.raises(HostUnreachable) as caught:
                copy()
            said.append(caught.value.msg)
    for each in said:
        assert r"\x1b[2J" in each
        assert each.isprintable()
        assert len(each) < 2200


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
