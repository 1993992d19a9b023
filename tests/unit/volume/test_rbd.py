# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ceph's users: whose key it is, what it opens, and what is said where Ceph's libraries are missing."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import ceph, cephx, rbd, rbd_blocks, rbd_images
from ansible_collections.agentless.cloud.plugins.module_utils.volume.blocks import BLOCK

ID = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
OTHER = "8b3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
A, B = "iqn.2026-01.cloud.agentless:a", "iqn.2026-01.cloud.agentless:b"


def test_a_key_as_ceph_writes_it() -> None:
    """Type 1 (AES), no time, sixteen bytes: what ``ceph-authtool`` reads."""
    raw = base64.b64decode(cephx.key("secret", A))
    assert struct.unpack("<HIIH", raw[:12]) == (1, 0, 0, 16)
    assert len(raw) == 28


def test_the_key_is_of_one_secret_and_one_host() -> None:
    """Both ends come to the same one, and nobody else."""
    keys = {cephx.key(secret, host) for secret in ("one", "two") for host in (A, B)}
    assert len(keys) == 4
    assert cephx.key("one", A) in keys


def test_users_are_found_by_their_volume() -> None:
    """And differ by host."""
    assert cephx.user(ID, A) != cephx.user(ID, B)
    assert all(cephx.user(ID, host).startswith(cephx.owner(ID)) for host in (A, B))
    assert not cephx.user(OTHER, A).startswith(cephx.owner(ID))


@pytest.mark.parametrize(
    ("ids", "written", "read"),
    [
        (["a1"], {"header.a1", "object_map.a1", "data.a1"}, {f"id.volume-{ID}", "info"}),
        (
            ["a1", "b2", "c3"],
            {"header.a1", "object_map.a1", "data.a1"},
            {f"id.volume-{ID}", "info"}
            | {f"{part}.{one}" for part in ("header", "object_map", "data") for one in ("b2", "c3")},
        ),
    ],
)
def test_rights(ids: list[str], written: set[str], read: set[str]) -> None:
    """Only the image's own objects are written, only those of its ancestors are read, and all is in one pool."""
    grants = cephx.caps("vols", f"volume-{ID}", ids).split(", ")
    assert all(" pool=vols object_prefix rbd_" in grant for grant in grants)
    by_right: dict[str, set[str]] = {}
    for grant in grants:
        by_right.setdefault(grant.partition(" pool=")[0], set()).add(grant.rpartition("rbd_")[2])
    assert by_right.pop("allow rwx") == written
    assert by_right.pop("allow r class-read") == read
    assert by_right == ({"allow class-read": {"directory", "trash"}} if len(ids) > 1 else {})


@pytest.mark.parametrize("options", [{"pool": "vols", "user": "u"}])
def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    """It is said what to do."""
    monkeypatch.setattr(ceph, "rados", None)
    with pytest.raises(BackendError, match=r"agentless\.cloud\.site"):
        rbd.Rbd(Context(), options).usage()


@pytest.mark.parametrize(
    ("checksum", "form"), [("md5:" + "0" * 64, "raw"), ("sha256:" + "0" * 63, "raw"), ("sha256:" + "0" * 64, "vmdk")]
)
def test_what_is_no_image(checksum: str, form: str) -> None:
    with pytest.raises(BackendError, match="no image"):
        rbd_images.named({"checksum": checksum, "format": form})


def test_the_same_bytes_in_another_format_are_another_image() -> None:
    about = {"checksum": "sha256:" + "0" * 64}
    assert len({rbd_images.named({**about, "format": form}) for form in ("raw", "qcow2")}) == 2


class Library:
    """Ceph's library with one image of one snapshot: what was opened, and whether all of it was closed again."""

    ImageNotFound = type("ImageNotFound", (Exception,), {})
    Error = Exception

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        library = self

        class Opened:
            def __init__(self, _io: object, name: str, snapshot: str | None = None, read_only: bool = False) -> None:
                library.said.append(("open", name, snapshot, read_only))
                self._size = 4

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_why: object) -> None:
                library.said.append(("close",))

            def set_snap(self, snapshot: str) -> None:
                library.said.append(("set_snap", snapshot))
                if snapshot != "base":
                    raise Library.ImageNotFound(snapshot)
                self._size = 2

            def size(self) -> int:
                return self._size

        self.Image = Opened


@pytest.mark.parametrize(
    ("snapshot", "size", "between"),
    [(None, 4, []), ("base", 2, [("set_snap", "base")]), ("other", None, [("set_snap", "other")])],
)
def test_a_snapshot_is_not_named_while_opening(
    monkeypatch: pytest.MonkeyPatch, snapshot: str | None, size: int | None, between: list[tuple[str, ...]]
) -> None:
    """Ceph 16 frees what it still uses when such an image is closed at once; it is closed whatever happens."""
    library, pool = Library(), ceph.Pool(Context(), {"pool": "vols", "user": "u"})
    monkeypatch.setattr(ceph, "rbd", library)
    monkeypatch.setattr(ceph, "rados", library)
    monkeypatch.setattr(pool, "io", object)
    try:
        with pool.image("image", snapshot) as opened:
            found = opened.size()
    except ceph.Missing:
        found = None
    assert found == size
    assert library.said == [("open", "image", None, True), *between, ("close",)]


class Image:
    """What Ceph's library shows of an image of three blocks, the first of which is empty."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]

    def diff_iterate(self, _offset: int, _length: int, _since: Any, note: Any, **_how: Any) -> None:
        note(BLOCK + 5, BLOCK, True)  # over the end of a block


def test_blocks_of_an_image() -> None:
    """What is said to be empty is not read; zeros that were written are told by reading."""
    image = Image(b"x" * BLOCK + bytes(BLOCK) + b"b" * BLOCK)
    assert rbd_blocks.touched(image, "kept-1") == {1, 2}
    opened = rbd_blocks.ImageBlocks(image)
    assert [opened.read(place, BLOCK) for place in range(3)] == [b"", b"", b"b" * BLOCK]
    image.content = image.content[:-1]
    with pytest.raises(BackendError, match="should have"):
        opened.read(2, BLOCK)
