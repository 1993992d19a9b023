# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RPC against real hosts over real SSH, on the oldest and the newest ansible-core that this Python can run.

The probe (``library/probe_backend.py``) says who and where it is; the test action (``action_plugins/rpc_probe.py``)
sends calls through :mod:`rpc` and returns the replies.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cores import environments

HERE = pathlib.Path(__file__).parent
CHECKOUT = HERE.parents[2]
LAB = CHECKOUT / "tests" / "lab" / "lab"
NAME = f"rpc{os.getpid()}"
RECORD = "6b1c1a0e-0000-4000-8000-000000000001"

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def inventory() -> Iterator[pathlib.Path]:
    """Two hosts, of which ``b`` is reached as an ordinary user with sudo and another interpreter."""
    made = subprocess.run(
        [LAB, "up", "--name", NAME, "--hosts", "a,b"], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        prepare = (
            "useradd -m opal && install -d -o opal -m 700 /home/opal/.ssh && "
            "install -o opal -m 600 /root/.ssh/authorized_keys /home/opal/.ssh/ && "
            "echo 'opal ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/opal && "
            "ln -s /usr/bin/python3 /usr/local/bin/other-python"
        )
        subprocess.run([LAB, "exec", NAME, "b", "--", prepare], check=True)
        yield pathlib.Path(made)
    finally:
        subprocess.run([LAB, "down", "--name", NAME], check=False)


@pytest.fixture(scope="module", params=["oldest", "newest"])
def core(request: pytest.FixtureRequest) -> pathlib.Path:
    """The directory of one ansible-core's programs."""
    if request.param == "newest":
        return pathlib.Path(sys.executable).parent
    return environments.programs("oldest")


class Bus:
    """Runs the test action in a play of its own."""

    def __init__(self, core: pathlib.Path, inventory: pathlib.Path, folder: pathlib.Path) -> None:
        self.core, self.inventory, self.folder = core, inventory, folder
        self.book = folder / "book.json"

    def __call__(
        self,
        *calls: dict[str, Any],
        options: tuple[str, ...] = (),
        before: dict[str, Any] | None = None,
        ahead: dict[str, Any] | None = None,
        **environ: str,
    ) -> dict[str, Any]:
        for part in ("action_plugins", "library"):
            (self.folder / part).exists() or (self.folder / part).symlink_to(HERE / part)
        play = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "connection": "local",
                "tasks": [
                    {"rpc_probe": {"book": str(self.book), "calls": list(calls), **(ahead or {})}, "register": "out"},
                    {
                        "copy": {"dest": str(self.folder / "out.json"), "content": "{{ out | to_json }}"},
                        "check_mode": False,
                    },
                ],
            }
        ]
        (self.folder / "play.yml").write_text(json.dumps([before, *play] if before else play))
        (self.folder / "out.json").unlink(missing_ok=True)
        done = subprocess.run(
            [self.core / "ansible-playbook", "-i", self.inventory, *options, self.folder / "play.yml"],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        if not (self.folder / "out.json").exists():
            return {"output": done.stdout + done.stderr, "returncode": done.returncode}
        return {**json.loads((self.folder / "out.json").read_text()), "output": done.stdout}


@pytest.fixture
def bus(core: pathlib.Path, inventory: pathlib.Path, tmp_path: pathlib.Path) -> Bus:
    return Bus(core, inventory, tmp_path)


def call(host: str, *operations: dict[str, Any], timeout: int = 60) -> dict[str, Any]:
    return {"host": host, "operations": list(operations), "timeout": timeout}


def test_replies_keep_the_order_of_the_calls_and_run_side_by_side(bus: Bus) -> None:
    bus(call("a", {"op": "whoami"}), call("b", {"op": "whoami"}))  # the connections are open from here on
    hosts = ["a", "b", "a", "b", "b", "a", "a", "b"]
    out = bus(*(call(host, {"op": "sleep", "seconds": 2}, {"op": "whoami"}) for host in hosts))
    assert [reply["host"] for reply in out["replies"]] == hosts
    assert [reply["results"][1]["host"] for reply in out["replies"]] == hosts
    assert out["seconds"] < 8 * 2, "the calls ran one after the other"


def test_one_failing_operation_and_one_dead_host_stop_nobody(bus: Bus) -> None:
    out = bus(
        call("a", {"op": "fail", "error": "ImageRefused"}, {"op": "surprise"}, {"op": "unheard"}, {"op": "whoami"}),
        call("nowhere", {"op": "whoami"}),
        call("b", {"op": "whoami"}),
        options=("-e", '{"x": 1}'),
    )
    a, nowhere, b = out["replies"]
    assert [result["ok"] for result in a["results"]] == [False, False, False, True]
    assert a["results"][0]["error"] == "ImageRefused"
    assert nowhere["error"] == "BadInput"
    assert "nowhere" in nowhere["msg"]
    assert b["results"][0]["host"] == "b"


def test_an_unreachable_host_is_named(bus: Bus, tmp_path: pathlib.Path) -> None:
    extra = tmp_path / "dead.yml"
    extra.write_text("all: {hosts: {dead: {ansible_host: 127.0.0.1, ansible_port: 9}}}")
    out = bus(call("dead", {"op": "whoami"}), call("a", {"op": "whoami"}), options=("-i", str(extra)))
    dead, alive = out["replies"]
    assert dead["error"] == "HostUnreachable"
    assert "dead" in dead["msg"]
    assert alive["error"] is None


@pytest.mark.parametrize(
    ("arguments", "connections"),
    [("", 2), ("-o ServerAliveInterval=9", 1), ("-o ControlPath={folder}/given", 1)],
    ids=["as Ansible comes", "with keep-alives of the user", "with a socket of the user"],
)
def test_calls_share_no_connection_that_the_play_opened_without_keep_alives(
    bus: Bus, arguments: str, connections: int
) -> None:
    with tempfile.TemporaryDirectory() as sockets:  # the path of a socket is to be short
        environ = {
            "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
            "ANSIBLE_SSH_ARGS": f"-o ControlMaster=auto -o ControlPersist=30s {arguments.format(folder=sockets)}",
        }
        first = {"hosts": "a", "gather_facts": False, "tasks": [{"ping": {}}]}
        out = bus(call("a", {"op": "whoami"}), before=first, **environ)
        assert out["replies"][0]["error"] is None
        assert len(os.listdir(sockets)) == connections


@pytest.mark.parametrize(
    ("ahead", "sockets"),
    [({"expect": ["b"]}, 2), ({"expect": ["a", "b"], "packed": True}, 2), ({"next": ["b"]}, 2), ({}, 1)],
    ids=["opened", "opened and packed", "meanwhile", "nothing"],
)
def test_a_host_is_ready_before_it_is_called(bus: Bus, ahead: dict[str, Any], sockets: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = bus(call("a", {"op": "sleep", "seconds": 2}), ahead=ahead, ANSIBLE_SSH_CONTROL_PATH_DIR=folder)
        assert [reply["error"] for reply in out["replies"]] == [None] * len(out["replies"])
        assert len(os.listdir(folder)) == sockets


@pytest.mark.parametrize("ahead", [{"expect": ["dead", "nowhere"]}, {"next": ["dead", "nowhere"]}])
def test_a_dead_host_that_was_expected_is_named_when_it_is_called(
    bus: Bus, tmp_path: pathlib.Path, ahead: dict[str, Any]
) -> None:
    extra = tmp_path / "dead.yml"
    extra.write_text("all: {hosts: {dead: {ansible_host: 127.0.0.1, ansible_port: 9}}}")
    out = bus(
        call("a", {"op": "whoami"}),
        *([call("dead", {"op": "whoami"}), call("nowhere", {"op": "whoami"})] if "expect" in ahead else []),
        ahead=ahead,
        options=("-i", str(extra)),
    )
    assert [(r["host"], r["error"]) for r in out["replies"]] == [
        ("a", None),
        ("dead", "HostUnreachable"),
        ("nowhere", "BadInput"),
    ]


def test_become_and_interpreter_are_those_of_the_host(bus: Bus, tmp_path: pathlib.Path) -> None:
    extra = tmp_path / "vars.json"
    extra.write_text(
        json.dumps(
            {
                "all": {
                    "hosts": {
                        "b": {
                            "ansible_user": "opal",
                            "ansible_become": True,
                            "ansible_python_interpreter": "/usr/local/bin/other-python",
                        }
                    }
                }
            }
        )
    )
    out = bus(call("b", {"op": "whoami"}), call("a", {"op": "whoami"}), options=("-i", str(extra)))
    assert out["replies"][0]["results"][0]["user"] == "root"
    assert out["replies"][0]["results"][0]["python"] == "/usr/local/bin/other-python"
    assert out["replies"][1]["results"][0]["python"] == "/usr/bin/python3"


def test_check_mode_reaches_the_host(bus: Bus) -> None:
    bus(call("a", {"op": "whoami"}))
    out = bus(call("a", {"op": "whoami"}), options=("--check",))
    assert out["replies"][0]["results"][0]["check"] is True


def test_text_arrives_as_it_was_and_what_a_host_says_is_never_a_template(bus: Bus) -> None:
    text = "{{ 1 + 1 }}\n'\"<&>\\ é {% raw %}"
    out = bus(call("a", {"op": "whoami", "text": "{% raw %}" + "{{ 1 + 1 }}" + "{% endraw %}"}))
    assert out["replies"][0]["results"][0]["echo"] == "{{ 1 + 1 }}"
    assert "lookup('pipe'" in out["replies"][0]["results"][0]["boot"], "the host's template was rendered"
    assert not pathlib.Path("/tmp/agentless-owned").exists()
    assert text  # the same text byte for byte goes through user data, in the molecule scenario


def test_another_machine_under_the_name_does_nothing(bus: Bus, inventory: pathlib.Path) -> None:
    bus(call("a", {"op": "whoami"}), call("b", {"op": "whoami"}))
    known = json.loads(bus.book.read_text())
    bus.book.write_text(json.dumps({"a": known["b"], "b": known["b"]}))
    out = bus(call("a", {"op": "touch", "id": RECORD, "generation": 1, "path": "/root/wrong"}))
    assert out["replies"][0]["error"] == "HostMismatch"
    there = subprocess.run([LAB, "exec", NAME, "a", "--", "test -e /root/wrong"], check=False)
    assert there.returncode != 0


def test_an_older_generation_is_refused(bus: Bus) -> None:
    record = f"6b1c1a0e-0000-4000-8000-{os.getpid():012d}"
    for wanted in (((5, True),), ((4, False), (5, True), (6, True))):  # what the first call told is kept on the host
        touches = [
            {"op": "touch", "id": record, "generation": generation, "path": "/root/t"} for generation, _ok in wanted
        ]
        results = bus(call("b", *touches))["replies"][0]["results"]
        assert [result["ok"] for result in results] == [ok for _generation, ok in wanted], results
    # what one run of the module counts on one ansible-core must not stand in the way of the next
    subprocess.run([LAB, "exec", NAME, "b", "--", "rm /var/lib/agentless/generations.db"], check=True)


def test_a_call_that_takes_too_long_is_given_up(bus: Bus) -> None:
    out = bus(call("a", {"op": "sleep", "seconds": 30}, timeout=3), call("b", {"op": "whoami"}))
    assert out["replies"][0]["error"] == "Timeout"
    assert out["replies"][1]["error"] is None


LIES = {
    "one long text": (
        """printf '{"results": ["'; head -c 300000000 /dev/zero | tr '\\0' x; printf '"]}'""",
        "BadReply",
    ),
    "many small lists": (
        """printf '{"results": ['; yes '[],[],[],[],' | head -c 300000000; printf '0]}'""",
        "BadReply",
    ),
    "nothing": ("exec sleep 60", "Timeout"),
}


def lying(bus: Bus, body: str, *names: str) -> tuple[str, ...]:
    """Options by which host ``a`` under these names has a Python that does this instead of the module."""
    script = f"#!/bin/sh\ncat >/dev/null\n{body}\n"
    put = "cat >/usr/local/bin/lying-python && chmod 755 /usr/local/bin/lying-python"
    subprocess.run([LAB, "exec", NAME, "a", "--", put], input=script.encode(), check=True)
    honest = yaml.safe_load(bus.inventory.read_text())["all"]["hosts"]["a"]
    liar = {**honest, "ansible_python_interpreter": "/usr/local/bin/lying-python"}
    extra = bus.folder / "lying.yml"
    extra.write_text(json.dumps({"all": {"hosts": dict.fromkeys(names, liar)}}))
    return ("-i", str(extra))


@pytest.mark.parametrize(("body", "error"), LIES.values(), ids=list(LIES))
def test_a_lying_host_takes_neither_memory_nor_time_of_the_others(bus: Bus, body: str, error: str) -> None:
    honest = bus(call("a", {"op": "whoami"}), call("b", {"op": "whoami"}))
    known = json.loads(bus.book.read_text())
    liars = ["liar1", "liar2", "liar3", "liar4"] if error == "Timeout" else ["liar1"]
    bus.book.write_text(json.dumps({**known, **dict.fromkeys(liars, known["a"])}))
    said = [call(name, {"op": "whoami"}, timeout=10 if error == "Timeout" else 60) for name in liars]
    again = {"next": ["a"]}  # over the connection that was shared
    out = bus(*said, call("b", {"op": "whoami"}), options=lying(bus, body, *liars), ahead=again)
    *lies, b, a = out["replies"]
    assert [reply["error"] for reply in lies] == [error] * len(liars), lies
    assert (a["results"][0]["host"], b["results"][0]["host"]) == ("a", "b")
    assert out["memory"] - honest["memory"] < 250_000, "KiB, of which an answer that is allowed may take the most"
    if error == "Timeout":
        assert out["seconds"] < 3 * 10, "the silent ones add up"


def test_a_file_is_what_was_announced(bus: Bus, tmp_path: pathlib.Path) -> None:
    local = tmp_path / "local"
    prepare = "truncate -s 300M /root/big && head -c 3000000 /dev/urandom >'/root/it is' && sha256sum '/root/it is'"
    done = subprocess.run([LAB, "exec", NAME, "a", "--", prepare], check=True, capture_output=True, text=True)
    asked = {"host": "a", "remote": "/root/it is", "local": str(local), "size": 3_000_000}
    assert bus(ahead={"fetch": asked})["fetched"] is None
    assert hashlib.sha256(local.read_bytes()).hexdigest() == done.stdout.split()[0]
    for announced, error in ((1, "BadReply"), (400 << 20, "BadReply")):
        out = bus(ahead={"fetch": {**asked, "remote": "/root/big", "size": announced}})
        assert out["fetched"]["error"] == error, out
        assert local.stat().st_size <= announced
        assert out["memory"] < 250_000
    assert bus(ahead={"fetch": {**asked, "remote": "/root/none"}})["fetched"]["error"] == "BackendFailed"


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [("error", "BackendFailed", False), ("reply_lost", "HostUnreachable", True), ("disk_full", None, False)],
)
def test_a_fault_happens_where_it_was_asked_for(bus: Bus, fault: str, error: str | None, happened: bool) -> None:
    bus(call("a", {"op": "whoami"}))
    path = f"/root/fault-{fault}-{os.getpid()}"
    operation = {"op": "touch", "id": RECORD, "path": path}
    out = bus(call("a", operation), AGENTLESS_FAULT=f"1:{fault}")
    assert out["replies"][0]["error"] == error
    there = subprocess.run([LAB, "exec", NAME, "a", "--", f"test -e {path} && rm {path}"], check=False)
    assert (there.returncode == 0) is happened
    if fault == "disk_full":
        assert "No space left" in out["replies"][0]["results"][0]["msg"]


def test_killed_means_the_whole_play(bus: Bus) -> None:
    bus(call("a", {"op": "whoami"}))
    out = bus(call("a", {"op": "touch", "id": RECORD, "path": "/root/x"}), AGENTLESS_FAULT="1:killed")
    assert out["returncode"] == -9
