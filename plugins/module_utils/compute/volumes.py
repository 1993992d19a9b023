# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes of an instance: plugged in, grown, moved to another place and unplugged, while it runs or not.

A volume is found by the serial of its disk, which is its UUID; the name of the device never decides. On the way in the
guest comes first and the definition after, on the way out as well: whatever is killed in between, the next run sees
what is missing. The export is taken away only after ``detach_volume`` has said that nobody holds the device.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import (
    connection,
    files,
    host_initiator,
    secrets,
    volume_xml,
)
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>"
LETS_GO = 30  # seconds that a guest gets to let go of a disk
COPY_TIME = 3600
_ASK_AGAIN = 5
_LOOK = 0.2


def described(volume: dict[str, Any]) -> Any:
    """The disk of this volume on this host.

    :raises BackendError: the description does not hold together; nothing of it enters any XML.
    """
    try:
        return volume_xml.element({**volume, "initiator": initiator()})
    except (ValueError, KeyError, TypeError) as exc:
        raise BackendError(f"The volume cannot be attached: {exc}.") from None


def attach_volume(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the volume in the guest when it runs, and in the definition."""
    libvirt, volume = connection.libvirt, op["volume"]
    wanted = described(volume)
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        places = [libvirt.VIR_DOMAIN_AFFECT_LIVE] * bool(domain.isActive()) + [libvirt.VIR_DOMAIN_AFFECT_CONFIG]
        missing = [place for place in places if _lacks(domain, volume, wanted, place)]
        if missing and not ctx.check_mode:
            ctx.effect("secret")
            secrets.ensure(op["id"], volume)
            try:
                host_initiator.no_second(ctx, volume)
                host_initiator.connect(ctx, op["id"], volume)
                _plug(ctx, domain, wanted, missing)
            except BackendError:
                secrets.release(volume_xml.secret_ids(volume["id"]))
                if all(_disk(domain, volume["id"], place) is None for place in places):
                    host_initiator.disconnect(ctx, op["id"], volume["id"])
                raise
        return {"changed": bool(missing), "device": volume["device"]}


def detach_volume(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the volume nowhere: out of the guest, out of the definition, device and secret gone, in turn."""
    libvirt, key = connection.libvirt, str(op["volume"]["id"])
    if not files.is_instance(key):
        raise BackendError(f"{key!r} is not the UUID of a volume.")
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.find(op["id"])
        places = []
        if domain is not None:
            places = [libvirt.VIR_DOMAIN_AFFECT_LIVE] * bool(domain.isActive()) + [libvirt.VIR_DOMAIN_AFFECT_CONFIG]
        there = [place for place in places if _disk(domain, key, place) is not None]
        if ctx.check_mode:
            connected = host_initiator.held(ctx, op["id"], key)
            return {"changed": bool(there) or connected, "released": not there and not connected}
        for place in there:
            ctx.effect("unplug")
            _unplug(domain, key, place, float(op.get("timeout") or LETS_GO))
        ctx.effect("release")
        gone = host_initiator.disconnect(ctx, op["id"], key)
        gone |= secrets.release(volume_xml.secret_ids(key))
        return {"changed": bool(there) or gone, "released": True}


def resize_volume(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the running guest see the size, in GiB, that its volume has grown to."""
    key, size = str(op["volume"]["id"]), int(op["volume"]["size"]) << 30
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        disk = _required(domain, key)
        if not ctx.check_mode:
            host_initiator.grow(ctx, op["id"], key, size)
        if not domain.isActive():
            return {"changed": False}  # the next start reads the size anew
        device = _device(disk)
        now = int(_call(domain.blockInfo, device, 0)[0])
        if now > size:
            raise BackendError(f"Volume {key} has {now} bytes and is not made smaller.")
        # Of a device libvirt may say what the kernel knows, and not what the guest does.
        if (now < size or disk.get("type") == "block") and not ctx.check_mode:
            ctx.effect("resize")
            _call(domain.blockResize, device, size, connection.libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        return {"changed": now < size}


def copy_volume(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the running guest on the volume's new place, all data copied while it writes.

    The secret is the volume's, and so the same at both places.
    """
    libvirt, volume = connection.libvirt, op["volume"]
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        here = _required(domain, str(volume["id"]))
        wanted = described({**volume, "device": _device(here)})
        if same_source(here, wanted):
            return {"changed": _left(ctx, op)}
        if not domain.isActive():
            raise BackendError("The instance does not run: its volume is copied on the storage host.")
        if ctx.check_mode:
            return {"changed": True}
        secrets.ensure(op["id"], volume)
        host_initiator.no_second(ctx, volume)
        host_initiator.connect(ctx, op["id"], volume)
        if not _call(domain.blockJobInfo, _device(here), 0):
            ctx.effect("copy")
            flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
            _call(domain.blockCopy, _device(here), _text(wanted), {}, flags)
        elif not same_source(_mirror(here), wanted):
            raise BackendError(f"Another job is at work on volume {volume['id']}.")
        _follow(domain, _device(here), float(op.get("timeout") or COPY_TIME))
        ctx.effect("pivot")
        _call(domain.blockJobAbort, _device(here), libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        if not same_source(_disk(domain, str(volume["id"]), libvirt.VIR_DOMAIN_AFFECT_CONFIG), wanted):
            _call(domain.updateDeviceFlags, _kept(domain, str(volume["id"])), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        _left(ctx, op)
        return {"changed": True}


def _left(ctx: Context, op: dict[str, Any]) -> bool:
    """Log out of the place that a volume has moved away from; says whether the host was logged in there."""
    volume = op["volume"]
    if ctx.check_mode:
        return False
    return host_initiator.disconnect(ctx, op["id"], str(volume["id"]), keep=volume["source"].get("iqn"))


def _lacks(domain: Any, volume: dict[str, Any], wanted: Any, place: int) -> bool:
    """Whether the volume is to be plugged in there; what is in its way is an error."""
    here = _disk(domain, volume["id"], place)
    if here is None:
        for other in _disks(domain, place):
            if _device(other) == volume["device"]:
                raise BackendError(f"The device {volume['device']} is another disk: {other.findtext('serial')}.")
        return True
    if not same_source(here, wanted):
        raise BackendError(f"Volume {volume['id']} is attached from another place; detach it first.")
    return False


def _plug(ctx: Context, domain: Any, wanted: Any, places: list[int]) -> None:
    driver = wanted.find("driver")
    for place in places:
        ctx.effect("plug")
        thread = driver.get("iothread")
        if thread and int(thread) not in [one[0] for one in _call(domain.ioThreadInfo, place)]:
            _call(domain.addIOThread, int(thread), place)
        if wanted.find("target").get("bus") == "scsi" and _bare_of_scsi(domain, place):
            _call(domain.attachDeviceFlags, SCSI, place)
        _call(domain.attachDeviceFlags, _text(wanted), place)


def _bare_of_scsi(domain: Any, place: int) -> bool:
    """libvirt would add a controller by itself, but one that most guests have no driver for."""
    return ElementTree.fromstring(_xml(domain, place)).find("devices/controller[@type='scsi']") is None


def _unplug(domain: Any, key: str, place: int, patience: float) -> None:
    """Ask until it is gone: a running guest lets go in its own time, and one that is booting misses the question."""
    libvirt = connection.libvirt
    deadline, asked = time.monotonic() + patience, -float(_ASK_AGAIN)
    while True:
        here = _disk(domain, key, place)
        if here is None:
            return
        if time.monotonic() > deadline:
            raise BackendError(f"The guest did not let go of volume {key} in {patience:g} s.", error="Timeout")
        if time.monotonic() - asked >= _ASK_AGAIN:
            asked = time.monotonic()
            try:
                domain.detachDeviceFlags(_text(here), place)
            except libvirt.libvirtError as exc:
                # Still in the process of unplug, or gone in between.
                if exc.get_error_code() not in (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING):
                    raise BackendError(f"libvirt: {exc}") from exc
            continue  # most have let go by now
        time.sleep(_LOOK)


def _follow(domain: Any, device: str, patience: float) -> None:
    """Wait until the copy has all data and follows each write."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        job = _call(domain.blockJobInfo, device, 0)
        if not job:
            raise BackendError(f"The copy of {device} ended before it was whole; the guest is on the old place.")
        mirror = ElementTree.fromstring(domain.XMLDesc(0)).find(f"devices/disk/target[@dev='{device}']/../mirror")
        if mirror is not None and mirror.get("ready") == "yes" and job["cur"] == job["end"]:
            return
        time.sleep(_LOOK)
    raise BackendError(f"The copy of {device} was not whole in {patience:g} s; it goes on.", error="Timeout")


def _xml(domain: Any, place: int) -> str:
    inactive = place == connection.libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return str(domain.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0))


def _disks(domain: Any, place: int) -> list[Any]:
    return list(ElementTree.fromstring(_xml(domain, place)).iterfind("devices/disk"))


def _disk(domain: Any, key: str, place: int) -> Any:
    return next((disk for disk in _disks(domain, place) if disk.findtext("serial") == key), None)


def _required(domain: Any, key: str) -> Any:
    libvirt = connection.libvirt
    place = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else libvirt.VIR_DOMAIN_AFFECT_CONFIG
    disk = _disk(domain, key, place)
    if disk is None:
        raise BackendError(f"Volume {key} is not attached to this instance.", error="NotFound")
    return disk


def _kept(domain: Any, key: str) -> str:
    """The disk as it runs now, as it is to stand in the definition."""
    disk = _disk(domain, key, connection.libvirt.VIR_DOMAIN_AFFECT_LIVE)
    for name in ("alias", "mirror"):
        for extra in disk.findall(name):
            disk.remove(extra)
    return _text(disk)


def _device(disk: Any) -> str:
    return str(disk.find("target").get("dev"))


def _mirror(disk: Any) -> Any:
    found = disk.find("mirror")
    return disk if found is None else found


def same_source(one: Any, other: Any) -> bool:
    """Whether two disks are at one place."""
    return one is not None and _place(one) == _place(other)


def _place(disk: Any) -> tuple[Any, ...]:
    source = disk.find("source")
    if source is None:
        return ()
    hosts = sorted((host.get("name"), host.get("port")) for host in source.iterfind("host"))
    return (source.get("protocol"), source.get("name"), source.get("file"), source.get("dev"), hosts)


def _text(element: Any) -> str:
    return ElementTree.tostring(element, encoding="unicode")


def _call(action: Any, *arguments: Any) -> Any:
    try:
        return action(*arguments)
    except connection.libvirt.libvirtError as exc:
        raise BackendError(f"libvirt: {exc}") from exc
