# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups and their increments, of files on a real directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import backups, blocks
from ansible_collections.agentless.cloud.plugins.module_utils.volume.config import Config
from ansible_collections.agentless.cloud.plugins.module_utils.volume.driver import Driver

ID, NEW, ONE, TWO = (f"5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c1{n}" for n in range(4))
BLOCK = 4096
FIRST = b"a" * BLOCK + bytes(BLOCK) + b"c" * BLOCK + b"tail"
THEN = bytes(BLOCK) + b"b" * BLOCK + b"c" * BLOCK + b"tail" + bytes(BLOCK)


class Here:
    """A host with two backends."""

    def __init__(self, folder: Path, check_mode: bool = False) -> None:
        told: dict[str, Any] = {"backends": {}}
        for name in ("home", "other"):
            (folder / name).mkdir(exist_ok=True)
            told["backends"][name] = {"driver": "file", "path": str(folder / name)}
        (folder / "volume.json").write_text(json.dumps(told))
        self.folder, ctx = folder, Context(check_mode, str(folder))
        self.config = Config(ctx, str(folder / "volume.json"))
        self.backups = backups.Backups(ctx, self.config)
        self.home: Driver = self.config.driver("home")

    def volume(self, key: str, content: bytes) -> Path:
        path = self.folder / "home" / f"volume-{key}"
        path.write_bytes(content)
        return path

    def backup(self, key: str, **more: Any) -> dict[str, Any]:
        return self.backups.backup(self.home, {"id": key, "volume": ID, **more})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    for module in (backups, blocks):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    return Here(tmp_path)


def to(kind: str, key: str) -> dict[str, str]:
    return {"file": key} if kind == "file" else {"backend": "other"}


@pytest.mark.parametrize("kind", ["file", "backend"])
def test_an_increment_brings_back_what_was(here: Here, kind: str) -> None:
    """Also zeros, and a volume that has grown; a second time nothing changes, and nothing is left at the end."""
    here.volume(ID, FIRST)
    assert [here.backup(ONE, to=to(kind, ONE))["changed"] for _turn in range(2)] == [True, False]
    here.volume(ID, THEN)
    assert here.backup(TWO, to=to(kind, TWO), since=ONE)["checksum"].startswith("sha256:")
    for key, want in ((ONE, FIRST), (TWO, THEN)):
        new = here.volume(NEW, b"old".ljust(len(want) + 5, b"x"))
        here.backups.restore(here.home, {"id": NEW, "backup": key, "from": to(kind, key)})
        assert new.read_bytes()[: len(want)] == want
    for key in (TWO, ONE):
        op = {"id": key, "volume": ID, "to": to(kind, key)}
        assert [here.backups.backup_absent(here.home, op)["changed"] for _turn in range(2)] == [True, False]
    assert [each.name for folder in ("backups", "other") for each in (here.folder / folder).iterdir()] == []


def test_an_increment_holds_what_differs(here: Here) -> None:
    here.volume(ID, FIRST)
    here.backup(ONE, to=to("file", ONE))
    here.volume(ID, THEN)
    here.backup(TWO, to=to("file", TWO), since=ONE)
    kept = (here.folder / "backups" / f"backup-{TWO}").read_bytes()
    assert kept == bytes(BLOCK) + b"b" * BLOCK + bytes(BLOCK) + b"tail" + bytes(BLOCK)


REFUSED = {
    "damaged": (len(FIRST), b"z", "damaged"),
    "larger than the volume": (len(FIRST) - 1, None, "and the volume"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_restored(here: Here, case: str) -> None:
    size, broken, says = REFUSED[case]
    here.volume(ID, FIRST)
    here.backup(ONE, to=to("file", ONE))
    if broken:
        with (here.folder / "backups" / f"backup-{ONE}").open("r+b") as kept:
            kept.write(broken)
    here.volume(NEW, bytes(size))
    with pytest.raises(BackendError, match=says):
        here.backups.restore(here.home, {"id": NEW, "backup": ONE, "from": to("file", ONE)})


def test_check_mode_writes_nothing(here: Here) -> None:
    here.volume(ID, FIRST)
    looking = Here(here.folder, check_mode=True)
    assert looking.backup(ONE, to=to("file", ONE)) == {"changed": True}
    assert not (here.folder / "backups").exists()


def test_what_blocks_hold(tmp_path: Path) -> None:
    """Data, zeros that are written, a hole, and an end that comes too early; also where the length is no whole page."""
    path = tmp_path / "some"
    for tail in (b"", b"tail"):
        with path.open("wb") as out:
            out.write(b"a".ljust(blocks.BLOCK, b"\0") + bytes(blocks.BLOCK))
            out.truncate(3 * blocks.BLOCK)
            out.seek(3 * blocks.BLOCK)
            out.write(b"b".rjust(4096, b"\0") + tail)
        with blocks.opened(str(path)) as found:
            last = 4096 + len(tail)
            assert found.read(0, blocks.BLOCK) == b"a".ljust(blocks.BLOCK, b"\0")
            assert [found.read(place, blocks.BLOCK) for place in (1, 2)] == [b"", b""]
            assert found.read(3, last) == b"b".rjust(4096, b"\0") + tail
            assert found.read(0, 4096) == b"a".ljust(4096, b"\0"), "what was read before is not there any more"
            with pytest.raises(BackendError, match="should have"):
                found.read(3, blocks.BLOCK)


def test_only_what_changed_is_read(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver knows what that is; the index is that of a whole backup, also of a volume that has grown."""
    here.volume(ID, FIRST)
    here.backup(ONE, to=to("file", ONE))
    here.volume(ID, THEN)
    whole = here.backup(NEW, to=to("file", NEW))["checksum"]
    read: list[int] = []
    known = blocks.Blocks.read
    monkeypatch.setattr(
        blocks.Blocks, "read", lambda self, place, length: read.append(place) or known(self, place, length)
    )
    monkeypatch.setattr(here.home, "changed", lambda *_names: {0, 1})
    assert here.backup(TWO, to=to("file", TWO), since=ONE)["checksum"] == whole
    assert set(read) == {0, 1, 3, 4}, "the end of a shorter volume is no whole block"
