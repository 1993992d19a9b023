# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an instance's files are, and the lock that makes one operation at a time on them.

All files of an instance are in one directory named by its UUID. The directory is also its lock, so deleting it leaves
nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import re
import shutil
import stat
import uuid
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

QEMU_CONF = "/etc/libvirt/qemu.conf"
QEMU_GROUPS = ("libvirt-qemu", "qemu")  # as Debian and Red Hat call it

_GROUP = re.compile(r"^[ \t]*group[ \t]*=[ \t]*[\"']?\+?([^\"'\s#]+)", re.MULTILINE)
_FILE = re.compile(r"^[a-z0-9][a-z0-9_-]*\.[a-z0-9]+$")


def is_instance(name: Any) -> bool:
    """Whether this is a UUID in its one written form."""
    try:
        return bool(str(uuid.UUID(name)) == name)
    except (ValueError, AttributeError, TypeError):
        return False


def directory(state_dir: str, instance_id: str) -> str:
    """The directory of an instance; anything but a UUID is refused, so no path can be smuggled in."""
    if not is_instance(instance_id):
        raise BackendError(f"{instance_id!r} is not the UUID of an instance.")
    return os.path.join(state_dir, "instances", instance_id)


def entered_by_qemu(path: str) -> None:
    """Have a directory that root and QEMU alone may enter, so that no local user reads what lies in it for all guests.

    On a host without libvirt it is root's alone, and open to pass through where libvirt is there and its group is not
    known: guests would not start otherwise.
    """
    os.makedirs(path, mode=0o711, exist_ok=True)
    group = _qemu_group()
    if group is None:
        wanted = (0o711 if os.path.exists(os.path.dirname(QEMU_CONF)) else 0o700, 0)
    else:
        wanted = (0o710, group)
    found = os.stat(path)
    if (stat.S_IMODE(found.st_mode), found.st_gid) != wanted and os.geteuid() == 0:
        os.chown(path, -1, wanted[1])
        os.chmod(path, wanted[0])


def _qemu_group() -> int | None:
    """The group that libvirt gives to QEMU: what qemu.conf says, else the system's own."""
    try:
        with open(QEMU_CONF, encoding="utf-8") as stream:
            said = _GROUP.findall(stream.read())[-1:]
    except OSError:
        said = []
    for name in said or QEMU_GROUPS:
        if name.isdigit():
            return int(name)
        with contextlib.suppress(KeyError):
            return grp.getgrnam(name).gr_gid
    return None


def member(where: str, name: str) -> str:
    """The path of one file in an instance's directory."""
    if not isinstance(name, str) or not _FILE.match(name):
        raise BackendError(f"{name!r} is not a plain file name.")
    return os.path.join(where, name)


@contextlib.contextmanager
def held(where: str, create: bool = False) -> Iterator[bool]:
    """Hold an instance's directory; yields whether it is there. Waits for an operation that is under way."""
    handle = _held(where, create)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def _held(where: str, create: bool) -> int | None:
    while True:
        if create:
            # qemu runs as another user: it has to pass through, and to see nothing on the way.
            os.makedirs(os.path.dirname(where), mode=0o711, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(where, mode=0o711)
        try:
            handle = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if create:
                continue
            return None
        fcntl.flock(handle, fcntl.LOCK_EX)
        if same(handle, where):
            return handle
        os.close(handle)  # it was deleted while we waited


def same(handle: int, path: str) -> bool:
    """Whether ``path`` still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def replace(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader finds it whole or not at all. Content lost in a power cut is written again."""
    draft = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    os.rename(draft, path)


def remove(where: str) -> bool:
    """Delete an instance's directory with all that is in it; says whether there was one."""
    try:
        shutil.rmtree(where)
    except FileNotFoundError:
        return False
    return True
