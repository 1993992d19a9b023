# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that a store fetches by itself, seen from the controller: begun or joined, watched, judged, kept.

The controller may die meanwhile: the store goes on, and the next run of the task joins. What came is judged here, of
the parts that the judge asks for, before it gets a name in the store.
"""

from __future__ import annotations

import base64
import binascii
import io
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ansible_collections.agentless.cloud.plugins.module_utils.image import pace
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadReply,
    CloudError,
    HostUnreachable,
    ImageRefused,
    Timeout,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import checksum, clean
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import inspect, source, store, stores
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.source import Content
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, failure

FIRST_LOOK = 2.0  # seconds that the call which begins it waits for the end
LOOK = 5  # seconds between two looks
STUCK = 300.0  # seconds without a byte after which the controller waits no longer
UNKNOWN = (HostUnreachable, Timeout)  # after these the store may be fetching still
_PART = 4 << 20
_LARGEST = 1 << 63
_MOST = 64 << 20  # bytes that the judge may ask for; a few MiB are enough for every format

Record = Mapping[str, Any]


@contextmanager
def fetched(request: Request, wish: Wanted, record: Record, what: Mapping[str, Any]) -> Iterator[Content]:
    """What a store has fetched, good to be kept.

    :param what: from where, as the store is told: ``uri`` and ``allow_local``, or ``volume``.
    :raises ImageRefused: it cannot be fetched, or is not what was said; nothing is left of it.
    """
    keeper = str(record["store_host"])
    try:
        checksum, size = _watched(request, record, keeper, what)
        source.agree(checksum, wish.checksum)
        virtual = inspect.judge(_seen(request, record, keeper, size), record["disk_format"], size)
        yield Content("", checksum, size, virtual, held=keeper)
    except UNKNOWN:
        raise
    except CloudError:
        _forget(request, record, keeper)
        raise


def keep(request: Request, keeper: str, record: Record) -> None:
    """Have what was fetched under its name in the store."""
    about = {key: record[key] for key in ("id", "generation", "checksum", "size")}
    (kept,) = request.rpc.call(Call(keeper, store.BACKEND, [{"op": "import_keep", **about}]))
    if kept.get("checksum") != record["checksum"]:
        raise BackendFailed(f"{keeper} does not confirm the checksum of image {record['name']!r}.", host=keeper)


def clear(request: Request, record: Record, names: Iterable[str]) -> None:
    """Have nothing left of an import that has no content yet.

    :raises CloudError: a store failed.
    """
    about = {key: record[key] for key in ("id", "generation")}
    for name in names:
        request.rpc.call(Call(name, store.BACKEND, [{"op": "import_absent", **about}]))


def pending(found: Record | None, keeper: str) -> dict[str, Any]:
    """What the record says before the store is told to fetch, so that whoever removes the image knows where to look."""
    left = dict.fromkeys(stores.places(found or {}), stores.REMOVING)
    return {"store_host": keeper, "stores": {keeper: stores.COPYING, **{k: v for k, v in left.items() if k != keeper}}}


def _watched(request: Request, record: Record, keeper: str, what: Mapping[str, Any]) -> tuple[str, int]:
    """The checksum and size of what came, when all has come."""
    about = {key: record[key] for key in ("id", "generation")}
    order: dict[str, Any] = {"op": "import_begin", **about, **what, "wait": FIRST_LOOK}
    last, since = -1, time.monotonic()
    ends = since + pace.LONGEST + STUCK  # an honest store has given up by then
    while True:
        (answer,) = request.rpc.call(Call(keeper, store.BACKEND, [order]))
        state, size = answer.get("state"), answer.get("size")
        if not isinstance(size, int) or not 0 <= size < _LARGEST:
            size = None
        if state == "done" and size is not None:
            found = checksum(answer.get("checksum"))
            if found is None:
                raise BadReply(f"{keeper} gives no checksum of what it fetched for {record['name']!r}.", host=keeper)
            return found, size
        if state == "failed":
            raise failure(keeper, answer)
        if state != "running" or size is None:
            raise BackendFailed(
                f"{keeper} fetches {record['name']!r} no more ({clean(state, 60)}); run again.", host=keeper
            )
        request.progress(f"{record['name']}: {keeper} has {_told(size, answer.get('total'))}")
        if size != last:
            last, since = size, time.monotonic()
        if "uri" in what and time.monotonic() - since > STUCK:  # of a volume, what is empty takes time as well
            raise Timeout(f"{keeper} has got nothing more of {record['name']!r} in {STUCK:.0f} s; run again to go on.")
        if "uri" in what and time.monotonic() > ends:
            raise Timeout(
                f"{keeper} has not got {record['name']!r} in {pace.LONGEST / 3600:g} h, when it must give up."
            )
        order = {"op": "import_status", **about, "wait": LOOK}


def _told(size: int, total: object) -> str:
    if not isinstance(total, int) or not 0 < total < _LARGEST:
        return store.shown(size)
    return f"{store.shown(size)} of {store.shown(total)} ({100 * size // total} %)"


def _seen(request: Request, record: Record, keeper: str, size: int) -> io.BufferedReader:
    """What lies on the store, as a file to read from."""

    class Remote(io.RawIOBase):
        at = 0
        read_so_far = 0

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            self.at = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: size}[whence] + offset
            return self.at

        def readinto(self, buffer: Any) -> int:
            content = _part(request, record, keeper, self.at, min(len(buffer), size - self.at))
            buffer[: len(content)] = content
            self.at += len(content)
            self.read_so_far += len(content)
            if self.read_so_far > _MOST:
                raise ImageRefused("What it is cannot be told from its first 64 MiB. Nothing was stored.")
            return len(content)

    return io.BufferedReader(cast(io.RawIOBase, Remote()), _PART)


def _part(request: Request, record: Record, keeper: str, offset: int, length: int) -> bytes:
    if length <= 0:
        return b""
    order = {"op": "import_read", "id": record["id"], "offset": offset, "length": length}
    (answer,) = request.rpc.call(Call(keeper, store.BACKEND, [order]))
    try:
        content = base64.b64decode(str(answer.get("content")), validate=True)
    except binascii.Error as exc:
        raise BadReply(f"{keeper} sent no content of image {record['name']!r}.", host=keeper) from exc
    if len(content) != length:
        raise BadReply(f"{keeper} sent {len(content)} bytes of {record['name']!r}, asked for {length}.", host=keeper)
    return content


def _forget(request: Request, record: Record, keeper: str) -> None:
    """Have nothing left of what was refused. Where that fails, the store itself removes it a day later."""
    try:
        clear(request, record, [keeper])
    except CloudError as exc:
        request.progress(f"{keeper} keeps what was refused for a while: {exc.msg}")
