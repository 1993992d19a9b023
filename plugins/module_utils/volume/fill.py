# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Content for a draft: from an image, from another backend of this host, or from another storage host over iSCSI."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import images
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

TIME = 6 * 3600  # seconds
# What a crafted image may cost: two gigabytes of address space. The processor's time is bounded by TIME.
LIMITS = ("prlimit", "--as=2147483648", "--core=0")


def from_image(ctx: Context, draft: str, image: dict[str, Any], size: int) -> None:
    """Write an image, whose format is the one recorded and never guessed.

    :raises BackendError: it does not fit, is not what was said, or leads to other files.
    """
    path, _downloaded = images.ensure(ctx, image)
    form = str(image.get("format"))
    if form not in images.FORMATS:
        raise BackendError(f"Images are raw or qcow2, not {form!r}: convert the image first.", "ImageRefused")
    needed = images.virtual_size(path, form)
    if needed > size:
        raise BackendError(f"The image has {needed} bytes, and the volume {size}.", "ImageRefused")
    _convert(ctx, ["-f", form, path], draft)


def from_path(ctx: Context, draft: str, path: str) -> None:
    """Write what another backend of this host has."""
    _convert(ctx, ["-f", "raw", path], draft)


def from_export(ctx: Context, draft: str, source: dict[str, Any]) -> None:
    """Write what another storage host exports to this one. The secret stands in a file that only root can read."""
    export = source["export"]
    if export.get("protocol") != "iscsi":
        raise BackendError(f"A volume that is exported by {export.get('protocol')!r} cannot be copied from here.")
    with _kept(str(source["secret"])) as secret:
        about = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": str(export["portal"]),
            "target": str(export["iqn"]),
            "lun": int(export.get("lun", 0)),
            "user": str(source["user"]),
            "password-secret": "chap",
            "initiator-name": initiator() or "",
        }
        opened = json.dumps({"driver": "raw", "file": about})
        _convert(ctx, ["--object", f"secret,id=chap,file={secret}", f"json:{opened}"], draft)


def _convert(ctx: Context, source: list[str], draft: str) -> None:
    """Drafts read zeros, so zeros are not written: what is sparse stays so."""
    ctx.effect("fill")
    argv = [*LIMITS, "qemu-img", "convert", "-n", "--target-is-zero", "-O", "raw", *source, draft]
    ctx.run(argv, timeout=TIME)
    if not draft.startswith("/"):
        return  # an address that QEMU's tools alone know; what stands there has answered for each write
    handle = os.open(draft, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _kept(secret: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", dir="/run", prefix="agentless-") as handle:
        handle.write(secret)
        handle.flush()
        yield handle.name
