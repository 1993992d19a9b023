# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a file is while a host holds the volume. Root may give files away, so these run as root alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume.nfs import FIRST_USER, Nfs

ID = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
NAME = f"volume-{ID}"


def op(host: str | None, **more: Any) -> dict[str, Any]:
    return {"id": ID, **({"initiator": f"iqn.2026-01.x.y:{host}"} if host else {}), **more}


@pytest.fixture
def backend(tmp_path: Path) -> Nfs:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    made = Nfs(Context(), {"path": str(tmp_path), "server": "192.0.2.7"})
    made.create(NAME, 4096, None)
    return made


def held(backend: Nfs) -> int:
    return os.stat(backend.path(NAME)).st_uid


def test_each_host_is_a_user_of_its_own(backend: Nfs) -> None:
    """The next host's export shuts the last one out, whose late goodbye changes nothing."""
    first = backend.export(NAME, op("a"))
    assert first == {
        "changed": True,
        "protocol": "nfs",
        "host": "192.0.2.7",
        "path": backend.path(NAME),
        "uid": held(backend),
    }
    assert backend.export(NAME, op("a"))["changed"] is False
    second = backend.export(NAME, op("b"))
    assert (second["changed"], second["uid"], first["uid"] >= FIRST_USER) == (True, held(backend), True)
    assert first["uid"] != second["uid"]
    assert (backend.unexport(NAME, op("a")), held(backend)) == (False, second["uid"])
    assert (backend.unexport(NAME, op("b")), held(backend)) == (True, 0)
    assert backend.unexport(NAME, op(None)) is False


def test_shared_by_hosts(backend: Nfs) -> None:
    """All of them are one user, until the volume is closed to all."""
    assert backend.export(NAME, op("a", shared=True))["uid"] == backend.export(NAME, op("b", shared=True))["uid"]
    assert (backend.unexport(NAME, op("a")), backend.unexport(NAME, op(None))) == (False, True)


def test_check_mode_and_what_is_not_there(backend: Nfs) -> None:
    """Nothing is given away, and what is not there is closed."""
    backend.ctx.check_mode = True
    assert (backend.export(NAME, op("a"))["changed"], held(backend)) == (True, 0)
    assert backend.unexport(f"{NAME}x", op(None)) is False
