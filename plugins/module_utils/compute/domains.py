# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be done with a domain that is there: start, stop, reboot, destroy, and look."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, files, host_initiator, secrets

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

GRACE = 60  # seconds that a guest gets to shut down by itself
_LOOK = 0.1
_AGAIN = 1  # second in which a disk that still fails would stop the guest anew
_REPEAT = 5  # a guest that is still booting misses the button, so it is pressed again


def start(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the instance running, also one that stands still since a disk failed, or was paused by hand."""
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        if domain.isActive():
            paused = _can_go_on(domain)
            if paused and not ctx.check_mode:
                ctx.effect("resume")
                _run(domain.resume)
                _goes_on(domain)
            return {"changed": paused, "state": "running" if paused else connection.state(domain)}
        if not ctx.check_mode:
            host_initiator.resume(ctx, op["id"])
            ctx.effect("start")
            _run(lambda: _without_screens(domain).create())
        return {"changed": True, "state": "running"}


def stop(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the instance shut down: by the guest within ``timeout``, else, or with ``hard``, by force."""
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        if not domain.isActive():
            return {"changed": False, "state": "shutdown", "forced": False}
        if ctx.check_mode:
            return {"changed": True, "state": "shutdown"}
        ctx.effect("stop")
        forced = _halt(domain, op)
        return {"changed": True, "state": "shutdown", "forced": forced}


def reboot(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: stop as :func:`stop` does, and start again with the definition as it is now."""
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        if ctx.check_mode:
            return {"changed": True, "state": "running"}
        ctx.effect("reboot")
        forced = _halt(domain, op) if domain.isActive() else False
        host_initiator.resume(ctx, op["id"])
        _run(lambda: _without_screens(domain).create())
        return {"changed": True, "state": "running", "forced": forced}


def destroy(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have nothing left of the instance: no domain, no file."""
    where = files.directory(ctx.state_dir, op["id"])
    with files.held(where) as there:
        domain = connection.find(op["id"])
        kept = secrets.made_for(op["id"])
        anything = there or domain is not None or bool(kept) or host_initiator.held(ctx, op["id"])
        if ctx.check_mode or not anything:
            return {"changed": anything, "state": "absent"}
        ctx.effect("destroy")
        if domain is not None:
            erase(domain)
        host_initiator.disconnect(ctx, op["id"])
        secrets.release(kept, besides=op["id"])
        files.remove(where)
        return {"changed": True, "state": "absent"}


def erase(domain: Any) -> None:
    """Power off and undefine a domain, with everything that libvirt keeps for it."""
    libvirt = connection.libvirt
    _power_off(domain)
    # Before the definition, which alone says which they are.
    secrets.release(secrets.of(domain), besides=domain.UUIDString())
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA", 0)
        | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0)
    )
    try:
        domain.undefineFlags(flags)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # a transient one went when it was powered off
            raise BackendError(f"libvirt could not remove the domain: {exc}") from exc


def inspect(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: what is here of the instances ``ids``, or of all that are ours; reads only."""
    wanted = op.get("ids")
    if wanted is None:
        wanted = set(connection.ours())
        with contextlib.suppress(FileNotFoundError):
            wanted.update(filter(files.is_instance, os.listdir(os.path.join(ctx.state_dir, "instances"))))
    return {"changed": False, "instances": {key: _seen(ctx, key, op) for key in sorted(wanted)}}


def _seen(ctx: Context, instance_id: str, op: dict[str, Any]) -> dict[str, Any]:
    where = files.directory(ctx.state_dir, instance_id)
    found = sorted(os.listdir(where)) if os.path.isdir(where) else []
    try:
        domain = connection.find(instance_id)
    except BackendError as exc:  # one that is not ours does not hide the others
        return {"state": "foreign", "files": found, "msg": exc.msg}
    if domain is None:
        return {"state": "absent", "files": found}
    text = domain.XMLDesc()
    tree = ElementTree.fromstring(text)
    seen = {
        "state": connection.state(domain),
        "files": found,
        "disks": [_disk(element) for element in tree.iterfind("devices/disk")],
        "nics": [_nic(element) for element in tree.iterfind("devices/interface")],
        "screens": [str(element.get("type")) for element in tree.iterfind("devices/graphics") if _listens(element)],
    }
    return {**seen, "xml": text} if op.get("xml") else seen


def _listens(graphics: Any) -> bool:
    """Whether a screen is shown to the network: neither to nobody nor on a socket file alone."""
    if graphics.get("socket"):
        return False
    kinds = {listen.get("type") for listen in graphics.iterfind("listen")}
    return graphics.get("type") in ("vnc", "spice", "rdp") and (not kinds or bool(kinds - {"none", "socket"}))


def _without_screens(domain: Any) -> Any:
    """The domain, which does not run, without the screens that earlier releases showed to the network."""
    tree = ElementTree.fromstring(domain.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE))
    found = [
        (devices, element)
        for devices in tree.iterfind("devices")
        for element in devices.iterfind("graphics")
        if _listens(element)
    ]
    if not found:
        return domain
    for devices, element in found:
        devices.remove(element)
    return connection.connect().defineXML(ElementTree.tostring(tree, encoding="unicode"))


def _disk(element: Any) -> dict[str, Any]:
    source = element.find("source")
    target = element.find("target")
    return {
        "target": target.get("dev"),
        "bus": target.get("bus"),
        "device": element.get("device"),
        "serial": element.findtext("serial"),
        "source": None if source is None else source.get("file") or source.get("dev") or source.get("name"),
    }


def _nic(element: Any) -> dict[str, Any]:
    tap = element.find("target")
    name = tap.get("dev") if tap is not None else None
    port = element.find("virtualport/parameters")
    return {
        "mac": element.find("mac").get("address"),
        "port_id": port.get("interfaceid") if port is not None else None,
        "target": name,
        "up": name is not None and _is_up(name),
    }


def _is_up(tap: str) -> bool:
    """Whether the guest's end is plugged: the tap exists, is switched on, and qemu holds it open."""
    try:
        with open(os.path.join("/sys/class/net", os.path.basename(tap), "carrier"), encoding="ascii") as stream:
            return stream.read().strip() == "1"
    except OSError:
        return False


def _halt(domain: Any, op: dict[str, Any]) -> bool:
    """Shut down; says whether force was needed."""
    if not op.get("hard"):
        deadline = time.monotonic() + float(op.get("timeout") or GRACE)
        pressed = 0.0
        while time.monotonic() < deadline:
            if time.monotonic() - pressed >= _REPEAT:
                pressed = time.monotonic()
                with contextlib.suppress(connection.libvirt.libvirtError):  # it may have gone down just now
                    domain.shutdownFlags(connection.libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
            if not domain.isActive():
                return False
            time.sleep(_LOOK)
    _power_off(domain)
    return True


def _power_off(domain: Any) -> None:
    libvirt = connection.libvirt
    try:
        domain.destroy()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
            raise BackendError(f"libvirt could not power the domain off: {exc}") from exc


def _can_go_on(domain: Any) -> bool:
    """Whether it stands still for a reason that is over when somebody wants it to run."""
    libvirt = connection.libvirt
    over = (libvirt.VIR_DOMAIN_PAUSED_IOERROR, libvirt.VIR_DOMAIN_PAUSED_USER)
    state, reason = domain.state()
    return bool(state == libvirt.VIR_DOMAIN_PAUSED and reason in over)


def _goes_on(domain: Any) -> None:
    """A write that failed is made again first; a guest that has to stop at it once more does so at once."""
    deadline = time.monotonic() + _AGAIN
    while time.monotonic() < deadline:
        if _can_go_on(domain):
            broken = ", ".join(sorted(domain.diskErrors())) or "a disk"
            raise BackendError(f"The guest stands still again, because {broken} still fails: see to its storage first.")
        time.sleep(_LOOK)


def _run(action: Any) -> None:
    try:
        action()
    except connection.libvirt.libvirtError as exc:
        raise BackendError(f"libvirt: {exc}") from exc
