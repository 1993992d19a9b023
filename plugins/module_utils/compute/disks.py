# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk files of an instance: empty ones, and overlays over a cached image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import files, images
from ansible_collections.agentless.cloud.plugins.module_utils.compute.borrow import borrowed

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

# What a crafted image may cost: a gigabyte of address space, and time on the processor.
LIMITS = ("prlimit", "--as=1073741824", "--cpu=30", "--core=0")
TIMEOUT = 60


def ensure(ctx: Context, where: str, disk: dict[str, Any]) -> bool:
    """Make one disk when it is not there; says whether it was made."""
    path = files.member(where, disk["name"])
    if os.path.exists(path):
        return False
    image = disk.get("image")
    if not image:
        _make(ctx, path, disk, [])
        return True
    with borrowed(ctx, image) as base:
        _make(ctx, path, disk, _over(base, image, disk))
    return True


def _over(base: str, image: dict[str, Any], disk: dict[str, Any]) -> list[str]:
    """The options that lay a disk over an image.

    :raises BackendError: the image does not fit, or the disk's format cannot.
    """
    needed = images.virtual_size(base, _format(image["format"]))
    if int(disk["size"]) and needed > int(disk["size"]) << 30:
        raise BackendError(
            f"The image needs a disk of {-(-needed // (1 << 30))} GiB, and this one has {disk['size']}.",
            error="ImageRefused",
        )
    if _format(disk["format"]) == "raw":
        raise BackendError("A raw disk cannot lie over an image; use qcow2.")
    return ["-F", _format(image["format"]), "-b", base]


def _make(ctx: Context, path: str, disk: dict[str, Any], backing: list[str]) -> None:
    size = int(disk["size"]) << 30
    if backing and not size:
        size = images.virtual_size(backing[3], backing[1])
    draft = path + ".new"
    if os.path.lexists(draft):
        os.unlink(draft)
    ctx.effect("disk")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    form = _format(disk["format"])
    ctx.run([*LIMITS, "qemu-img", "create", "-q", "-f", form, *backing, draft, str(size)], timeout=TIMEOUT)
    os.rename(draft, path)


def _format(name: str) -> str:
    if name not in images.FORMATS:
        raise BackendError(f"Disks are raw or qcow2, not {name!r}: convert the image first.", "ImageRefused")
    return str(name)
