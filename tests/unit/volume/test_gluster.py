# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a volume of Gluster, on a directory in the place of the mount."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import gluster

NAME = "volume-7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"


class Asked(Context):
    """Keeps the commands that it is asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def run(self, argv: Any, *_more: Any, **_named: Any) -> Any:
        self.asked.append(list(argv))


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gluster.Gluster:
    monkeypatch.setattr(gluster, "MOUNTS", str(tmp_path))
    return gluster.Gluster(Asked(), {"volume": "vols", "servers": ["g1", "fd00::2"], "owner": 4711})


def test_it_is_mounted_before_it_is_used(backend: gluster.Gluster, tmp_path: Path) -> None:
    """By whichever server answers."""
    where = str(tmp_path / "vols")
    assert backend.path(NAME) == f"{where}/{NAME}"
    argv = ["mount", "-t", "glusterfs", "-o", "backup-volfile-servers=fd00::2", "g1:/vols", where]
    assert backend.ctx.asked == [argv]


def test_holders(backend: gluster.Gluster) -> None:
    """A second host only comes in where the volume is shared; the last one that leaves closes it."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    backend.create(NAME, 4096, None)
    if not hasattr(os, "setxattr"):
        pytest.skip("this system has no extended attributes")

    def owner() -> int:
        return os.stat(backend.path(NAME)).st_uid

    made = backend.export(NAME, {"initiator": "a"})
    assert made["hosts"] == ["g1:24007", "[fd00::2]:24007"]
    assert (made["changed"], owner()) == (True, 4711)
    assert backend.export(NAME, {"initiator": "a"})["changed"] is False
    assert backend.export(NAME, {"initiator": "b", "shared": True})["changed"] is True
    assert (backend.unexport(NAME, {"initiator": "a"}), owner()) == (True, 4711)
    assert backend.export(NAME, {"initiator": "c"})["changed"] is True
    assert (backend.unexport(NAME, {"initiator": "b"}), owner()) == (False, 4711)
    assert (backend.unexport(NAME, {"initiator": "c"}), owner()) == (True, 0)
    assert backend.unexport(NAME, {}) is False
