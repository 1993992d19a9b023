# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Silent hosts do not add up, and the others get their turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import ahead, bounds, errors, fan_out, rpc

Work = Callable[[float], None]


@pytest.fixture
def silent() -> Iterator[Work]:
    """The call of a host that says nothing until the test has ended."""
    over = threading.Event()
    yield lambda _seconds: bool(over.wait(60)) and None
    over.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "GRACE", 0.2)
    monkeypatch.setattr(fan_out, "PATIENCE", 0.3)


def run(works: list[tuple[Work, float]]) -> tuple[list[fan_out.Member], list[bool], float]:
    start = time.monotonic()
    crowd = fan_out.Crowd([timeout for _work, timeout in works])
    members = [crowd.start(work, timeout) for work, timeout in works]
    ended = [crowd.wait(member) for member in members]
    return members, ended, time.monotonic() - start


def test_silent_hosts_do_not_add_up(silent: Work) -> None:
    _members, ended, seconds = run([(silent, 1)] * 20)
    assert ended == [False] * 20
    assert seconds < 4


def test_those_that_answer_get_their_turn_behind_more_silent_ones_than_begin_together(silent: Work) -> None:
    number = 2 * fan_out.AT_ONCE
    _members, ended, seconds = run([*[(silent, 3)] * number, *[(lambda _seconds: None, 3)] * 5])
    assert ended == [False] * number + [True] * 5
    assert seconds < 3 + 2 * 0.3 + 3


def test_no_more_than_some_begin_together() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def work(_seconds: float) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    _members, ended, _seconds = run([(work, 30)] * (3 * fan_out.AT_ONCE))
    assert all(ended)
    assert 1 < most[0] <= fan_out.AT_ONCE


def test_one_that_had_no_turn_in_time_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "ALIVE", 2)
    over, began = threading.Event(), list[int]()

    def silent(_seconds: float) -> None:
        over.wait(60)

    members, ended, seconds = run([(silent, 1), (silent, 1), (lambda _seconds: began.append(1), 1)])
    assert ended == [False] * 3
    assert [member.began is None for member in members] == [False, False, True]
    assert seconds < 4
    over.set()  # now there would be room
    time.sleep(0.3)
    assert not began


def test_each_call_has_its_own_time_within_that_of_all(silent: Work) -> None:
    got: list[float] = []
    _members, ended, seconds = run([(silent, 1), (got.append, 900), (lambda _seconds: time.sleep(2), 900)])
    assert ended == [False, True, True]
    assert got[0] == pytest.approx(900, abs=5)
    assert seconds < 6, "who is silent for his own time is not waited for as long as the slowest may take"


def test_what_the_controller_prepares_takes_no_time_of_the_calls() -> None:
    crowd, got = fan_out.Crowd([2, 2]), list[float]()
    for _each in range(2):
        time.sleep(0.7)
        assert crowd.wait(crowd.start(got.append, 2))
    assert got == [pytest.approx(2, abs=0.5)] * 2


class Bus(rpc.Rpc):
    """A bus whose host ``k1`` says nothing, and that keeps which time each call was given."""

    def __init__(self, silent: Work) -> None:
        self.silent, self.given = silent, list[float]()
        self._identities = SimpleNamespace(recorded=lambda _hosts: {}, remember=lambda *_words: None)

    def _prepared(self, call: rpc.Call, identity: str | None, reply: rpc.Reply) -> Work | None:
        def work(seconds: float) -> None:
            self.given.append(round(seconds))
            reply.identity = "me"
            if call.host == "k1":
                self.silent(seconds)

        return work


def test_a_round_of_calls_has_one_deadline(silent: Work) -> None:
    bus = Bus(silent)
    calls = [rpc.Call("k1", "compute_backend", [{"op": "discover"}], timeout=1)] * 10
    start = time.monotonic()
    replies = bus.map([*calls, rpc.Call("k2", "compute_backend", [{"op": "discover"}], timeout=1)])
    assert [reply.error and reply.error.error for reply in replies] == ["Timeout"] * 10 + [None]
    assert time.monotonic() - start < 5


def test_a_silent_stranger_does_not_hold_up_the_others_for_the_time_of_the_call(
    silent: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "INTRODUCTION", 1)
    bus = Bus(silent)
    start = time.monotonic()
    replies = bus.map([rpc.Call(host, "compute_backend", [{"op": "spawn"}], timeout=900) for host in ("k1", "k2")])
    assert [reply.error and reply.error.error for reply in replies] == ["Timeout", None]
    assert sorted(bus.given) == [1, 1, 900]
    assert time.monotonic() - start < 5


def test_a_connection_that_opens_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over, limits = threading.Event(), list[float | None]()

    class Connection:
        transport = "ssh"

        def get_option(self, _name: str) -> str:
            return "-o ControlPersist=60s"

        def exec_command(self, _command: str, **_options: object) -> None:
            limits.append(bounds.seconds_left())
            over.wait(60)
            raise errors.Timeout("ended")

    normal = SimpleNamespace(_connection=Connection())
    opening = ahead._Host(normal, "k1")  # type: ignore[arg-type]
    start = time.monotonic()
    with bounds.Bound("k1", "x", size=1, seconds=1).held():
        assert opening.ready() is normal  # the call itself then finds that its time is up
    assert time.monotonic() - start < 5
    over.set()
    assert opening.ready() is normal
    assert limits == [pytest.approx(ahead.OPENING, abs=2)]


@pytest.mark.parametrize(
    ("begun", "words"),
    [(True, "k1 did not answer in 9 s. What was done there is not known"), (False, "Nothing was done")],
)
def test_what_is_told_of_a_call_that_was_given_up(begun: bool, words: str) -> None:
    late = rpc._late(rpc.Call("k1", "compute_backend", [{"op": "spawn"}], timeout=9), begun=begun)
    assert words in late.msg
    assert late.details == {"host": "k1"}
