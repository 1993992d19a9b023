# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of a host are shown so that they do nothing: to a terminal, to a reader, to a log."""

from __future__ import annotations

import unicodedata
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.cloud.plugins.plugin_utils import connections, front, hosttext, policy
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import replies
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, InUse

# What a host sends to clear the screen, to write a line of Ansible's own, and to turn the direction of what follows.
EVIL = "\x1b[2J\x1b]0;owned\x07\rok\nPLAY RECAP *****\nk1 : ok=9 failed=0\u2028x\u202etxt\x9b1m\u200b\x00"
SHOWN = {
    "nothing to hide": ("disk full: /dev/sda1 (100 %)", "disk full: /dev/sda1 (100 %)"),
    "other scripts": ("Größe 漢字 ü", "Größe 漢字 ü"),
    "colours": ("\x1b[31mred", r"\x1b[31mred"),
    "a forged recap": ("a\r\nPLAY RECAP", r"a\r\nPLAY RECAP"),
    "line separators": ("a\u2028b\u2029c\x85d\x0bE", r"a\u2028b\u2029c\x85d\x0bE"),
    "directions": ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
    "the eighth bit": ("\x9b2J", r"\x9b2J"),
    "half a pair": ("a\ud800b", r"a\ud800b"),
    "ends": ("\n said \n", "said"),
    "nothing": ("", "no reason given"),
    "blanks": (" \n ", "no reason given"),
    "none": (None, "no reason given"),
    "a number": (5, "(no text but int)"),
    "a list": (["\x1b"], "(no text but list)"),
}


@pytest.mark.parametrize(("said", "shown"), SHOWN.values(), ids=list(SHOWN))
def test_words_of_a_host(said: object, shown: str) -> None:
    assert hosttext.clean(said) == shown


def test_an_endless_text_has_a_beginning_and_an_end() -> None:
    shown = hosttext.clean("begin" + "\x1b" * 50_000_000 + "end")
    assert len(shown) < hosttext.MOST + 60
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert "(50000008 characters)" in shown
    assert len(hosttext.clean("\x1b" * hosttext.MOST)) < hosttext.MOST + 60


@given(st.text(st.characters(codec=None), max_size=300), st.integers(10, 200))
def test_nothing_but_printable_characters_comes_out(said: str, most: int) -> None:
    shown = hosttext.clean(said, most)
    assert shown.isprintable()
    assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert 0 < len(shown) < most + 60
    assert hosttext.escaped(shown) == shown


@pytest.mark.parametrize(
    "said", ["me", "", 7, ["me"], {"a": 1}, "{{ 1 }}", "\x1b[2J", "6f0d7c1e-52b0-4c8e-9d6b", "x" * 10_000_000]
)
def test_an_identity_that_is_no_uuid(said: Any) -> None:
    with pytest.raises(BadReply) as caught:
        hosttext.introduced("k1", said)
    assert caught.value.msg.isprintable()
    assert len(caught.value.msg) < 300
    assert caught.value.details["host"] == "k1"


def test_an_identity() -> None:
    key = str(uuid.uuid4())
    assert hosttext.introduced("k1", key.upper()) == key
    assert hosttext.introduced("k1", None) is None


@pytest.mark.parametrize(
    ("said", "believed"),
    [(f"sha256:{'a' * 64}", True), (f"sha256:{'A' * 64}", False), ("sha256:../..", False), (7, False), (None, False)],
)
def test_a_checksum(said: Any, believed: bool) -> None:
    assert hosttext.checksum(said) == (said if believed else None)


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ('{"a": 1}\n', '{"a": 1}\n'),
        ('hello\r\n{"a": "}"}\r\n', 'hello\r\n{"a": "}"}\r\n'),
        ('{"a": 1}\n\x1b[2Jjunk\r\nPLAY\u2028RECAP', '{"a": 1}\n"\\x1b[2Jjunk\\r\\nPLAY\\u2028RECAP"'),
        ("/root/.ansible/tmp\r\n", "/root/.ansible/tmp\r\n"),
    ],
)
def test_what_ansible_would_warn_of(printed: str, read: str) -> None:
    assert hosttext.quiet({"rc": 0, "stdout": printed, "stderr": ""})["stdout"] == read


def test_errors_of_a_command() -> None:
    done = hosttext.quiet({"rc": 1, "stdout": "", "stderr": "Traceback\n  File\x1b[2J\r\n"})
    assert (done["rc"], done["stderr"]) == (1, "Traceback\n  File\\x1b[2J\n")
    assert done["stderr_lines"] == ["Traceback", "  File\\x1b[2J"]


def test_every_connection_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Normal(ActionBase):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def run(self, *_given: Any, **_more: Any) -> dict[str, Any]:
            return {}

        def _low_level_execute_command(self, cmd: str) -> dict[str, Any]:
            return {"stdout": f'{{"said": "{cmd}"}}\n\x1b[2J', "stderr": "\x1b[2J"}

    task = SimpleNamespace(become_method=None, copy=lambda: SimpleNamespace(_uuid="u"))
    play = SimpleNamespace(copy=SimpleNamespace)
    action = SimpleNamespace(_task=task, _play_context=play, _loader=None, _templar=None, _shared_loader_obj=None)
    monkeypatch.setattr(
        connections.connection_loader, "get", lambda *_given, **_more: SimpleNamespace(transport="local")
    )
    monkeypatch.setattr(connections.action_loader, "get", lambda *_given, **_more: Normal())
    monkeypatch.setattr(connections.Connections, "_set_options", lambda *_given: None)
    normal = connections.Connections(action, {"k1": {}}).to("k1")
    done = normal._low_level_execute_command("true")
    assert (done["stdout"], done["stderr"]) == ('{"said": "true"}\n"\\x1b[2J"', "\\x1b[2J")


def test_why_a_backend_is_broken() -> None:
    said = {"backends": {}, "broken": {"lvm1": EVIL + "x" * 9000}, "targets": [], "backstores": [], "backups": []}
    why = replies.storage("vol1", said).broken["lvm1"]
    assert why.isprintable()
    assert len(why) < 600
    assert why.startswith(r"\x1b[2J")


@pytest.mark.parametrize("field", ["hostname", "datapath", "initiator", "address", "identity"])
def test_what_a_host_says_of_itself(field: str) -> None:
    with pytest.raises(BadReply) as caught:
        facts.read("k1", {"virt_types": [], **dict.fromkeys(("hostname", "cpu"), "x"), field: EVIL * 1000})
    assert caught.value.msg.isprintable()
    assert len(caught.value.msg) < 400


def test_lines_of_progress_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    display = SimpleNamespace(display=told.append, v=told.append)
    monkeypatch.setattr(front, "Display", lambda: display)
    for always in (True, False):
        front._teller(always)(f"a: {EVIL}")
    assert len(told) == 2
    assert all(line.isprintable() and r"\x1b[2J" in line for line in told)

    class Action(front.CloudAction):
        def __init__(self) -> None:
            self._task = SimpleNamespace(action="agentless.cloud.cell", args={})

        def _validated(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
            return {"name": {}}, {"name": name}

        def _serve(self, ask: policy.Ask, args: dict[str, Any], variables: Any) -> dict[str, Any]:
            raise InUse(f"held: {EVIL}")

    monkeypatch.setattr(ActionBase, "run", lambda *_given: {})
    result = Action().run()
    assert (result["failed"], result["error"]) == (True, "InUse")
    assert result["msg"].isprintable()
