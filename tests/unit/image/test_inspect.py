# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choke point of images, with crafted ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ImageRefused
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import inspect
from tests.unit.image import craft

MIB = 1 << 20
Maker = Callable[[Path], Path]

GOOD: dict[str, tuple[str, Maker, int]] = {
    "raw": ("raw", craft.raw, MIB),
    "raw with an MBR": ("raw", craft.partitioned, MIB),
    "raw with a boot sector and no partition": ("raw", lambda path: craft.partitioned(path, partitions=False), MIB),
    "qcow2": ("qcow2", lambda path: craft.make(path, "qcow2"), 64 * MIB),
    "qcow2 version 2": ("qcow2", lambda path: craft.make(path, "qcow2", "64M", "-o", "compat=0.10"), 64 * MIB),
    "qcow2 with zstd": (
        "qcow2",
        lambda path: craft.make(path, "qcow2", "64M", "-o", "compression_type=zstd"),
        64 * MIB,
    ),
    "vmdk": ("vmdk", lambda path: craft.make(path, "vmdk"), 64 * MIB),
    "vdi": ("vdi", lambda path: craft.make(path, "vdi"), 64 * MIB),
    "vhdx": ("vhdx", lambda path: craft.make(path, "vhdx"), 64 * MIB),
    "iso": ("iso", craft.iso, MIB),
    "hybrid iso": ("iso", lambda path: craft.iso(path, hybrid=True), MIB),
    "kernel": ("aki", craft.partitioned, MIB),
    "ramdisk": ("ari", craft.raw, MIB),
}


def judged(path: Path, declared: str) -> int:
    with path.open("rb") as stream:
        return inspect.judge(stream, declared, path.stat().st_size)


@pytest.mark.parametrize("case", GOOD)
def test_good_images(tmp_path: Path, case: str) -> None:
    declared, maker, size = GOOD[case]
    assert judged(maker(tmp_path / "image"), declared) == size


def _backed(path: Path) -> Path:
    craft.make(path.with_name("base"), "qcow2")
    return craft.make(path, "qcow2", "64M", "-b", "/etc/shadow", "-F", "raw", "-u")


def _with_data_file(path: Path) -> Path:
    return craft.make(path, "qcow2", "1M", "-o", f"data_file={path.with_name('data')},data_file_raw=on")


def _feature(bit: int) -> Maker:
    return lambda path: craft.patched(craft.make(path, "qcow2"), 72, struct.pack(">Q", 1 << bit))


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=1
parentCID=ffffffff
createType="{kind}"
{extents}
ddb.adapterType = "ide"
"""


def _vmdk(kind: str, *extents: str) -> Maker:
    text = DESCRIPTOR.format(kind=kind, extents="\n".join(extents))
    return lambda path: craft.with_descriptor(path, text)


def _descriptor_only(path: Path) -> Path:
    text = DESCRIPTOR.format(kind="monolithicFlat", extents='RW 2048 FLAT "/etc/shadow" 0')
    path.write_text(text)
    return path


def _cut(path: Path) -> Path:
    whole = craft.make(path, "vmdk").read_bytes()
    path.write_bytes(whole[:600])
    return path


def _hidden_in_raw(path: Path) -> Path:
    """A raw disk that begins with the header of a qcow2 image with a backing file."""
    head = _backed(path.with_name("head")).read_bytes()
    return craft.patched(craft.raw(path), 0, head[:4096])


def _two_in_one(path: Path) -> Path:
    """A qcow2 image with an ISO file system where that is looked for."""
    return craft.patched(craft.make(path, "qcow2"), 32768, b"\x01CD001\x01")


BAD: dict[str, tuple[str, Maker, str]] = {
    "a backing file": ("qcow2", _backed, "backing file"),
    "an external data file": ("qcow2", _with_data_file, "another file"),
    "a feature of the future": ("qcow2", _feature(5), "features"),
    "extended L2 entries": ("qcow2", _feature(4), "features"),
    "marked as corrupt": ("qcow2", _feature(1), "corrupt"),
    "encrypted": (
        "qcow2",
        lambda path: craft.patched(craft.make(path, "qcow2"), 32, struct.pack(">I", 1)),
        "encrypted",
    ),
    "qcow version 1": (
        "qcow2",
        lambda path: craft.patched(craft.make(path, "qcow2"), 4, struct.pack(">I", 1)),
        "feature",
    ),
    "a disk of nothing": ("qcow2", lambda path: craft.patched(craft.make(path, "qcow2"), 24, bytes(8)), "0 bytes"),
    "a disk without end": (
        "qcow2",
        lambda path: craft.patched(craft.make(path, "qcow2"), 24, b"\xff" * 8),
        "cannot be",
    ),
    "an empty file": ("raw", lambda path: craft.raw(path, 0), "0 bytes"),
    "raw called qcow2": ("qcow2", craft.raw, "It is raw, not qcow2"),
    "qcow2 called raw": ("raw", lambda path: craft.make(path, "qcow2"), "It is qcow2, not raw"),
    "qcow2 hidden in raw": ("raw", _hidden_in_raw, "It is qcow2, not raw"),
    "vmdk called raw": ("raw", lambda path: craft.make(path, "vmdk"), "It is vmdk, not raw"),
    "a VMDK descriptor called raw": ("raw", _descriptor_only, "It is vmdk, not raw"),
    "a VMDK descriptor": ("vmdk", _descriptor_only, "descriptor"),
    "VMDK in flat extents": ("vmdk", _vmdk("monolithicFlat", 'RW 2048 FLAT "x" 0'), "descriptor"),
    "VMDK with a path": ("vmdk", _vmdk("monolithicSparse", 'RW 2048 SPARSE "/etc/shadow"'), "descriptor"),
    "VMDK of two extents": ("vmdk", _vmdk("monolithicSparse", *['RW 1024 SPARSE "x"'] * 2), "2 extents"),
    "VMDK cut off": ("vmdk", _cut, "not vmdk|damaged"),
    "two formats in one": ("qcow2", _two_in_one, "several formats"),
    "iso called raw": ("raw", craft.iso, "It is iso"),
    "luks called raw": ("raw", craft.luks, "It is luks"),
    "qed": ("raw", lambda path: craft.make(path, "qed"), "It is qed"),
    "a boot sector called a ramdisk": ("ari", craft.partitioned, "not ari"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_images(tmp_path: Path, case: str) -> None:
    declared, maker, said = BAD[case]
    path = maker(tmp_path / "image")
    with pytest.raises(ImageRefused, match=said):
        judged(path, declared)


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vdi", "vhdx"])
def test_noise_is_raw_and_nothing_else(tmp_path: Path, form: str) -> None:
    """Every prefix of a header, and headers with broken bytes: refused or judged, never a surprise."""
    whole = craft.make(tmp_path / "whole", form, "1M").read_bytes()[: 64 * 1024]
    path = tmp_path / "image"
    for length in (1, 3, 4, 8, 64, 71, 72, 104, 511, 512, 513, 1024):
        path.write_bytes(whole[:length])
        _never_a_surprise(path, form)
    for offset in range(0, 128, 4):
        path.write_bytes(whole[:offset] + b"\xff\xff\xff\xff" + whole[offset + 4 :])
        _never_a_surprise(path, form)


def _never_a_surprise(path: Path, form: str) -> None:
    for declared in ("raw", form):
        try:
            assert judged(path, declared) > 0
        except ImageRefused:
            pass
