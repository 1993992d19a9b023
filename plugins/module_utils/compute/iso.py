# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small ISO 9660 writer, for the seed that cloud-init reads: a few files in the root directory, nothing else.

One process start per instance is saved by not calling an external program. The volume carries Joliet names beside the
plain ones, because ``meta-data`` is not a name in plain ISO 9660. The same files give the same bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTOR = 2048
_PRIMARY, _JOLIET, _TERMINATOR = 16, 17, 18
_TABLES = {_PRIMARY: 19, _JOLIET: 21}  # sector of the little-endian path table; the big-endian one follows
_ROOTS = {_PRIMARY: 23, _JOLIET: 24}
_FIRST_FILE = 25
_DATE = bytes([80, 1, 1, 0, 0, 0, 0])  # always the same
_NO_DATE = b"0" * 16 + b"\0"


def image(label: str, files: Mapping[str, bytes]) -> bytes:
    """The bytes of a volume named ``label`` with these files."""
    place = _FIRST_FILE
    extents: dict[str, tuple[int, int]] = {}
    for name, content in sorted(files.items()):
        extents[name] = (place, len(content))
        place += max(1, -(-len(content) // SECTOR))
    sectors = [bytes(SECTOR)] * _FIRST_FILE
    for kind in (_PRIMARY, _JOLIET):
        sectors[kind] = _descriptor(kind, label, place)
        sectors[_TABLES[kind]] = _padded(struct.pack("<BBIH", 1, 0, _ROOTS[kind], 1) + b"\0\0")
        sectors[_TABLES[kind] + 1] = _padded(struct.pack(">BBIH", 1, 0, _ROOTS[kind], 1) + b"\0\0")
        sectors[_ROOTS[kind]] = _directory(kind, extents)
    sectors[_TERMINATOR] = _padded(b"\xffCD001\x01")
    return b"".join(sectors) + b"".join(_padded(content) for _name, content in sorted(files.items()))


def _padded(content: bytes) -> bytes:
    return content.ljust(max(1, -(-len(content) // SECTOR)) * SECTOR, b"\0")


def _both(form: str, value: int) -> bytes:
    """A number in both byte orders, as the standard wants most of them."""
    return struct.pack("<" + form, value) + struct.pack(">" + form, value)


def _text(kind: int, value: str, width: int) -> bytes:
    if kind == _JOLIET:
        return value.ljust(width // 2)[: width // 2].encode("utf-16-be").ljust(width, b"\0")
    return value.encode("ascii")[:width].ljust(width)


def _record(name: bytes, place: int, size: int, folder: bool = False) -> bytes:
    pad = b"" if len(name) % 2 else b"\0"
    body = b"\0" + _both("I", place) + _both("I", size) + _DATE
    body += (b"\2" if folder else b"\0") + b"\0\0" + _both("H", 1) + bytes([len(name)]) + name + pad
    return bytes([len(body) + 1]) + body


def _name(kind: int, name: str) -> bytes:
    if kind == _JOLIET:
        return (name + ";1").encode("utf-16-be")
    return (name.upper().replace("-", "_") + ".;1").encode("ascii")


def _directory(kind: int, extents: Mapping[str, tuple[int, int]]) -> bytes:
    root = _ROOTS[kind]
    records = [_record(b"\0", root, SECTOR, folder=True), _record(b"\1", root, SECTOR, folder=True)]
    named = sorted((_name(kind, name), extent) for name, extent in extents.items())
    records += [_record(name, place, size) for name, (place, size) in named]
    content = b"".join(records)
    if len(content) > SECTOR:
        raise ValueError("The files' names do not fit into one sector.")
    return _padded(content)


def _descriptor(kind: int, label: str, sectors: int) -> bytes:
    table = _TABLES[kind]
    parts = [
        (b"\1" if kind == _PRIMARY else b"\2") + b"CD001\x01\0",
        _text(kind, "", 32),
        _text(kind, label, 32),
        bytes(8),
        _both("I", sectors),
        (b"" if kind == _PRIMARY else b"%/E").ljust(32, b"\0"),
        _both("H", 1) + _both("H", 1) + _both("H", SECTOR),
        _both("I", 10),
        struct.pack("<II", table, 0) + struct.pack(">II", table + 1, 0),
        _record(b"\0", _ROOTS[kind], SECTOR, folder=True),
        _text(kind, "", 128) * 4,  # volume set, publisher, preparer, application
        _text(kind, "", 37) * 3,  # copyright, abstract, bibliography
        _NO_DATE * 4 + b"\1\0",
    ]
    return _padded(b"".join(parts))
