# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes that the host itself logs in to, where their type asks for that: open-iscsi, and multipath over it.

A note of each such target lies in the state directory from before the login until after the logout, so that whatever is
killed in between is found again: by the next attach, the next start of the guest, or the detach. It says which
instances have the volume and holds no secret; that is in open-iscsi's own record, a file for root alone, written here
and never given to a command. By those records open-iscsi logs in again when the host boots, before libvirt starts the
guests that ran; an operation that starts a guest logs in to what is missing. A device enters a guest's definition only
when its serial number has been read and is the volume's UUID, and stands there under the name that udev gives to this
target alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections, files, iscsi_host, multipath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

Note = dict[str, Any]

LOCKS = "/run/agentless-initiator"
IN_CONTAINER = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
PATIENCE = 30  # seconds that a device gets to appear
_LOOK = 0.1


def able(ctx: Context) -> list[str]:
    """How volumes can be reached from this host besides QEMU's own client: ``host``, ``multipath``."""
    if shutil.which("iscsiadm", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        return []
    if any(os.path.exists(mark) for mark in IN_CONTAINER):  # the kernel keeps sessions for the whole machine alone
        return []
    loaded = os.path.isdir("/sys/module/iscsi_tcp")
    if not loaded and ctx.run(["modprobe", "--dry-run", "--quiet", "iscsi_tcp"], check=False).returncode != 0:
        return []
    return ["host", "multipath"] if multipath.runs(ctx) else ["host"]


def connect(ctx: Context, instance_id: str, volume: dict[str, Any]) -> bool:
    """Have the volume's device on this host, where its connection asks for that; says whether it was not there.

    :raises BackendError: no login, no device, or a device that is not this volume's. Nothing is left of the try.
    """
    if not connections.by_host(volume):
        return False
    source = volume["source"]
    note = {
        "volume": volume["id"],
        "iqn": source["iqn"],
        "lun": int(source.get("lun", 0)),
        "portals": connections.portals(volume),
        "connection": volume["connection"],
    }
    login = {"user": str(volume["user"]), "secret": str(volume["secret"])}
    with _alone(note["volume"]):
        before = _read(ctx, note["iqn"])
        if before is not None and before["connection"] != note["connection"]:
            raise BackendError(f"Volume {note['volume']} is connected by {before['connection']}; detach it first.")
        others = set(before["instances"]) if before else set()
        note["instances"] = sorted(others | {instance_id})
        if note != before:
            ctx.effect("note")
            _write(ctx, note)
        try:
            return _connected(ctx, note, login) or note != before
        except BackendError:
            if before is None:
                _disconnected(ctx, note)
            raise


def resume(ctx: Context, instance_id: str) -> None:
    """Have the devices of all volumes that an instance has: after a restart of the host nothing is logged in."""
    for note in _notes(ctx, instance_id):
        with _alone(note["volume"]):
            if _read(ctx, note["iqn"]) == note:
                _connected(ctx, note, None)


def disconnect(ctx: Context, instance_id: str, volume_id: str | None = None, *, keep: str | None = None) -> bool:
    """Have the volume, or all of them, on this host no more for this instance; says whether there was one.

    The guest has let go of it before. What is written is flushed, then the device goes, then the session, then the
    records of it.

    :param keep: the target that stays.
    """
    gone = False
    for note in _notes(ctx, instance_id):
        if volume_id not in (None, note["volume"]) or note["iqn"] == keep:
            continue
        with _alone(note["volume"]):
            now = _read(ctx, note["iqn"])
            if now is None or instance_id not in now["instances"]:
                continue
            now["instances"].remove(instance_id)
            if now["instances"]:
                ctx.effect("note")
                _write(ctx, now)
            else:
                _disconnected(ctx, now)
            gone = True
    return gone


def held(ctx: Context, instance_id: str, volume_id: str | None = None) -> bool:
    """Whether this host is connected to the volume, or to any, for this instance."""
    return any(volume_id in (None, note["volume"]) for note in _notes(ctx, instance_id))


def grow(ctx: Context, instance_id: str, volume_id: str, size: int) -> None:
    """Have the kernel see the size in bytes that a volume has grown to.

    :raises BackendError: it does not.
    """
    for note in _notes(ctx, instance_id):
        if note["volume"] != volume_id:
            continue
        for session in iscsi_host.sessions(note["iqn"]):
            for disk in session.disks:
                iscsi_host.rescan(disk)
        if note["connection"] == "multipath":
            multipath.resize(ctx, volume_id)
        device = connections.device_path(_described(note))
        deadline = time.monotonic() + PATIENCE
        while iscsi_host.size(device) < size:
            if time.monotonic() > deadline:
                raise BackendError(f"This host does not see that volume {volume_id} has grown.", error="Timeout")
            time.sleep(_LOOK)


def no_second(ctx: Context, volume: dict[str, Any]) -> None:
    """Refuse a second place of a volume that multipath would take for another way to the first: serials are alike.

    :raises BackendError: it would.
    """
    if not connections.by_host(volume):
        return
    there = [note for note in _all(ctx) if note["volume"] == volume["id"] and note["iqn"] != volume["source"]["iqn"]]
    if there and "multipath" in {volume["connection"], *(note["connection"] for note in there)}:
        raise BackendError(
            f"Volume {volume['id']} cannot be copied while it is attached: multipath would join both places. Detach it "
            "first.",
            error="InUse",
        )


def _connected(ctx: Context, note: Note, login: dict[str, str] | None) -> bool:
    """Log in where no session is, and see that what came is the volume."""
    changed, refused = False, []
    for portal in note["portals"]:
        if iscsi_host.session(note["iqn"], portal) is not None:
            continue
        if login is not None:
            ctx.effect("node")
            timeout = multipath.TIMEOUT if note["connection"] == "multipath" else iscsi_host.TIMEOUT
            iscsi_host.record(ctx, note["iqn"], portal, login, timeout)
        ctx.effect("login")
        try:
            iscsi_host.login(ctx, note["iqn"], portal)
        except BackendError as exc:
            refused.append(exc)
        changed = True
    found = iscsi_host.sessions(note["iqn"])
    if not found:
        raise refused[0] if refused else BackendError(f"No session to {note['iqn']} came up.")
    disks = [_device(ctx, note, one) for one in found]
    if note["connection"] == "multipath":
        ctx.effect("map")
        multipath.assemble(ctx, note["volume"], disks)
    path = connections.device_path(_described(note))
    deadline = time.monotonic() + PATIENCE
    while os.path.basename(os.path.realpath(path)) not in (*disks, *multipath.maps(disks)):
        if time.monotonic() > deadline:
            raise BackendError(f"{path} did not appear.", error="Timeout")
        time.sleep(_LOOK)
    if note["connection"] == "multipath":
        multipath.check(path, disks)
    return changed


def _device(ctx: Context, note: Note, session: iscsi_host.Session) -> str:
    """The disk of a session, asked for its serial number: one of another volume is never used."""
    disk = iscsi_host.disk(ctx, session, note["lun"], PATIENCE)
    iscsi_host.rescan(disk)
    serial = iscsi_host.serial(ctx, disk)
    if serial != note["volume"]:
        raise BackendError(
            f"The device behind {note['iqn']} has the serial number {serial!r}, not that of volume {note['volume']}: "
            "it is not used."
        )
    return disk


def _disconnected(ctx: Context, note: Note) -> None:
    """Take the device away in the order that loses nothing and leaves nothing behind."""
    found = iscsi_host.sessions(note["iqn"])
    path = connections.device_path(_described(note))
    alive = any(one.state == "LOGGED_IN" for one in found)
    disks = [disk for one in found for disk in one.disks]
    if os.path.exists(path) and os.path.basename(os.path.realpath(path)) in (*disks, *multipath.maps(disks)):
        ctx.effect("flush")
        done = ctx.run(["blockdev", "--flushbufs", path], check=False)
        if done.returncode != 0 and alive:
            raise BackendError(f"What was written to volume {note['volume']} cannot be flushed: {done.stderr.strip()}")
    if note["connection"] == "multipath":
        ctx.effect("unmap")
        multipath.remove(ctx, note["volume"], disks)
    for disk in disks:
        ctx.effect("delete")
        iscsi_host.delete(disk)
    for one in found:
        ctx.effect("logout")
        iscsi_host.logout(ctx, one)
    ctx.effect("forget")
    iscsi_host.forget(ctx, note["iqn"])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(ctx, note["iqn"]))


def _described(note: Note) -> dict[str, Any]:
    source = {"protocol": "iscsi", "portal": note["portals"][0], "portals": note["portals"]}
    return {
        "id": note["volume"],
        "connection": note["connection"],
        "source": {**source, "iqn": note["iqn"], "lun": note["lun"]},
    }


def _path(ctx: Context, iqn: str) -> str:
    return os.path.join(ctx.state_dir, "connections", f"{connections.target(iqn)}.json")


def _read(ctx: Context, iqn: str) -> Note | None:
    try:
        with open(_path(ctx, iqn), encoding="utf-8") as stream:
            return dict(json.load(stream))
    except FileNotFoundError:
        return None


def _write(ctx: Context, note: Note) -> None:
    path = _path(ctx, note["iqn"])
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    files.replace(path, json.dumps(note, sort_keys=True).encode("utf-8"))


def _all(ctx: Context) -> list[Note]:
    try:
        names = sorted(os.listdir(os.path.join(ctx.state_dir, "connections")))
    except FileNotFoundError:
        return []
    found = [_read(ctx, name[: -len(".json")]) for name in names if name.endswith(".json")]
    return [note for note in found if note is not None]


def _notes(ctx: Context, instance_id: str) -> list[Note]:
    return [note for note in _all(ctx) if instance_id in note["instances"]]


@contextlib.contextmanager
def _alone(volume_id: str) -> Iterator[None]:
    """One at a time on a volume. In /run, so a restart forgets the files."""
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    with open(os.path.join(LOCKS, volume_id), "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
