# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk images as qemu-img makes them, and as someone with bad intentions does."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SECTOR = 512


def make(path: Path, form: str, size: str = "64M", *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", form, *options, str(path), size], check=True)
    return path


def raw(path: Path, size: int = 1 << 20) -> Path:
    path.write_bytes(bytes(size))
    return path


def patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)
    return path


def partitioned(path: Path, *, partitions: bool = True) -> Path:
    """A raw disk with a boot sector, and a partition or none."""
    raw(path)
    return _signed(path, struct.pack("<B3BB3BII", 0x80, 0, 2, 0, 0x83, 0, 0, 0, 2048, 100) if partitions else bytes(16))


def _signed(path: Path, entry: bytes) -> Path:
    patched(path, 446, entry)
    return patched(path, 510, b"\x55\xaa")


def iso(path: Path, *, hybrid: bool = False) -> Path:
    """The least that is taken for an ISO 9660 file system."""
    raw(path)
    patched(path, 32768, b"\x01CD001\x01")
    return _signed(path, struct.pack("<B3BB3BII", 0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 100)) if hybrid else path


def luks(path: Path) -> Path:
    """The header of LUKS 1 (LUKS On-Disk Format Specification 1.2.3, figure 1), written by hand.

    `qemu-img create -f luks` times its key derivation and gives up on a busy machine.
    """
    raw(path)
    header = struct.pack(">6sH32s32s32sII", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 4096, 64)
    return patched(path, 0, header)


def with_descriptor(path: Path, text: str) -> Path:
    """The text descriptor inside a VMDK replaced."""
    make(path, "vmdk", "1M")
    return patched(path, SECTOR, text.encode().ljust(20 * SECTOR, b"\0"))
