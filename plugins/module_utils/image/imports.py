# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image fetched by the image host itself, from an address or a volume, in the background of the task that asked.

``<image>.import`` is what came so far and, by its lock, the sign that somebody is fetching; beside it lies what is
known of it. Whoever asks for the same again joins; what nobody fetches any more is begun anew. Removing the file ends
the one who fetches.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses, store, volumes, web
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

RUNNING, DONE, FAILED = "running", "done", "failed"
MOST_READ = 8 << 20
_LOOK = 0.1
_WAIT = 30

State = dict[str, Any]


def begin(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the image being fetched from ``uri`` or ``volume``; then :func:`status`."""
    data = _data(ctx, op)
    order = _order(op)
    rules = addresses.rules() if "uri" in op else addresses.Rules()
    if ctx.check_mode:
        return {"changed": True, "state": RUNNING}
    store.prepare(ctx)
    handle = _taken(data, order)
    if handle is not None:
        ctx.effect("import")
        try:
            os.ftruncate(handle, 0)
            _note(handle, data, {"order": order, "state": RUNNING, "total": None})
            _apart(lambda: _fetched(ctx, (handle, data), op, (order, rules)))
        finally:
            os.close(handle)  # the one who fetches has the lock with its own
    return {"changed": handle is not None, **_known(data, op)}


def discover(_ctx: Context, _op: dict[str, Any]) -> dict[str, Any]:
    """Operation: by which name this host comes to a volume that it is to read."""
    return {"initiator": initiator()}


def status(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: how far an import is; waits up to ``wait`` seconds for its end."""
    return _known(_data(ctx, op), op)


def read(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: a part of what came, for the controller to judge it."""
    with open(_data(ctx, op), "rb") as stream:
        stream.seek(int(op["offset"]))
        return {"content": base64.b64encode(stream.read(min(int(op["length"]), MOST_READ))).decode()}


def keep(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: give what came its name in the store. It was measured as it came."""
    target = store.path_of(ctx, op)
    data = _data(ctx, op)
    answer = {"checksum": op["checksum"], "size": op["size"]}
    if store.size_of(target) != op["size"]:
        known = _state(data)
        if (known.get("state"), known.get("checksum"), known.get("size")) != (DONE, op["checksum"], op["size"]):
            raise BackendError("What was fetched is not here any more; run the task again.")
        ctx.effect("store")
        os.chmod(data, 0o644)
        os.rename(data, target)
        store.settle(os.path.dirname(target))
        store.clear(ctx, op)
        return {"changed": True, **answer}
    store.clear(ctx, op)
    return {"changed": False, **answer}


def discard(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have nothing left of an import; one that is under way ends."""
    there = os.path.exists(_data(ctx, op))
    store.clear(ctx, op)
    return {"changed": there}


def _data(ctx: Context, op: dict[str, Any]) -> str:
    return os.path.join(store.drafts(ctx), f"{store.image_id(op['id'])}.import")


def _order(op: dict[str, Any]) -> str:
    """What is asked for, as a digest: the address itself may be a secret."""
    if "volume" in op:
        asked = [op["volume"]["id"], op["volume"]["generation"]]
    else:
        asked = [web.checked("uri", str(op["uri"])), bool(op["allow_local"])]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _taken(data: str, order: str) -> int | None:
    """The locked file to fetch into; None where somebody else is fetching the same, or has fetched it."""
    while True:
        handle = os.open(data, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if _state(data).get("order") == order:
                return None
            _forget(data)  # the address has changed: the other one ends
            continue
        known = _state(data)
        if not files.same(handle, data):
            os.close(handle)
        elif known.get("order") == order and known["state"] == DONE and os.fstat(handle).st_size == known["size"]:
            os.close(handle)
            return None
        else:
            return handle


def _apart(work: Any) -> None:
    """Do the work in a process that outlives this call, and holds on to nothing of it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            os.chdir("/")
            work()
    finally:
        os._exit(0)


def _fetched(ctx: Context, file: tuple[int, str], op: dict[str, Any], terms: tuple[str, addresses.Rules]) -> None:
    (handle, data), (order, rules) = file, terms
    known: State = {"order": order, "state": RUNNING, "total": None}

    def progress(_size: int, total: int | None) -> None:
        if not files.same(handle, data):
            raise BackendError("Nobody wants it any more.")
        if known["total"] != total:
            known["total"] = total
            _note(handle, data, known)

    end: State = {"state": FAILED, "error": "BackendFailed", "msg": "The import ended by an error of its own."}
    try:
        if "volume" in op:
            checksum, size = volumes.read(ctx, op["volume"], handle, data)
        else:
            with os.fdopen(os.dup(handle), "wb") as stream:
                local = bool(op["allow_local"])
                checksum, size = web.download(op["uri"], stream, rules=rules, allow_local=local, progress=progress)
        os.fsync(handle)
        end = {"state": DONE, "checksum": checksum, "size": size}
    except BackendError as exc:
        end = {"state": FAILED, "error": exc.error, "msg": exc.msg}
    finally:
        if files.same(handle, data):
            _note(handle, data, {**known, **end})


def _known(data: str, op: dict[str, Any]) -> State:
    """What is known of an import, once it has ended or the time to wait is over."""
    deadline = time.monotonic() + min(float(op.get("wait") or 0), _WAIT)
    while True:
        known = _state(data)
        if known.get("state") != RUNNING or time.monotonic() >= deadline:
            break
        if not _alive(data):
            known = _state(data)  # it may have ended since
            if known.get("state") == RUNNING:
                known["state"] = "lost"
            break
        time.sleep(_LOOK)
    if known.get("state") == RUNNING:
        known["size"] = store.size_of(data) or 0
    return {key: value for key, value in known.items() if key != "order"} or {"state": "absent"}


def _alive(data: str) -> bool:
    """Whether somebody holds the file."""
    try:
        handle = os.open(data, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _state(data: str) -> State:
    """What is noted of this very file; a note about one that was there before says nothing."""
    try:
        with open(f"{data}.json", encoding="utf-8") as stream:
            known = dict(json.load(stream))
        return known if known.pop("file") == _which(os.stat(data, follow_symlinks=False)) else {}
    except FileNotFoundError:
        return {}


def _note(handle: int, data: str, known: State) -> None:
    files.replace(f"{data}.json", json.dumps({**known, "file": _which(os.fstat(handle))}).encode())


def _which(found: os.stat_result) -> list[int]:
    return [found.st_dev, found.st_ino]


def _forget(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
