# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk of a stopped instance as one file that leads to no other, for an image to be made of it.

The file lies in the instance's directory, so that nothing of it outlives the instance, until the controller has it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

DISK = "disk.qcow2"
LIMITS = ("prlimit", "--as=2147483648", "--core=0")
FORGOTTEN = 86_400  # seconds after which what was exported belongs to no living run


def export_disk(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: flatten the instance's disk into one file for the image ``image``; its size in bytes.

    The instance cannot be started meanwhile, and one that runs is refused.
    """
    where = files.directory(ctx.state_dir, op["id"])
    target = _target(where, op)
    with files.held(where):
        if connection.require(op["id"]).isActive():
            raise BackendError("The instance is running: what is on its disk changes while it is read.", "InUse")
        disk = files.member(where, DISK)
        if not os.path.exists(disk):
            raise BackendError("The instance has no disk of its own here, so there is nothing to make an image of.")
        if ctx.check_mode:
            return {"changed": True}
        _sweep(where)
        _forget(target)
        _room(ctx, disk)
        ctx.effect("export")
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            flatten = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2", disk, target]
            ctx.run([*LIMITS, *flatten], timeout=float(op["timeout"]))
            _give(target)
        except BaseException:
            _forget(target)
            raise
        return {"changed": True, "size": os.path.getsize(target)}


def export_absent(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: the controller has the file, or wants it no more."""
    target = _target(files.directory(ctx.state_dir, op["id"]), op)
    there = os.path.lexists(target)
    if there and not ctx.check_mode:
        _forget(target)
    return {"changed": there}


def _target(where: str, op: dict[str, Any]) -> str:
    if not files.is_instance(op.get("image")):
        raise BackendError(f"{op.get('image')!r} is not the UUID of an image.")
    return files.member(where, f"image-{op['image']}.qcow2")


def _room(ctx: Context, disk: str) -> None:
    measure = ["qemu-img", "measure", "-f", "qcow2", "-O", "qcow2", "--output=json", disk]
    needed = int(json.loads(ctx.run([*LIMITS, *measure]).stdout)["required"])
    free = os.statvfs(ctx.state_dir)
    left = free.f_bavail * free.f_frsize
    if needed > left:
        raise BackendError(f"The disk as one file needs {needed} bytes, and {ctx.state_dir} has {left} left.")


def _give(target: str) -> None:
    """Let the user who logged in read it, where another one became root."""
    login = os.environ.get("SUDO_UID", "")
    if login.isdigit():
        os.chown(target, int(login), -1)


def _sweep(where: str) -> None:
    for path in glob.glob(os.path.join(glob.escape(where), "image-*.qcow2")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.lstat(path).st_mtime > FORGOTTEN:
                os.unlink(path)


def _forget(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
