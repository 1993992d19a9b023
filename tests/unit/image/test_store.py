# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image host's half: only what was announced gets a name."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.image import store

CONTENT = b"a disk" * 1000
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def operation(op: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "id": str(uuid.uuid4()), "generation": 1, "checksum": CHECKSUM, "size": len(CONTENT), **more}


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(state_dir=str(tmp_path / "state"))


def root(ctx: Context) -> Path:
    return Path(ctx.state_dir) / "image-store"


def files(ctx: Context) -> list[str]:
    return sorted(path.relative_to(root(ctx)).as_posix() for path in root(ctx).rglob("*") if not path.is_dir())


def arrived(ctx: Context, content: bytes = CONTENT, image: str | None = None) -> Path:
    path = root(ctx) / "incoming" / f"{image or uuid.uuid4()}.{uuid.uuid4()}"
    path.write_bytes(content)
    return path


def test_offered_stored_verified_removed(ctx: Context) -> None:
    op = operation("offer")
    assert store.offer(ctx, op) == {"present": False}
    assert (root(ctx) / "incoming").stat().st_mode & 0o777 == 0o700
    for place in (root(ctx), root(ctx) / "sha256"):
        assert place.stat().st_mode & 0o007 == 0, "no local user reads an image by its digest"
    path = arrived(ctx)
    assert store.store(ctx, {**op, "path": str(path)})["changed"]
    assert files(ctx) == [CHECKSUM.replace(":", "/")]
    assert store.offer(ctx, op) == {"present": True}
    assert store.verify(ctx, op) == {"present": True, "intact": True}
    assert not store.store(ctx, {**op, "path": str(arrived(ctx))})["changed"], "written once"
    assert store.remove(ctx, op) == {"changed": True}
    assert store.remove(ctx, op) == {"changed": False}
    assert store.verify(ctx, op) == {"present": False, "intact": False}
    assert files(ctx) == []


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", b"x" * len(CONTENT)])
def test_what_was_not_announced(ctx: Context, content: bytes) -> None:
    store.offer(ctx, operation("offer"))
    with pytest.raises(BackendError) as caught:
        store.store(ctx, operation("store", path=str(arrived(ctx, content))))
    assert caught.value.error == "ImageRefused"
    assert files(ctx) == []


def test_a_link_is_not_followed(ctx: Context, tmp_path: Path) -> None:
    store.offer(ctx, operation("offer"))
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    link = root(ctx) / "incoming" / "link"
    link.symlink_to(secret)
    with pytest.raises(OSError, match=r"symbolic|loop"):
        store.store(ctx, operation("store", path=str(link)))
    assert files(ctx) == []
    assert secret.exists()


@pytest.mark.parametrize(
    "checksum", [None, "", "sha256:../../etc/passwd", "sha256:" + "A" * 64, CHECKSUM + "\n/x", CHECKSUM[7:]]
)
@pytest.mark.parametrize("name", ["offer", "store", "remove", "verify"])
def test_a_name_that_is_no_digest(ctx: Context, checksum: Any, name: str) -> None:
    with pytest.raises(BackendError):
        getattr(store, name)(ctx, operation(name, checksum=checksum, path="/nowhere"))


def test_an_id_that_is_none(ctx: Context) -> None:
    with pytest.raises(BackendError, match="UUID"):
        store.remove(ctx, operation("remove", id="../../x"))


def test_a_full_disk_leaves_nothing(ctx: Context) -> None:
    store.offer(ctx, operation("offer"))
    full = Context(state_dir=ctx.state_dir, fault="disk_full")
    with pytest.raises(OSError, match="No space"):
        store.store(full, operation("store", path=str(arrived(ctx))))
    assert files(ctx) == []
    with pytest.raises(BackendError, match="left"):
        store.offer(ctx, operation("offer", size=1 << 60))


def test_what_broken_uploads_leave_goes(ctx: Context) -> None:
    op = operation("offer")
    store.offer(ctx, op)
    old, mine, others = arrived(ctx), arrived(ctx, image=op["id"]), arrived(ctx)
    past = time.time() - store.FORGOTTEN - 1
    os.utime(old, (past, past))
    store.offer(ctx, op)
    assert not old.exists()
    store.store(ctx, {**op, "path": str(arrived(ctx))})
    assert not mine.exists()
    assert others.exists()


def test_the_directory_that_ansible_made_goes_too(ctx: Context, tmp_path: Path) -> None:
    store.offer(ctx, operation("offer"))
    temporary = tmp_path / "ansible-tmp-1"
    temporary.mkdir()
    path = temporary / "x"
    path.write_bytes(CONTENT)
    assert store.store(ctx, operation("store", path=str(path)))["changed"]
    assert not temporary.exists()


def test_check_mode_makes_nothing(tmp_path: Path) -> None:
    ctx = Context(check_mode=True, state_dir=str(tmp_path / "state"))
    assert store.offer(ctx, operation("offer")) == {"present": False}
    assert store.remove(ctx, operation("remove")) == {"changed": False}
    assert not Path(ctx.state_dir).exists()


def test_a_damaged_content_is_noticed_and_replaced(ctx: Context) -> None:
    op = operation("offer")
    store.offer(ctx, op)
    store.store(ctx, {**op, "path": str(arrived(ctx))})
    target = root(ctx) / CHECKSUM.replace(":", "/")
    target.write_bytes(b"x" * len(CONTENT))
    assert store.verify(ctx, op) == {"present": True, "intact": False}
    target.write_bytes(b"x")
    assert store.offer(ctx, op) == {"present": False}
    store.store(ctx, {**op, "path": str(arrived(ctx))})
    assert store.verify(ctx, op) == {"present": True, "intact": True}
