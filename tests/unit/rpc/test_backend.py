# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's side of a call: who it is for, what is too old, and that one failure stops nothing else."""

from __future__ import annotations

import errno
import stat
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context, Generations

ME, OTHER = "6a3e4f0e-0f6c-4a55-8d2c-6f1d1c9a7b10", "0b0f6d0c-1111-4222-8333-444455556666"
READING = frozenset({"discover"})
Op = dict[str, Any]


def op(name: str = "spawn", record: str = "a", generation: int = 1) -> Op:
    return {"op": name, "id": record, "generation": generation}


@pytest.fixture
def identity_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "etc" / "identity"
    monkeypatch.setattr(backend, "IDENTITY_FILE", str(file))
    return file


@pytest.mark.parametrize(
    ("seen", "carried", "refused"),
    [
        ([], [op(generation=1)], []),
        ([5], [op(generation=4)], [0]),
        ([5], [op(generation=5)], []),
        ([5], [op(generation=6)], []),
        ([5], [op(generation=4), op(record="b", generation=1), op(generation=5)], [0]),
        ([], [op(generation=3), op(generation=2)], [1]),
        ([5, 4], [op(generation=4)], [0]),
    ],
)
def test_an_older_generation_is_refused(seen: list[int], carried: list[Op], refused: list[int], tmp_path: Path) -> None:
    generations = Generations(str(tmp_path / "state"))
    for generation in seen:
        generations.admit([op(generation=generation)])
    found = generations.admit(carried)
    assert sorted(found) == refused
    assert {error.error for error in found.values()} <= {"StaleGeneration"}


def test_nothing_is_written_for_calls_without_a_generation(tmp_path: Path) -> None:
    assert Generations(str(tmp_path / "state")).admit([]) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("here", "expected", "operations", "result"),
    [
        (ME, ME, [op()], ME),
        (ME, OTHER, [op()], "HostMismatch"),
        (ME, OTHER, [op("discover")], "HostMismatch"),
        (ME, None, [op("identify")], ME),
        (ME, None, [op("discover")], ME),
        (ME, None, [op()], "HostMismatch"),
        (ME, None, [op("discover"), op()], "HostMismatch"),
        (None, ME, [op()], "HostMismatch"),
        (None, None, [op()], "HostMismatch"),
        ("no uuid", ME, [op()], "HostMismatch"),
    ],
)
def test_only_the_machine_that_is_meant_does_anything(
    here: str | None, expected: str | None, operations: list[Op], result: str, identity_file: Path
) -> None:
    if here is not None:
        identity_file.parent.mkdir()
        identity_file.write_text(f"{here}\n")
    try:
        found = backend._checked_identity(Context(), expected, operations, READING)
    except BackendError as error:
        found = error.error
    assert found == result
    assert identity_file.exists() is (here is not None)


def test_a_machine_gets_its_identity_at_the_first_question(identity_file: Path) -> None:
    assert backend.identity(create=False) is None
    assert backend._checked_identity(Context(check_mode=True), None, [op("identify")], READING) is None
    made = backend._checked_identity(Context(), None, [op("identify")], READING)
    assert str(uuid.UUID(made)) == made == backend.identity(create=True)
    assert list(identity_file.parent.iterdir()) == [identity_file]


def test_two_first_questions_give_one_identity(identity_file: Path) -> None:
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(backend.identity(create=True))) for _each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8


@pytest.mark.parametrize("payload", ["{}", "[1]", '[{"id": 1}]', '"op"'])
def test_what_is_no_list_of_operations_is_refused(payload: str) -> None:
    with pytest.raises(BackendError):
        backend._parsed(payload)


def _raises(error: Exception) -> Callable[..., Any]:
    def handler(*_given: Any) -> Any:
        raise error

    return handler


HANDLERS: dict[str, backend.Handler] = {
    "works": lambda _ctx, _op: {"changed": True, "value": 7},
    "refuses": _raises(BackendError("no", error="InUse", by="b")),
    "full": _raises(OSError(errno.ENOSPC, "full")),
    "surprises": _raises(KeyError("x")),
}


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("works", {"ok": True, "changed": True, "value": 7}),
        ("identify", {"ok": True, "changed": False}),
        ("refuses", {"ok": False, "changed": False, "error": "InUse", "msg": "no", "by": "b"}),
        ("full", {"ok": False, "error": "BackendFailed", "msg": "full: [Errno 28] full"}),
        ("surprises", {"ok": False, "error": "BackendFailed", "msg": "surprises: KeyError: 'x'"}),
        ("other", {"ok": False, "error": "BackendFailed", "msg": "Unknown operation 'other'."}),
    ],
)
def test_whatever_goes_wrong_is_the_result_of_that_operation(name: str, result: Op, tmp_path: Path) -> None:
    found = backend._carry_out(Context(state_dir=str(tmp_path)), [{"op": name}, {"op": "works"}], HANDLERS, None)
    assert result.items() <= found[0].items()
    assert found[1]["value"] == 7


@pytest.mark.parametrize("check", [False, True])
def test_a_refused_operation_is_not_carried_out(check: bool, tmp_path: Path) -> None:
    Generations(str(tmp_path)).admit([op(generation=5)])
    carried = [op("works", generation=4), op("works", "b", generation=1)]
    found = backend._carry_out(Context(check, state_dir=str(tmp_path)), carried, HANDLERS, None)
    # Check mode changes nothing and so refuses nothing either.
    assert [each["ok"] for each in found] == [check, True]


@pytest.mark.parametrize(
    ("batch", "oks"),
    [
        (lambda _ctx, real: [{"value": each["op"]} for each in real], [True, True, True]),
        (_raises(BackendError("no")), [False, True, False]),
        (_raises(ValueError("no")), [False, True, False]),
    ],
)
def test_a_batch_answers_each_operation(batch: backend.Batch, oks: list[bool], tmp_path: Path) -> None:
    carried = [{"op": "a"}, {"op": "identify"}, {"op": "b"}]
    found = backend._carry_out(Context(state_dir=str(tmp_path)), carried, {}, batch)
    assert [each["ok"] for each in found] == oks
    if all(oks):
        assert [each.get("value") for each in found] == ["a", None, "b"]


@pytest.mark.parametrize(
    ("argv", "timeout", "error", "words"),
    [
        (["no-such-program"], 60, "BackendFailed", "is not installed"),
        (["sleep", "5"], 0.05, "Timeout", "did not finish in 0.05 s"),
        (["ls", "/no/such/place"], 60, "BackendFailed", "exit status 2"),
    ],
)
def test_a_command_that_fails_says_how(argv: list[str], timeout: float, error: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        Context().run(argv, timeout=timeout)
    assert caught.value.error == error
    assert words in caught.value.msg


def test_commands_see_a_plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "x")
    assert "CANARY" not in Context().run(["env"]).stdout
    assert Context().run(["cat"], stdin="text").stdout == "text"
    assert Context().run(["false"], check=False).returncode == 1


def test_a_full_disk_happens_once_and_where_it_was_asked_for() -> None:
    ctx = Context(fault="disk_full")
    with pytest.raises(OSError, match="injected before write"):
        ctx.effect("write")
    ctx.effect("write")


def test_the_directory_of_generations_is_closed_to_others(tmp_path: Path) -> None:
    Generations(str(tmp_path / "state")).admit([op()])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) & 0o066 == 0
