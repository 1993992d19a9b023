# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Content for a draft: from an image, from another backend of this host, or from another storage host."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import images
from ansible_collections.agentless.cloud.plugins.module_utils.compute.borrow import borrowed
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx

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
    with fetched(ctx, image) as (path, form, needed):
        check_size(needed, size)
        convert(ctx, form, [path], draft)


@contextlib.contextmanager
def fetched(ctx: Context, image: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """An image in this host's cache: where, in which format, and how many bytes a guest sees.

    :raises BackendError: it cannot be fetched, is not what was said, or leads to other files.
    """
    form = str(image.get("format"))
    if form not in images.FORMATS:
        raise BackendError(f"Images are raw or qcow2, not {form!r}: convert the image first.", "ImageRefused")
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(borrowed(ctx, image))
        yield path, form, images.virtual_size(path, form)


def check_size(needed: int, size: int) -> None:
    """Refuse what does not fit.

    :raises BackendError: it does not.
    """
    if needed > size:
        raise BackendError(f"The image has {needed} bytes, and the volume {size}.", "ImageRefused")


def from_path(ctx: Context, draft: str, path: str) -> None:
    """Write what another backend of this host has."""
    # The target writes past this host's page cache, in which a look from before may still stand.
    device = os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)
    convert(ctx, "raw", [*(["-T", "none"] if device else []), path], draft)


def from_export(ctx: Context, draft: str, source: dict[str, Any]) -> None:
    """Write what another storage host exports to this one."""
    with exported(source) as arguments:
        convert(ctx, "raw", arguments, draft)


@contextlib.contextmanager
def exported(source: dict[str, Any]) -> Iterator[list[str]]:
    """What ``qemu-img`` is given to read an export. The secret stands in a file that only root can read.

    :param source: ``export`` (what it replied), ``user`` and ``secret``.
    """
    export, form, secret = source["export"], "raw", str(source["secret"])
    if export.get("protocol") == "rbd":
        form, secret = "base64", cephx.key(secret, initiator() or "")
    about = json.dumps({"driver": "raw", "file": opened(export, str(source["user"]))})
    with kept(secret) as path:
        yield ["--object", f"secret,id=secret,format={form},file={path}", f"json:{about}"]


def opened(export: dict[str, Any], user: str) -> dict[str, Any]:
    """How QEMU opens an export; ``secret`` is the name of the object that holds what it logs in with."""
    protocol = export.get("protocol")
    if protocol == "iscsi":
        login = {"user": user, "password-secret": "secret", "initiator-name": initiator() or ""}
        target = {"portal": str(export["portal"]), "target": str(export["iqn"]), "lun": int(export.get("lun", 0))}
        return {"driver": "iscsi", "transport": "tcp", **target, **login}
    if protocol == "rbd":
        image = {"pool": str(export["pool"]), "image": str(export["name"]), "user": str(export["user"])}
        servers = [_server(one) for one in export["monitors"]]
        return {"driver": "rbd", **image, "key-secret": "secret", "server": servers}
    if protocol == "nfs":
        who = {"user": int(export["uid"]), "group": int(export["uid"])}
        return {"driver": "nfs", "path": str(export["path"]), "server": {"type": "inet", "host": export["host"]}, **who}
    if protocol == "gluster":
        servers = [{"type": "inet", **_server(one)} for one in export["hosts"]]
        return {"driver": "gluster", "volume": export["volume"], "path": export["path"], "server": servers}
    raise BackendError(f"A volume that is exported by {protocol!r} cannot be copied from here.")


def _server(address: Any) -> dict[str, str]:
    host, _colon, port = str(address).rpartition(":")
    return {"host": host.strip("[]"), "port": port}


def convert(ctx: Context, form: str, source: list[str], draft: str) -> None:
    """Write a source into a draft. Drafts read zeros, so zeros are not written: what is sparse stays so."""
    ctx.effect("fill")
    argv = [*LIMITS, "qemu-img", "convert", "-n", "--target-is-zero", "-f", form, "-O", "raw", *source, draft]
    ctx.run(argv, timeout=TIME)
    if not draft.startswith("/"):
        return  # an address that QEMU's tools alone know; what stands there has answered for each write
    handle = os.open(draft, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def kept(secret: str) -> Iterator[str]:
    """The secret in a file that only root can read, for as long as it is needed."""
    with tempfile.NamedTemporaryFile("w", dir="/run", prefix="agentless-") as handle:
        handle.write(secret)
        handle.flush()
        yield handle.name
