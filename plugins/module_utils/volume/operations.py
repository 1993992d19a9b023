# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a storage host is asked to do. Each operation names a backend and a UUID, and may come twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Any, Callable

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.volume import fill, survey
from ansible_collections.agentless.cloud.plugins.module_utils.volume.backups import Backups
from ansible_collections.agentless.cloud.plugins.module_utils.volume.config import Config
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver, named, size_bytes
from ansible_collections.agentless.cloud.plugins.module_utils.volume.target import LUN, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context, Operation

LOCKS = "/run/agentless-volumes"
ENDING = frozenset({"unexport", "delete"})
READING = frozenset({"discover", "inspect", "survey", "usage"})

Result = dict[str, Any]


class Host:
    """This host in the course of one call: its backends are read once, its target is saved once."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.config = Config(ctx)
        self.target = Target(ctx, self.config.portals, self.config.iqn)
        backups = Backups(ctx, self.config)
        self.handlers: dict[str, Callable[[Driver, Operation], Result]] = {
            "create": self.create,
            "delete": self.delete,
            "extend": self.extend,
            "snapshot": self.snapshot,
            "snapshot_absent": self.snapshot_absent,
            "export": self.export,
            "unexport": self.unexport,
            "inspect": self.inspect,
            "usage": self.usage,
            "backup": backups.backup,
            "backup_absent": backups.backup_absent,
            "restore": backups.restore,
        }

    def one(self, ctx: Context, op: Operation) -> Result:
        """Carry out one operation."""
        if op["op"] == "discover":
            return discover(self.config)
        if op["op"] == "survey":
            return survey.survey(ctx, self.config, self.target)
        return self.handlers[op["op"]](self.config.driver(op.get("backend")), op)

    def create(self, driver: Driver, op: Operation) -> Result:
        """Have a volume of that size, filled from where ``source`` says."""
        name, size = named("volume", op["id"]), size_bytes(op["size"])
        there, source = driver.size(name), op.get("source") or {}
        if there is not None:
            if there < size and not self.ctx.check_mode:
                driver.extend(name, size)
            return {"changed": there < size, "size": max(there, size)}
        origin = _origin(driver, source)
        if not self.ctx.check_mode:
            with driver.base(source["image"], size) if "image" in source else contextlib.nullcontext(origin) as base:
                if source and base is None:
                    self._filled(driver, name, size, source)
                else:
                    driver.create(name, size, base)
        return {"changed": True, "size": size}

    def _filled(self, driver: Driver, name: str, size: int, source: dict[str, Any]) -> None:
        other = self.config.driver(source["backend"]) if "backend" in source else None
        draft = driver.make(name, size, None)
        try:
            if "image" in source:
                fill.from_image(self.ctx, draft, source["image"], size)
            elif "export" in source:
                fill.from_export(self.ctx, draft, source)
            elif other is not None and "volume" in source:
                fill.from_path(self.ctx, draft, other.path(named("volume", source["volume"])))
            else:
                raise BackendError(f"A volume cannot be made from {sorted(source)}.")
        except BackendError:
            driver.delete(name)
            raise
        driver.finish(name)

    def delete(self, driver: Driver, op: Operation) -> Result:
        """Have neither the volume, nor a draft of it, nor its target."""
        name = named("volume", op["id"])
        closed = self._closed(driver, name, op)
        if self.ctx.check_mode:
            return {"changed": closed or driver.size(name) is not None}
        return {"changed": driver.delete(name) or closed}

    def clear(self, operations: Iterable[Operation]) -> None:
        """Have backends delete at once what a call is to delete of them, if it is to do nothing else there.

        Each operation follows in its turn, finds the volume gone and says so, or says why it is not.
        """
        going: dict[Any, list[str]] = {}
        for op in operations:
            if op["op"] not in ENDING:
                return
            if op["op"] == "delete":
                going.setdefault(op.get("backend"), []).append(named("volume", op["id"]))
        for backend_name, names in going.items():
            with contextlib.suppress(BackendError, OSError):
                driver = self.config.driver(backend_name)
                if driver.protocol == "iscsi":
                    driver.clear([name for name in names if self.target.idle(self.target.iqn(backend_name, name))])

    def extend(self, driver: Driver, op: Operation) -> Result:
        """Have the volume at least that large; whoever has it open sees the new size when he asks again."""
        name, size = named("volume", op["id"]), size_bytes(op["size"])
        there = _there(driver, name)
        if there < size and not self.ctx.check_mode:
            driver.extend(name, size)
        # Also after a call that was killed in between.
        offered = driver.protocol == "iscsi" and self._offered(op, name, max(there, size))
        return {"changed": there < size or offered, "size": max(there, size)}

    def _offered(self, op: Operation, name: str, size: int) -> bool:
        with self.target.changes():
            return self.target.grow(self.target.iqn(op["backend"], name), size)

    def snapshot(self, driver: Driver, op: Operation) -> Result:
        """Keep what the volume holds now."""
        name, source = named("snap", op["id"]), named("volume", op["volume"])
        _there(driver, source)
        missing = driver.size(name) is None
        if missing and not self.ctx.check_mode:
            driver.snapshot(name, source)
        return {"changed": missing}

    def snapshot_absent(self, driver: Driver, op: Operation) -> Result:
        """Have the snapshot no more."""
        name = named("snap", op["id"])
        if self.ctx.check_mode:
            return {"changed": driver.size(name) is not None}
        return {"changed": driver.delete(name)}

    def export(self, driver: Driver, op: Operation) -> Result:
        """Let one host in; returns how it gets there."""
        name = named("volume", op["id"])
        _there(driver, name)
        if driver.protocol != "iscsi":
            return driver.export(name, op)
        iqn = self.target.iqn(op["backend"], name)
        with self.target.changes():
            changed = self.target.export(iqn, driver.path(name), op)
        ways = {"portal": self.config.portals[0], "portals": self.config.portals}
        return {"changed": changed, "protocol": "iscsi", **ways, "iqn": iqn, "lun": LUN}

    def unexport(self, driver: Driver, op: Operation) -> Result:
        """Let one host, or without ``initiator`` all of them, in no more."""
        return {"changed": self._closed(driver, named("volume", op["id"]), op)}

    def inspect(self, driver: Driver, op: Operation) -> Result:
        """Say how large the volume is, in bytes; 0 where there is none."""
        return {"size": driver.size(named("volume", op["id"])) or 0}

    @staticmethod
    def usage(driver: Driver, _op: Operation) -> Result:
        """Say how much room the backend has and how much is taken, in GiB."""
        return dict(driver.usage())

    def _closed(self, driver: Driver, name: str, op: Operation) -> bool:
        if driver.protocol != "iscsi":
            return driver.unexport(name, op)
        with self.target.changes():
            return self.target.unexport(self.target.iqn(op["backend"], name), op.get("initiator"))


def discover(config: Config) -> Result:
    """What this host stores volumes on. A backend that does not answer is left out, and named."""
    backends, broken = [], {}
    for name in sorted(config.options):
        try:
            driver = config.driver(name)
            usage = driver.usage()
        except (BackendError, OSError) as exc:
            broken[name] = str(exc)
            continue
        about = {"protocol": driver.protocol, "separate_exports": True, **driver.capabilities}
        kind = str(config.options[name]["driver"])
        backends.append({"name": name, "driver": kind, "total": int(usage["total"]), "capabilities": about})
    return {"changed": False, "backends": backends, "broken": broken, "initiator": initiator()}


def carry_out(ctx: Context, operations: list[Operation]) -> list[Result]:
    """All operations of a call, in their order; at its end the target is saved and the drivers are closed."""
    host = Host(ctx)
    table: dict[str, backend.Handler] = dict.fromkeys([*host.handlers, "discover", "survey"], host.one)
    changing = [] if ctx.check_mode else [op for op in operations if op["op"] not in READING]
    keys = (str(key) for op in changing for key in (op.get("id"), op.get("volume")) if key)
    with contextlib.closing(host.config), alone(keys):
        try:
            host.clear(changing)
            return [backend.one(ctx, op, table) for op in operations]
        finally:
            if changing:
                host.target.save_changes()


@contextlib.contextmanager
def alone(ids: Iterable[str]) -> Iterator[None]:
    """Hold the locks of all volumes of a call before anything is read of them, so that what was read stays true.

    Waits for calls on them that are under way. In /run, so a restart forgets the files.
    """
    with contextlib.ExitStack() as stack:
        os.makedirs(LOCKS, mode=0o700, exist_ok=True)
        for name in sorted({named("volume", each) for each in ids}):  # in one order, or two calls wait for each other
            lock = stack.enter_context(open(os.path.join(LOCKS, name), "a", encoding="ascii"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _there(driver: Driver, name: str) -> int:
    size = driver.size(name)
    if size is None:
        raise BackendError(f"{name} is not on this backend.", "NotFound")
    return size


def _origin(driver: Driver, source: dict[str, Any]) -> str | None:
    """What of the same backend the new volume is a copy of."""
    if not source or "backend" in source:
        return None
    for kind, prefix in (("snapshot", "snap"), ("volume", "volume")):
        if kind in source:
            name = named(prefix, source[kind])
            _there(driver, name)
            return name
    return None
