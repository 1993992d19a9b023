# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The half of every backend module that is the same: identity, generations, dispatch, commands, faults.

A backend module hands :func:`main` a table of operations. Each call carries the identity that the controller expects
of this host and a list of operations; each operation may carry the ``id`` and the ``generation`` of the record it acts
for. A host that is not the one meant carries out nothing; an operation older than what the host has already seen for
that record is refused. One failing operation never stops the others.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any, Callable

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

IDENTITY_FILE = "/etc/agentless/identity"
STATE_DIR = "/var/lib/agentless"

Operation = dict[str, Any]
Handler = Callable[["Context", Operation], dict[str, Any]]
Batch = Callable[["Context", list[Operation]], list[dict[str, Any]]]


class BackendError(Exception):
    """An operation that cannot be done; ``error`` is a class name of the controller's tree."""

    def __init__(self, msg: str, error: str = "BackendFailed", **details: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error = error
        self.details = details

    def as_result(self) -> dict[str, Any]:
        """The operation's entry in the reply."""
        return {"ok": False, "changed": False, "error": self.error, "msg": self.msg, **self.details}


class Finished:
    """What a command left: exit status and both outputs as text."""

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


class Context:
    """What an operation may use of the host."""

    def __init__(self, check_mode: bool = False, state_dir: str = STATE_DIR, fault: str | None = None) -> None:
        self.check_mode = check_mode
        self.state_dir = state_dir
        self._fault = fault

    def run(
        self,
        argv: Sequence[str],
        timeout: float = 60,
        stdin: str | None = None,
        check: bool = True,
        preexec: Callable[[], None] | None = None,
    ) -> Finished:
        """Run a command given as a list, never through a shell.

        :raises BackendError: it cannot be started, takes longer than ``timeout`` seconds, or (with ``check``) fails.
        """
        try:
            # AnsibleModule.run_command knows no deadline, and nothing to do in the child before the command begins.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                list(argv),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                preexec_fn=preexec,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError as exc:
            raise BackendError(f"{argv[0]} is not installed on this host: run agentless.cloud.site for it.") from exc
        except subprocess.TimeoutExpired as exc:
            raise BackendError(f"{argv[0]} did not finish in {timeout:g} s.", error="Timeout") from exc
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise BackendError(f"{argv[0]} failed with exit status {done.returncode}: {said}")
        return Finished(done.returncode, done.stdout, done.stderr)

    def effect(self, name: str) -> None:
        """Call just before an irreversible step: here a fault that a test asked for happens."""
        fault, self._fault = self._fault, None
        if fault == "command_killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "disk_full":
            raise OSError(errno.ENOSPC, f"No space left on device (injected before {name})")


class Generations:
    """The highest generation that this host has seen of each record, under SQLite's lock."""

    def __init__(self, state_dir: str) -> None:
        self._path = os.path.join(state_dir, "generations.db")

    def admit(self, operations: Iterable[Operation]) -> dict[int, BackendError]:
        """Remember the operations' generations; returns the refusals by the operation's place in the list."""
        carried = [(n, op["id"], op["generation"]) for n, op in enumerate(operations)]
        if not carried:
            return {}
        refused: dict[int, BackendError] = {}
        os.makedirs(os.path.dirname(self._path), mode=0o711, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, generation INTEGER, at REAL)")
            db.execute("BEGIN IMMEDIATE")
            for place, record, generation in carried:
                row = db.execute("SELECT generation FROM seen WHERE id = ?", (record,)).fetchone()
                if row and row[0] > generation:
                    refused[place] = BackendError(
                        f"Generation {generation} of {record} is older than {row[0]}, which this host has seen: "
                        "another controller was here. Run the play again.",
                        error="StaleGeneration",
                    )
                    continue
                db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (record, generation, time.time()))
            db.execute("COMMIT")
        finally:
            db.close()
        return refused


def identity(create: bool) -> str | None:
    """This host's own UUID; with ``create`` it is made on first contact, atomically."""
    try:
        with open(IDENTITY_FILE, encoding="ascii") as handle:
            return str(uuid.UUID(handle.read().strip()))
    except FileNotFoundError:
        if not create:
            return None
    except ValueError as exc:
        raise BackendError(f"{IDENTITY_FILE} does not hold a UUID: {exc}.", error="HostMismatch") from exc
    os.makedirs(os.path.dirname(IDENTITY_FILE), mode=0o755, exist_ok=True)
    made = str(uuid.uuid4())
    draft = f"{IDENTITY_FILE}.{made}"
    with open(draft, "w", encoding="ascii") as handle:
        handle.write(made + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, IDENTITY_FILE)
    except FileExistsError:
        return identity(create=False)
    finally:
        os.unlink(draft)
    return made


def main(
    handlers: dict[str, Handler],
    reading: frozenset[str] = frozenset(),
    batch: Batch | None = None,
) -> None:
    """Serve one call and exit.

    :param handlers: the operations by name.
    :param reading: names of operations that change nothing; only these (and ``identify``) run on a host whose identity
        the controller does not know yet.
    :param batch: carries out all admitted operations at once, instead of one handler after the other.
    """
    module = AnsibleModule(
        argument_spec={
            "identity": {"type": "str"},
            "payload": {"type": "str", "required": True, "no_log": True},
            "fault": {"type": "str"},
        },
        supports_check_mode=True,
    )
    context = Context(module.check_mode, fault=module.params["fault"])
    try:
        operations = _parsed(module.params["payload"])
        found = _checked_identity(context, module.params["identity"], operations, reading)
        results = _carry_out(context, operations, handlers, batch)
    except BackendError as exc:
        module.fail_json(msg=exc.msg, error=exc.error)
    changed = any(result.get("changed") for result in results)
    module.exit_json(changed=changed, identity=found, results=results)


def _parsed(payload: str) -> list[Operation]:
    """The operations of the call. They travel as one JSON text, so that no layer on the way alters them."""
    operations = json.loads(payload)
    if not isinstance(operations, list) or not all(isinstance(op, dict) and "op" in op for op in operations):
        raise BackendError("The payload is not a list of operations.", error="BackendFailed")
    return operations


def _checked_identity(
    context: Context, expected: str | None, operations: list[Operation], reading: frozenset[str]
) -> str | None:
    harmless = all(op["op"] in reading or op["op"] == "identify" for op in operations)
    found = identity(create=expected is None and harmless and not context.check_mode)
    if expected is None and not harmless:
        raise BackendError(
            "This host is not registered, so nothing is changed on it: run agentless.cloud.site first.",
            error="HostMismatch",
        )
    if expected is not None and found != expected:
        raise BackendError(
            f"This machine's identity is {found}, not {expected}: another machine answers under this name. "
            "Nothing was done. Correct the inventory, or delete and register the host again.",
            error="HostMismatch",
        )
    return found


def _carry_out(
    context: Context, operations: list[Operation], handlers: dict[str, Handler], batch: Batch | None
) -> list[dict[str, Any]]:
    results: list[dict[str, Any] | None] = [None] * len(operations)
    changing = [
        n for n, op in enumerate(operations) if not context.check_mode and op.get("generation") and op.get("id")
    ]
    refusals = Generations(context.state_dir).admit([operations[n] for n in changing])
    for place, refusal in refusals.items():
        results[changing[place]] = refusal.as_result()
    admitted = [n for n in range(len(operations)) if results[n] is None]
    if batch is not None:
        done = _guarded_batch(context, [operations[n] for n in admitted], batch)
    else:
        done = [one(context, operations[n], handlers) for n in admitted]
    for place, result in zip(admitted, done):
        results[place] = result
    return [result or {} for result in results]


def one(context: Context, operation: Operation, handlers: dict[str, Handler]) -> dict[str, Any]:
    """Carry out a single operation; whatever goes wrong becomes its result."""
    if operation["op"] == "identify":
        return {"ok": True, "changed": False}
    handler = handlers.get(operation["op"])
    if handler is None:
        return BackendError(f"Unknown operation {operation['op']!r}.").as_result()
    try:
        return {"ok": True, "changed": False, **handler(context, operation)}
    except BackendError as exc:
        return exc.as_result()
    except OSError as exc:
        return BackendError(f"{operation['op']}: {exc}").as_result()
    except Exception as exc:  # the edge: whatever a library raises becomes this operation's failure, not the batch's
        return BackendError(f"{operation['op']}: {type(exc).__name__}: {exc}", trace=_where(exc)).as_result()


def _guarded_batch(context: Context, operations: list[Operation], batch: Batch) -> list[dict[str, Any]]:
    real = [op for op in operations if op["op"] != "identify"]
    try:
        done = iter(batch(context, real) if real else [])
    except BackendError as exc:
        done = iter([exc.as_result()] * len(real))
    except Exception as exc:  # the edge, as above
        failure = BackendError(f"{type(exc).__name__}: {exc}", trace=_where(exc))
        done = iter([failure.as_result()] * len(real))
    same = {"ok": True, "changed": False}
    return [dict(same) if op["op"] == "identify" else {**same, **next(done)} for op in operations]


def _where(exc: BaseException) -> list[str]:
    """The last frames of a surprise, file and line only: enough to find it, and no values in it."""
    return [f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in traceback.extract_tb(exc.__traceback__)[-4:]]
