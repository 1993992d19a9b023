# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage hosts for tests that kill: directories beside a target that is a file, and the whole machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import config, fill, operations
from tests.functional.volume.kills import IQN, Operations, Raw, apart
from tests.functional.volume.storage import Storage as Machine


class Target:
    """Stands for the kernel's target: exports in a file."""

    def __init__(self, ctx: Context, _portals: Any, base: str) -> None:
        self._ctx, self._base = ctx, base
        self._path = Path(ctx.state_dir) / "targets.json"

    @contextlib.contextmanager
    def changes(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def iqn(self, backend_name: str, name: str) -> str:
        return f"{self._base}:{backend_name}.{name}"

    def idle(self, iqn: str) -> bool:
        return iqn not in exports(self._path)

    def export(self, iqn: str, device: str, op: dict[str, Any]) -> bool:
        before = exports(self._path)
        there = before.get(iqn, {}).get("names", []) if op.get("shared") else []
        about = {"names": sorted({*there, op["initiator"]}), "secret": op["secret"], "device": device}
        return self._written(before, {**before, iqn: about})

    def unexport(self, iqn: str, initiator: str | None) -> bool:
        before = exports(self._path)
        there = before.get(iqn, {"names": []})
        left = [name for name in there["names"] if initiator and name != initiator]
        rest = {key: value for key, value in before.items() if key != iqn}
        return self._written(before, {**rest, iqn: {**there, "names": left}} if left else rest)

    def grow(self, iqn: str, size: int) -> bool:
        return False

    def listed(self) -> Raw:
        found = exports(self._path)
        labels = {iqn.removeprefix(f"{self._base}:").partition(".volume-"): found[iqn]["names"] for iqn in found}
        targets = [
            {"backend": name, "name": f"volume-{key}", "initiators": names}
            for (name, _dot, key), names in labels.items()
        ]
        return {"targets": targets, "backstores": []}

    def save_changes(self) -> None:
        pass

    def _written(self, before: Raw, after: Raw) -> bool:
        if after != before and not self._ctx.check_mode:
            self._ctx.effect("target")
            self._path.write_text(json.dumps(after), encoding="utf-8")
        return after != before


def exports(path: Path) -> Raw:
    """What a target has."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


class Directories:
    """Storage hosts that are directories: ``vol1`` with two backends, and ``vol2`` with one.

    :param replace: puts one thing in the place of another until the test has ended.
    """

    def __init__(self, folder: Path, replace: Callable[..., None]) -> None:
        self.folder = folder
        self.backends = {"vol1": ("one", "two"), "vol2": ("far",)}
        for host, names in self.backends.items():
            for name in names:
                (folder / host / name).mkdir(parents=True)
            listed = {name: {"driver": "file", "path": str(folder / host / name)} for name in names}
            told = {"backends": listed, "portal": f"{host}:3260", "iqn": IQN}
            (folder / host / "volume.json").write_text(json.dumps(told))
        replace(operations, "Target", Target)
        replace(operations, "LOCKS", str(folder / "locks"))
        replace(operations, "initiator", lambda: f"{IQN}:storage")
        replace(operations, "Config", lambda ctx: config.Config(ctx, f"{ctx.state_dir}/volume.json"))
        replace(fill, "from_export", self._from_export)

    def call(self, host: str, operations: Operations, fault: str | None) -> Raw:
        context = Context(state_dir=str(self.folder / host), fault=fault)
        if fault is None:
            return {"results": carried(context, operations)}
        found = apart(lambda: carried(context, operations))
        return {"failed": True, "msg": "killed"} if found is None else {"results": found}

    def targets(self) -> dict[str, list[str]]:
        found = [exports(self.folder / host / "targets.json") for host in self.backends]
        return {iqn: each["names"] for one in found for iqn, each in one.items()}

    def left(self) -> list[str]:
        places = [self.folder / host / name for host, names in self.backends.items() for name in (*names, "backups")]
        return [f"{place}/{name}" for place in places if place.exists() for name in os.listdir(place)]

    def _from_export(self, ctx: Context, draft: str, source: Raw) -> None:
        """What QEMU's client reads of a target, with who is let in looked at as the target does."""
        for host in self.backends:
            found = exports(self.folder / host / "targets.json").get(source["export"]["iqn"])
            if found and f"{IQN}:storage" in found["names"] and found["secret"] == source["secret"]:
                return fill.from_path(ctx, draft, found["device"])
        raise BackendError("The target refuses.")


class Whole:
    """A storage host that is a whole machine, with LVM and the kernel's target."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def call(self, host: str, operations: Operations, fault: str | None) -> Raw:
        found = self.machine.asked({"operations": list(operations), "check": False, "fault": fault})
        return {"failed": True, "msg": "killed"} if found is None else {"results": found}

    def targets(self) -> dict[str, list[str]]:
        return dict(self.machine.asked({"look": "targets"})["targets"])

    def left(self) -> list[str]:
        return list(self.machine.asked({"look": "all"})["left"])


def carried(context: Context, listed: Operations) -> list[dict[str, Any]]:
    """What the module carries out, with the generations that the host has seen."""
    return backend._carry_out(context, [dict(op) for op in listed], {}, operations.carry_out)
