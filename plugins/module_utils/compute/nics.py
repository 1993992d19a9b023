# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network interfaces of an instance, plugged and unplugged while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

LETS_GO = 20  # seconds that a guest gets to let go of a device
_ASK_AGAIN = 5
_LOOK = 0.2


def attach_nic(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the interface described by ``xml`` in the definition, and in the guest when it runs."""
    return _change(ctx, op, _mac(ElementTree.fromstring(op["xml"])), _attach)


def detach_nic(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have no interface with this ``mac`` in the definition, nor in the guest when it runs."""
    return _change(ctx, op, str(op["mac"]).lower(), _detach)


def _change(ctx: Context, op: dict[str, Any], mac: str, change: Any) -> dict[str, Any]:
    libvirt = connection.libvirt
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.require(op["id"])
        places = [libvirt.VIR_DOMAIN_AFFECT_CONFIG] + [libvirt.VIR_DOMAIN_AFFECT_LIVE] * bool(domain.isActive())
        changed = False
        for place in places:
            here = _interface(domain, mac, place)
            if (here is None) == (change is _attach):
                changed = True
                if not ctx.check_mode:
                    ctx.effect(op["op"])
                    _tried(change, domain, op.get("xml"), mac, place)
        return {"changed": changed}


def _tried(change: Any, *arguments: Any) -> None:
    try:
        change(*arguments)
    except connection.libvirt.libvirtError as exc:
        raise BackendError(f"libvirt: {exc}") from exc


def _attach(domain: Any, text: str, mac: str, place: int) -> None:
    domain.attachDeviceFlags(text, place)


def _detach(domain: Any, text: str | None, mac: str, place: int) -> None:
    """Ask until it is gone: a running guest lets go in its own time, and one that is booting misses the question."""
    deadline = time.monotonic() + LETS_GO
    asked = 0.0
    while True:
        here = _interface(domain, mac, place)
        if here is None:
            return
        if time.monotonic() > deadline:
            raise BackendError(f"The guest did not let go of the interface {mac} in {LETS_GO} s.", error="Timeout")
        if time.monotonic() - asked > _ASK_AGAIN:
            asked = time.monotonic()
            _ask(domain, ElementTree.tostring(here, encoding="unicode"), place)
        time.sleep(_LOOK)


def _ask(domain: Any, text: str, place: int) -> None:
    libvirt = connection.libvirt
    try:
        domain.detachDeviceFlags(text, place)
    except libvirt.libvirtError as exc:
        waiting = (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING)
        if exc.get_error_code() not in waiting:  # still in the process of unplug, or gone in between
            raise


def _interface(domain: Any, mac: str, place: int) -> Any:
    inactive = place == connection.libvirt.VIR_DOMAIN_AFFECT_CONFIG
    text = domain.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0)
    for element in ElementTree.fromstring(text).iterfind("devices/interface"):
        if _mac(element) == mac:
            return element
    return None


def _mac(element: Any) -> str:
    found = element.find("mac")
    if found is None:
        raise BackendError("The interface has no MAC address.")
    return str(found.get("address")).lower()
