# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choke point that every image passes: it is what it is said to be, and leads to nothing but itself.

No tool of QEMU opens a file before this was asked. The format that a person declares must be the one that is found; it
is recorded and given to every tool from then on, never guessed again.
"""

from __future__ import annotations

import logging
import struct
from typing import IO, Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ImageRefused

# What may be found in a file of the format declared. A partition table ("gpt", also for an MBR) is the content of a raw
# disk, and a boot sector may be at the head of a kernel or of a bootable ISO.
FORMATS: dict[str, tuple[frozenset[str], ...]] = {
    "raw": (frozenset(), frozenset({"gpt"})),
    "qcow2": (frozenset({"qcow2"}),),
    "vmdk": (frozenset({"vmdk"}),),
    "vdi": (frozenset({"vdi"}),),
    "vhd": (frozenset({"vhd"}),),
    "vhdx": (frozenset({"vhdx"}),),
    "iso": (frozenset({"iso"}), frozenset({"iso", "gpt"})),
    "aki": (frozenset(), frozenset({"gpt"})),
    "ari": (frozenset(),),
}
LARGEST = 2**50  # bytes that a guest may be shown: a PiB
_BLOCK = 1 << 20
_OURS = frozenset({"raw", "gpt", "iso"})  # nothing in these leads elsewhere, whatever their headers say
_CORRUPT = 1 << 1
# What an inspector raises over content that is not its own.
_STUMBLES = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RuntimeError)
_REASONS = {
    "backing_file": "it has a backing file",
    "data_file": "its data are in another file",
    "unknown_features": "it has features that are not known here",
    "descriptor": "its descriptor names extents or a kind of disk that is not allowed",
    "footer": "its footer contradicts its header",
}


def judge(stream: IO[bytes], declared: str, size: int) -> int:
    """The size that a guest would see.

    :param stream: the whole image, open for reading from its start.
    :raises ImageRefused: it is not of the format declared, is damaged, or leads to other files.
    """
    found = _matching(stream)
    names = frozenset(found)
    if names not in FORMATS[declared]:
        what = " and ".join(sorted(names)) if names else "raw"
        why = "It is in several formats at once" if len(names) > 1 else f"It is {what}"
        raise ImageRefused(f"{why}, not {declared} as disk_format says{_hint(names)}. Nothing was stored.", found=what)
    for name, inspector in found.items():
        if name not in _OURS:
            _check(name, inspector)
    if declared == "qcow2":
        _check_header(stream)
    if declared == "vmdk":
        _check_extents(found["vmdk"])
    virtual = size if names <= _OURS else int(found[declared].virtual_size)
    if not 0 < virtual <= LARGEST:
        raise ImageRefused(f"A guest would see a disk of {virtual} bytes, which cannot be. Nothing was stored.")
    return virtual


def _matching(stream: IO[bytes]) -> dict[str, Any]:
    """The inspectors of every format that the content is in. Reading stops when none can learn more."""
    from_library = _library()
    running = {name: made() for name, made in from_library.ALL_FORMATS.items() if name != "raw"}
    broken = (from_library.ImageFormatError, struct.error, *_STUMBLES)
    stream.seek(0)
    while running and not all(inspector.complete for inspector in running.values()):
        block = stream.read(_BLOCK)
        if not block:
            break
        for name in list(running):
            try:
                running[name].eat_chunk(block)
            except broken:  # not of this format
                del running[name]
    for inspector in running.values():
        inspector.finish()
    return {name: inspector for name, inspector in running.items() if _matches(inspector, broken)}


def _matches(inspector: Any, broken: tuple[type[Exception], ...]) -> bool:
    try:
        return bool(inspector.format_match)
    except broken:
        return False


def _check(name: str, inspector: Any) -> None:
    library = _library()
    try:
        inspector.safety_check()
    except library.SafetyCheckFailed as exc:
        reasons = "; ".join(_REASONS.get(key, key) for key in exc.failures)
        failed = sorted(exc.failures)
        raise ImageRefused(f"The image is not safe: {reasons}. Nothing was stored.", checks=failed) from exc
    except library.ImageFormatError as exc:
        raise ImageRefused(f"The {name} image is damaged or cut off: {exc}. Nothing was stored.") from exc


def _check_header(stream: IO[bytes]) -> None:
    """What the inspector lets pass and a disk for guests should not be: encrypted, or marked as corrupt."""
    stream.seek(0)
    head = stream.read(80)
    version, crypt = struct.unpack_from(">4xI24xI", head)
    incompatible = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
    if crypt:
        raise ImageRefused("The image is encrypted, and there is no key to give with it. Nothing was stored.")
    if incompatible & _CORRUPT:
        raise ImageRefused("The image is marked as corrupt; repair it with qemu-img check. Nothing was stored.")


def _check_extents(inspector: Any) -> None:
    lines = [line.strip() for line in str(inspector.desc_text).split("\n")]
    extents = [line for line in lines if line.split(" ")[0] in ("rw", "rdonly", "noaccess")]
    if len(extents) != 1:
        raise ImageRefused(f"The VMDK consists of {len(extents)} extents, one is allowed. Nothing was stored.")


def _hint(names: frozenset[str]) -> str:
    if len(names) > 1:
        return ""
    name = next(iter(names), "raw")
    if name == "gpt":
        return " (a disk with a partition table: raw)"
    return f"; if it is meant to be, say disk_format: {name}" if name in FORMATS else "; it cannot be used here"


def _library() -> Any:
    try:
        from oslo_utils.imageutils import format_inspector
    except ImportError as exc:
        raise ImageRefused("The controller's Python lacks oslo.utils >= 8.0, without which no image is taken.") from exc
    # It tells its findings to the log as well; ours are in the error.
    logging.getLogger("oslo_utils").addHandler(logging.NullHandler())
    return format_inspector
