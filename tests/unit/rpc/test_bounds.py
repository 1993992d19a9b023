# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's ssh connection plugin with an ssh that sends too much, nothing at all, or what it should."""

from __future__ import annotations

import contextlib
import errno
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.agentless.cloud.plugins.plugin_utils import bounds, transfers
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError

HUGE = 300_000_000
FLOOD = f"head -c {HUGE} /dev/zero"
# What it does to the command stands in a file beside it.
SSH = """#!/bin/sh
for word; do command=$word; done
export command
echo "$$" >>"${0%/*}/log"
# shellcheck disable=SC1091 # each test writes its own
. "${0%/*}/body"
"""


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[str], Any]:
    """A connection whose ssh is a shell script; ``$command`` is what is to be done on the host."""

    def made(body: str) -> Any:
        ssh = tmp_path / "ssh"
        ssh.write_text(SSH)
        (tmp_path / "body").write_text(body)
        ssh.chmod(0o755)
        connection = connection_loader.get("ssh", PlayContext())
        options = {"inventory_hostname": "k1", "ansible_ssh_executable": str(ssh), "ansible_ssh_timeout": 1}
        connection.set_options(var_options=options)
        assert bounds.install(connection)
        return connection

    return made


def bound(size: int = 1 << 20, seconds: float | None = 30) -> bounds.Bound:
    return bounds.Bound("k1", "compute_backend on k1", size=size, seconds=seconds)


@pytest.mark.parametrize("given", [None, b"a module"])
def test_an_answer_within_the_bound_is_untouched(connect: Callable[[str], Any], given: bytes | None) -> None:
    connection = connect("cat; head -c 1000000 /dev/zero; echo noise >&2; exit 7" if given else "echo hello; exit 7")
    limits = bound()
    with limits.held():
        code, out, err = connection.exec_command("x", in_data=given, sudoable=False)
    assert (code, err.replace(b"\r", b"")) == (7, b"noise\n" if given else b"")
    assert out == (b"a module" + bytes(1_000_000) if given else b"hello\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FLOOD, "more than 1048576 bytes"),
        (f"exec {FLOOD}", "more than 1048576 bytes"),
        (f"{FLOOD} >&2", f"more than {bounds.ANSWER} bytes"),
        (f"yes '[' | head -c {HUGE}", "more than 65536 pieces"),
        (f"yes '' | head -c {HUGE} >&2", f"more than {bounds.ANSWER // bounds.PER_PIECE} pieces"),
        ("while :; do echo x; done", "more than 65536 pieces"),
    ],
)
def test_a_flood_is_cut_off(connect: Callable[[str], Any], body: str, words: str) -> None:
    connection = connect(body)
    got: list[tuple[int, bytes, bytes]] = []
    with pytest.raises(CloudError) as caught, bound().held():
        got.append(connection.exec_command("x", in_data=b"a module", sudoable=False))
    assert (caught.value.error, caught.value.details["host"]) == ("BadReply", "k1")
    assert words in caught.value.msg
    ((_code, out, err),) = got
    assert len(out) <= 1 << 20
    assert len(err) <= bounds.ANSWER


def test_every_command_is_bounded_although_nobody_asked(connect: Callable[[str], Any]) -> None:
    _code, out, _err = connect(f"exec {FLOOD}").exec_command("x", sudoable=False)
    assert len(out) <= bounds.ANSWER


@pytest.mark.parametrize("body", ["exec sleep 60", "sleep 20", "while :; do echo x; sleep 0.2; done"])
def test_a_host_that_does_not_end_is_given_up(connect: Callable[[str], Any], body: str) -> None:
    connection = connect(body)
    start = time.monotonic()
    with pytest.raises(CloudError) as caught, bound(seconds=1).held():
        connection.exec_command("x", in_data=b"a module", sudoable=False)
    assert caught.value.error == "Timeout"
    assert "compute_backend on k1 did not answer in 1 s" in caught.value.msg
    assert time.monotonic() - start < 20


def test_a_host_that_does_not_read_is_given_up(connect: Callable[[str], Any]) -> None:
    connection = connect("exec sleep 60")
    with pytest.raises(CloudError) as caught, bound(seconds=1).held():
        connection.exec_command("x", in_data=bytes(1 << 20), sudoable=False)
    assert caught.value.error == "Timeout"


def test_nothing_begins_when_the_time_is_up(connect: Callable[[str], Any], tmp_path: Path) -> None:
    connection = connect("exit 0")
    with pytest.raises(CloudError) as caught, bound(seconds=0).held():
        connection.exec_command("x", sudoable=False)
    assert caught.value.error == "Timeout"
    assert not (tmp_path / "log").exists()


def test_a_call_that_ended_leaves_nobody_behind(connect: Callable[[str], Any]) -> None:
    connection = connect("exit 0")
    limits = bound()
    for _each in range(3):
        with limits.held():
            connection.exec_command("x", sudoable=False)
    deadline = time.monotonic() + 5
    while any(isinstance(each, threading.Timer) for each in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


@pytest.mark.parametrize(("number", "size"), [(1, (16 << 20) + (64 << 10)), (100, 23330816), (10_000, 64 << 20)])
def test_the_bound_grows_with_the_operations_and_not_for_ever(number: int, size: int) -> None:
    assert bounds.answer(number) == size


def test_a_plugin_that_starts_no_processes_as_ssh_does_is_told_apart() -> None:
    local = connection_loader.get("local", PlayContext())
    assert not bounds.install(local)


def normal(connection: Any) -> Any:
    return SimpleNamespace(_connection=connection)


CONTENT = bytes(range(256)) * 4096
SENDS = "printf '%s' \"$command\" >{sent}; cat {source}"


def test_a_file_comes_as_it_was_announced(connect: Callable[[str], Any], tmp_path: Path) -> None:
    source, sent, local = tmp_path / "source", tmp_path / "sent", tmp_path / "local"
    source.write_bytes(CONTENT)
    connection = connect(SENDS.format(sent=sent, source=source))
    connection.set_option("ssh_extra_args", "-tt")
    transfers.fetch(normal(connection), "k1", "/a b/'c", str(local), size=len(CONTENT))
    assert local.read_bytes() == CONTENT
    assert sent.read_text() == "cat '/a b/'\"'\"'c'"
    assert connection.get_option("ssh_extra_args") == "-tt -T"


@pytest.mark.parametrize(
    ("body", "size", "error", "words"),
    [
        (f"exec {FLOOD}", 1, "BadReply", "more than 1 bytes"),
        (f"exec {FLOOD}", 1 << 20, "BadReply", "more than 1048576 bytes"),
        ("head -c 99 /dev/zero", 100, "BadReply", "has 100 bytes, and sent 99"),
        ("echo 'no such file' >&2; exit 1", 100, "BackendFailed", "no such file"),
        ("echo 'No route to host' >&2; exit 255", 100, "HostUnreachable", "No route"),
    ],
)
def test_a_file_that_is_another(
    connect: Callable[[str], Any], tmp_path: Path, body: str, size: int, error: str, words: str
) -> None:
    local = tmp_path / "local"
    with pytest.raises(CloudError) as caught:
        transfers.fetch(normal(connect(body)), "k1", "/x", str(local), size=size)
    assert (caught.value.error, caught.value.details["host"]) == (error, "k1")
    assert words in caught.value.msg
    assert local.stat().st_size <= size


@pytest.mark.parametrize(("first", "came"), [("abcdef", False), ("xyz", True), ("x", True)])
def test_a_transfer_that_is_tried_again_begins_at_the_beginning(
    connect: Callable[[str], Any], tmp_path: Path, first: str, came: bool
) -> None:
    connection = connect(f"[ $(wc -l <{tmp_path}/log) = 1 ] && printf {first} && exit 255; printf abc")
    connection.set_option("reconnection_retries", 1)
    with contextlib.nullcontext() if came else pytest.raises(CloudError, match="6 bytes, and sent 3"):
        transfers.fetch(normal(connection), "k1", "/x", str(tmp_path / "local"), size=3 if came else 6)
    assert (tmp_path / "local").read_bytes() == b"abc"


def test_a_full_disk_of_the_controller_ends_a_transfer(connect: Callable[[str], Any]) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 1 << 20:
                raise OSError(errno.ENOSPC, "No space left")
            return super().write(data)

    connection = connect("exec cat /dev/zero")
    limits = bounds.Bound("k1", "The copy", size=1 << 40, into=Full())
    with pytest.raises(CloudError, match="No space left") as caught, limits.held():
        connection.exec_command("x", sudoable=False)
    assert caught.value.error == "BackendFailed"


def test_a_place_that_cannot_be_written_is_told(connect: Callable[[str], Any]) -> None:
    with pytest.raises(CloudError, match="cannot be kept") as caught:
        transfers.fetch(normal(connect("cat /dev/zero")), "k1", "/x", "/dev/full", size=1 << 40)
    assert caught.value.error == "BackendFailed"


@pytest.mark.parametrize(
    "copy",
    [
        lambda given, local: transfers.put(given, "k1", local, "/x"),
        lambda given, local: transfers.fetch(given, "k1", "/x", local, size=1),
    ],
    ids=["put", "fetch"],
)
def test_a_silent_host_ends_a_transfer(
    connect: Callable[[str], Any],
    tmp_path: Path,
    copy: Callable[[Any, str], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfers, "BEGIN", 1)
    local = tmp_path / "local"
    local.write_bytes(b"x")
    connection = connect("exec sleep 60")
    connection.set_option("sftp_executable", str(tmp_path / "ssh"))
    with pytest.raises(CloudError) as caught:
        copy(normal(connection), str(local))
    assert caught.value.error == "Timeout"


def test_over_another_plugin_the_size_is_compared_afterwards(tmp_path: Path) -> None:
    local = connection_loader.get("local", PlayContext())
    local.set_options()
    (tmp_path / "source").write_bytes(b"abc")
    transfers.fetch(normal(local), "k1", str(tmp_path / "source"), str(tmp_path / "local"), size=3)
    with pytest.raises(CloudError) as caught:
        transfers.fetch(normal(local), "k1", str(tmp_path / "source"), str(tmp_path / "local"), size=2)
    assert caught.value.error == "BadReply"
