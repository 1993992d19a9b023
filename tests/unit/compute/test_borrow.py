# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that is being read stays in the cache, whatever the cache is to forget."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import borrow, cache, images
from tests.unit.image.tls import Authority, authority
from tests.unit.image.web import gives, serving

CONTENT = b"an image" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NONE = cache.Limits(days=0, gib=0)


@pytest.fixture
def trusted(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Authority:
    found = authority(tmp_path_factory.getbasetemp() / "authority")
    monkeypatch.setattr(images, "CA", str(found.ca))
    return found


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(state_dir=str(tmp_path))


def kept(ctx: Context) -> list[str]:
    return sorted(os.listdir(Path(ctx.state_dir, "images")))


def test_it_stays_while_it_is_read_and_then_goes(ctx: Context, trusted: Authority) -> None:
    with serving(trusted) as server:
        server.answers["/i"] = gives(CONTENT)
        image = {"checksum": f"sha256:{DIGEST}", "url": f"{server.base}/i", "size": len(CONTENT)}
        with borrow.borrowed(ctx, image) as path:
            os.utime(path, (1, 1))
            assert cache.prune(ctx, NONE) == []
            assert Path(path).read_bytes() == CONTENT
        assert cache.prune(ctx, NONE) == [DIGEST]
        with borrow.borrowed(ctx, image) as path:
            assert os.path.exists(path)
        assert len(server.asked) == 2


def test_what_was_fetched_makes_others_go(ctx: Context, trusted: Authority) -> None:
    old = Path(ctx.state_dir, "images", "0" * 64)
    old.parent.mkdir()
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    with serving(trusted) as server:
        server.answers["/i"] = gives(CONTENT)
        image = {"checksum": f"sha256:{DIGEST}", "url": f"{server.base}/i", "size": len(CONTENT)}
        with borrow.borrowed(ctx, image):
            assert kept(ctx) == ["0" * 64, DIGEST]
        assert kept(ctx) == [DIGEST]


def test_one_that_was_forgotten_in_between_is_fetched_again(
    ctx: Context, trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure, turns = images.ensure, []

    def ensured(context: Context, image: dict[str, Any]) -> tuple[str, bool]:
        found = ensure(context, image)
        turns.append(found)
        if len(turns) == 1:
            os.unlink(found[0])  # another call's pruning
        return found

    monkeypatch.setattr(images, "ensure", ensured)
    with serving(trusted) as server:
        server.answers["/i"] = gives(CONTENT)
        image = {"checksum": f"sha256:{DIGEST}", "url": f"{server.base}/i", "size": len(CONTENT)}
        with borrow.borrowed(ctx, image) as path:
            assert Path(path).read_bytes() == CONTENT
    assert len(turns) == 2


def test_check_mode_fetches_nothing(tmp_path: Path) -> None:
    ctx = Context(check_mode=True, state_dir=str(tmp_path))
    with borrow.borrowed(ctx, {"checksum": f"sha256:{DIGEST}", "url": "https://127.0.0.1:9/"}) as path:
        assert not os.path.exists(path)
    assert os.listdir(tmp_path) == []
