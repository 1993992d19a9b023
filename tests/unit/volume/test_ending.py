# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A call closes each driver that it used, once and last; in Ceph this ends the library's threads."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import ceph, config, operations
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver

ID = "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c10"
A, B, BROKEN = "a", "b", "broken"


class Target:
    """No target; what it has to save may be what fails."""

    broken = False

    def __init__(self, *_about: object) -> None:
        pass

    def save_changes(self) -> None:
        if self.broken:
            raise OSError("no space left")


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What backends were asked for, on a host that has three."""
    found: list[str] = []

    class Noted(Driver):
        protocol = "other"

        def size(self, name: str) -> int | None:
            found.append(f"size {self.options['name']}")
            if self.options["name"] == BROKEN:
                raise ValueError(name)
            return 1

        def snapshot(self, name: str, source: str) -> None:
            raise BackendError(f"{name} of {source}")

        def close(self) -> None:
            found.append(f"close {self.options['name']}")
            if self.options["name"] == BROKEN:
                raise BackendError("not closed")

    path = tmp_path / "volume.json"
    listed = {name: {"driver": "noted", "name": name} for name in (A, B, BROKEN)}
    path.write_text(json.dumps({"backends": listed}))
    monkeypatch.setitem(config.DRIVERS, "noted", Noted)
    monkeypatch.setattr(operations, "Config", lambda ctx: config.Config(ctx, str(path)))
    monkeypatch.setattr(operations, "Target", Target)
    monkeypatch.setattr(operations, "LOCKS", str(tmp_path / "locks"))
    return found


def of(op: str, *backends: str) -> list[dict[str, Any]]:
    return [{"op": op, "id": ID, "volume": ID, "backend": one} for one in backends]


@pytest.mark.parametrize(
    ("listed", "unsaved", "closed"),
    [
        (of("inspect", A), False, [A]),
        (of("inspect", A, B, A), False, [A, B]),
        (of("snapshot", A), False, [A]),
        (of("inspect", BROKEN, A), False, [A, BROKEN]),
        (of("snapshot", A, B), True, [A, B]),
        (of("inspect", "missing"), False, []),
    ],
)
def test_each_driver_is_closed(
    said: list[str], monkeypatch: pytest.MonkeyPatch, listed: list[dict[str, Any]], unsaved: bool, closed: list[str]
) -> None:
    """Also when an operation fails, what was done cannot be saved, or another one cannot be closed."""
    monkeypatch.setattr(Target, "broken", unsaved)
    with contextlib.suppress(OSError, BackendError):
        operations.carry_out(Context(), listed)
    ends = said[-len(closed) :] if closed else []
    assert sorted(ends) == [f"close {one}" for one in closed]
    assert not [one for one in said[: len(said) - len(closed)] if one.startswith("close")]


class Cluster:
    """Ceph's library; it fails at one step."""

    Error = type("Error", (Exception,), {})

    def __init__(self, fails: str) -> None:
        self.said: list[str] = []
        self._fails = fails

    def _step(self, name: str) -> None:
        self.said.append(name)
        if name == self._fails:
            raise self.Error(name)

    def Rados(self, **_about: object) -> Cluster:
        self._step("made")
        return self

    def connect(self, timeout: int) -> None:
        assert timeout
        self._step("connect")

    def open_ioctx(self, _pool: str) -> Cluster:
        self._step("open")
        return self

    def close(self) -> None:
        self._step("close")

    def shutdown(self) -> None:
        self._step("shutdown")


@pytest.mark.parametrize(
    ("fails", "ends"),
    [
        ("", ["made", "connect", "open", "close", "shutdown"]),
        ("open", ["made", "connect", "open", "shutdown"]),
        ("connect", ["made", "connect", "shutdown"]),
        ("made", ["made"]),
    ],
)
def test_a_connection_ends(monkeypatch: pytest.MonkeyPatch, fails: str, ends: list[str]) -> None:
    """One that did not come about as well; and once, whoever closes again."""
    cluster, pool = Cluster(fails), ceph.Pool(Context(), {"pool": "vols", "user": "u"})
    monkeypatch.setattr(ceph, "rados", cluster)
    with contextlib.suppress(BackendError):
        pool.io()
        pool.io()
    pool.close()
    pool.close()
    assert cluster.said == ends
