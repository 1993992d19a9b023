# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups: what a volume holds, block by block, in files of this host or in another of its backends.

Each backup has an index with the SHA-256 of every block, in which a block of zeros is an empty text. An increment in
files holds the blocks that differ from those of its parent, whose index says which; in another backend it is a copy of
the parent, into which those blocks are written. A block that is read back is compared with the index.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import BLOCK
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import named
from ansible_collections.agentless.cloud.plugins.module_utils.volume.file import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context, Operation
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import Blocks
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.config import Config
    from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver

Index = dict[str, Any]


class Backups:
    """The backups of this host."""

    def __init__(self, ctx: Context, config: Config) -> None:
        self._ctx = ctx
        self._config = config
        self._folder = os.path.join(ctx.state_dir, "backups")

    def backup(self, driver: Driver, op: Operation) -> dict[str, Any]:
        """Have a copy of what the volume holds now; one that is complete stays as it is."""
        name, kept = named("backup", op["id"]), self._kept(op["to"])
        if kept.size(name) is not None:
            return {"changed": False, "checksum": self._index(op["id"])["checksum"]}
        source = named("volume", op["volume"])
        size = driver.size(source)
        if size is None:
            raise BackendError(f"{source} is not on this backend.", "NotFound")
        since = self._index(op["since"]) if op.get("since") else None
        if self._ctx.check_mode:
            return {"changed": True}
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        copied = since is not None and "backend" in op["to"] and kept.capabilities.get("snapshots")
        with self._still(driver, source, op["id"]) as path, contextlib.ExitStack() as stack:
            origin = named("backup", op["since"]) if copied else None
            draft = kept.make(name, size, origin)
            if "backend" in op["to"] and not copied:
                since = None
            changed = driver.changed(driver.still(op["id"]), driver.still(op["since"])) if since else None
            pair = stack.enter_context(driver.opened(path)), stack.enter_context(kept.opened(draft, writing=True))
            blocks = _copied(pair, size, since, changed)
        checksum = "sha256:" + hashlib.sha256("\n".join(blocks).encode()).hexdigest()
        parent = op["since"] if since is not None and "file" in op["to"] else None
        self._write(op["id"], {"size": size, "parent": parent, "checksum": checksum, "blocks": blocks})
        self._ctx.effect("backup")
        kept.finish(name)
        return {"changed": True, "checksum": checksum}

    def backup_absent(self, driver: Driver, op: Operation) -> dict[str, Any]:
        """Have neither the backup, nor its index, nor the snapshot that it was made from."""
        name, kept, still = named("backup", op["id"]), self._kept(op["to"]), driver.still(op["id"])
        index = self._path(op["id"])
        if self._ctx.check_mode:
            return {"changed": kept.size(name) is not None or os.path.exists(index)}
        changed = [kept.delete(name), driver.delete(still) if driver.atomic else False]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(index)
            changed.append(True)
        return {"changed": any(changed)}

    def restore(self, driver: Driver, op: Operation) -> dict[str, Any]:
        """Write a backup into a volume that nobody has.

        :raises BackendError: it does not fit, or is not what it was when it was made.
        """
        target, kept = named("volume", op["id"]), self._kept(op["from"])
        index, size = self._index(op["backup"]), driver.size(target)
        if self._ctx.check_mode:
            return {"changed": True}
        if size is None or size < index["size"]:
            raise BackendError(f"The backup has {index['size']} bytes, and the volume {size}.")
        chain = [(index, kept.path(named("backup", op["backup"])))]
        while chain[-1][0]["parent"]:
            parent = chain[-1][0]["parent"]
            chain.append((self._index(parent), kept.path(named("backup", parent))))
        self._ctx.effect("restore")
        with contextlib.ExitStack() as stack:
            sources = [(each, stack.enter_context(kept.opened(path))) for each, path in chain]
            out = stack.enter_context(driver.opened(driver.path(target), writing=True))
            for place, digest in enumerate(index["blocks"]):
                _put(out, place, _found(sources, place, digest), _length(index["size"], place))
            out.sync()
        return {"changed": True}

    @contextlib.contextmanager
    def _still(self, driver: Driver, source: str, backup_id: Any) -> Iterator[str]:
        """The volume at one moment, where the driver has that; otherwise as it is while it is read."""
        if not driver.atomic:
            yield driver.path(source)
            return
        name, done = driver.still(backup_id), False
        driver.delete(name)  # of a killed call
        driver.snapshot(name, source)
        try:
            yield driver.path(name)
            done = True
        finally:
            driver.settle(name, done)

    def _kept(self, where: dict[str, Any]) -> Driver:
        if "backend" in where:
            return self._config.driver(where["backend"])
        return File(self._ctx, {"path": self._folder})

    def _path(self, backup_id: Any) -> str:
        return os.path.join(self._folder, named("backup", backup_id) + ".json")

    def _index(self, backup_id: Any) -> Index:
        try:
            with open(self._path(backup_id), encoding="ascii") as handle:
                return dict(json.load(handle))
        except FileNotFoundError as exc:
            raise BackendError(f"There is no backup {backup_id} on this host.", "NotFound") from exc

    def _write(self, backup_id: Any, index: Index) -> None:
        path = self._path(backup_id)
        with open(f"{path}.part", "w", encoding="ascii") as handle:
            json.dump(index, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(f"{path}.part", path)


def _copied(pair: tuple[Blocks, Blocks], size: int, since: Index | None, changed: set[int] | None) -> list[str]:
    """Write the blocks that are not as they were; returns what every block is.

    :param changed: the only blocks that may differ from those of ``since``; None where all have to be read.
    """
    source, target = pair
    before, blocks = since["blocks"] if since else [], list[str]()
    for place in range((size + BLOCK - 1) // BLOCK):
        if since and changed is not None and place not in changed and (place + 1) * BLOCK <= since["size"]:
            blocks.append(before[place])
            continue
        content = source.read(place, _length(size, place))
        blocks.append(hashlib.sha256(content).hexdigest() if content else "")
        if blocks[-1] != (before[place] if place < len(before) else ""):
            _put(target, place, content, _length(size, place))
    target.sync()
    return blocks


def _length(size: int, place: int) -> int:
    return min(BLOCK, size - place * BLOCK)


def _put(target: Blocks, place: int, content: bytes, length: int) -> None:
    if not content:
        if not target.read(place, length):
            return  # reads zeros already, and stays sparse
        content = bytes(length)
    target.write(place, content)


def _found(sources: list[tuple[Index, Blocks]], place: int, digest: str) -> bytes:
    """A block out of the newest backup that holds it; nothing if it is zeros."""
    if not digest:
        return b""
    holder = 0
    while holder + 1 < len(sources):
        older = sources[holder + 1][0]["blocks"]
        if place >= len(older) or older[place] != digest:
            break
        holder += 1
    index, source = sources[holder]
    content = source.read(place, _length(index["size"], place))
    if hashlib.sha256(content).hexdigest() != digest:
        raise BackendError("A block of the backup is not what was written: the backup is damaged.")
    return content
