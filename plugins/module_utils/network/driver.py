# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call of the network backend: all its operations in one transaction, and each with its own answer."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.network import operations, report, sight
from ansible_collections.agentless.cloud.plugins.module_utils.network.model import Model
from ansible_collections.agentless.cloud.plugins.module_utils.network.northbound import SOCKET, Northbound

READING = frozenset({"ports_up", "read", "sync"})

Operation = dict[str, Any]
Result = dict[str, Any]


def batch(ctx: Context, wanted: list[Operation], *, remote: str = SOCKET) -> list[Result]:
    """Carry out the operations; the answers are in the order of the operations."""
    results: list[Result | None] = [None] * len(wanted)
    changing = []
    for place, operation in enumerate(wanted):
        if operation["op"] in operations.ORDER:
            changing.append(place)
        elif operation["op"] not in READING:
            results[place] = BackendError(f"Unknown operation {operation['op']!r}.").as_result()
    if changing:
        with _only_one(ctx):
            done = _change(ctx, [wanted[place] for place in changing], remote)
        for place, result in zip(changing, done):
            results[place] = result
    for place, operation in enumerate(wanted):
        if results[place] is None:
            results[place] = _read(operation, remote)
    return [result or {} for result in results]


def _change(ctx: Context, wanted: list[Operation], remote: str) -> list[Result]:
    """One transaction for all; if the database refuses it, one for each, so that the refusal has a name."""
    connection = Northbound(sight.conditions(wanted), remote=remote)
    try:
        results, model = _see_and_plan(connection, wanted)
        if ctx.check_mode or model.empty:
            return results
        ctx.effect("northbound transaction")
        try:
            connection.commit(model)
        except BackendError as exc:
            return _one_by_one(connection, wanted, results) if len(wanted) > 1 else [_failed(exc)]
        return results
    finally:
        connection.close()


def _one_by_one(connection: Northbound, wanted: list[Operation], planned: list[Result]) -> list[Result]:
    results = list(planned)
    for place in sorted(range(len(wanted)), key=lambda n: operations.ORDER.index(wanted[n]["op"])):
        if not planned[place]["ok"]:
            continue
        try:
            single, model = _see_and_plan(connection, [wanted[place]])
            results[place] = single[0]
            if not model.empty:
                connection.commit(model)
        except BackendError as exc:
            results[place] = _failed(exc)
    return results


def _see_and_plan(connection: Northbound, wanted: list[Operation]) -> tuple[list[Result], Model]:
    tables = connection.tables()
    connection.also(sight.of_ports(list(tables["Logical_Switch_Port"].values())))
    return plan(connection.tables(), wanted)


def plan(tables: dict[str, dict[str, Any]], wanted: list[Operation]) -> tuple[list[Result], Model]:
    """Work all operations into one model; one that fails leaves no trace in it. Pure."""
    failed: dict[int, Result] = {}
    order = sorted(range(len(wanted)), key=lambda n: operations.ORDER.index(wanted[n]["op"]))
    while True:
        model = Model(tables)
        changed: dict[int, bool] = {}
        for place in order:
            if place in failed:
                continue
            try:
                changed[place] = operations.apply(model, wanted[place])
            except BackendError as exc:
                failed[place] = _failed(exc)
                break
        else:
            answers = [failed.get(n) or {"ok": True, "changed": changed[n]} for n in range(len(wanted))]
            return answers, model


def _read(operation: Operation, remote: str) -> Result:
    try:
        return {"ok": True, "changed": False, **report.HANDLERS[operation["op"]](operation, remote)}
    except BackendError as exc:
        return _failed(exc)


def _failed(exc: BackendError) -> Result:
    return exc.as_result()


@contextlib.contextmanager
def _only_one(ctx: Context) -> Iterator[None]:
    """One changing call at a time on this host: a switch has no unique name that the database would enforce."""
    os.makedirs(ctx.state_dir, mode=0o711, exist_ok=True)
    with open(os.path.join(ctx.state_dir, "network.lock"), "w", encoding="ascii") as lock:
        os.chmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
