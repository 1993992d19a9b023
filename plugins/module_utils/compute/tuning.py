# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a volume's disk behaves, when its type says something else than it did.

A running guest takes over limits at once. Cache, discard and io thread belong to a disk for as long as the guest has
it, so they go into the definition, which the next start goes by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, files, volume_xml

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context


def tune_volume(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the disk of a volume as described; one that is not there gets it when it is attached."""
    volume = op["volume"]
    try:
        driver, limits = volume_xml.driver(volume), volume_xml.rates(volume.get("iotune") or {})
    except (ValueError, TypeError) as exc:
        raise BackendError(f"The volume cannot be tuned: {exc}.") from None
    with files.held(files.directory(ctx.state_dir, op["id"])):
        domain = connection.find(op["id"])
        if domain is None:
            return {"changed": False}
        try:
            live = bool(domain.isActive()) and _live(ctx, domain, str(volume["id"]), limits)
            kept = _kept(ctx, domain, str(volume["id"]), (driver, limits))
        except connection.libvirt.libvirtError as exc:
            raise BackendError(f"libvirt does not tune volume {volume['id']}: {exc}") from exc
        return {"changed": live or kept}


def _live(ctx: Context, domain: Any, key: str, limits: dict[str, int]) -> bool:
    """Whether the limits that are in force had to change."""
    disk = _disk(domain, key, 0)
    if disk is None:
        return False
    place, device = connection.libvirt.VIR_DOMAIN_AFFECT_LIVE, str(disk.find("target").get("dev"))
    wanted = {name: limits.get(name, 0) for name in (*volume_xml.RATES, volume_xml.BLOCK)}
    for name in wanted:
        if name.endswith("_length") and wanted[name[: -len("_length")]]:
            wanted[name] = wanted[name] or 1  # second, as QEMU has it of its own
    now = domain.blockIoTune(device, place)
    # Of a burst that is not there some versions say 1 second and some 0.
    if all(now.get(name, 0) == value or (name.endswith("_length") and not value) for name, value in wanted.items()):
        return False
    if not ctx.check_mode:
        ctx.effect("tune")
        domain.setBlockIoTune(device, wanted, place)
    return True


def _kept(ctx: Context, domain: Any, key: str, wanted: tuple[dict[str, str], dict[str, int]]) -> bool:
    """Whether the definition had to change."""
    libvirt = connection.libvirt
    disk = _disk(domain, key, libvirt.VIR_DOMAIN_XML_INACTIVE)
    if disk is None:
        return False
    driver, before = disk.find("driver"), _said(disk)
    for name in volume_xml.TUNING:
        driver.attrib.pop(name, None)
    driver.attrib.update(wanted[0])
    volume_xml.limit(disk, wanted[1])
    if _said(disk) == before:
        return False
    if not ctx.check_mode:
        ctx.effect("tune")
        if wanted[0].get("iothread"):
            _thread(domain, int(wanted[0]["iothread"]))
        domain.updateDeviceFlags(ElementTree.tostring(disk, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    return True


def _thread(domain: Any, number: int) -> None:
    """Have an io thread. libvirt looks for it in the running guest also when only the definition is to change."""
    libvirt = connection.libvirt
    for place in [libvirt.VIR_DOMAIN_AFFECT_LIVE] * bool(domain.isActive()) + [libvirt.VIR_DOMAIN_AFFECT_CONFIG]:
        if number not in [one[0] for one in domain.ioThreadInfo(place)]:
            domain.addIOThread(number, place)


def _said(disk: Any) -> tuple[dict[str, str], dict[str, str]]:
    limits = disk.find("iotune")
    return dict(disk.find("driver").attrib), {} if limits is None else {each.tag: each.text for each in limits}


def _disk(domain: Any, key: str, flags: int) -> Any:
    found = ElementTree.fromstring(domain.XMLDesc(flags)).iterfind("devices/disk")
    return next((disk for disk in found if disk.findtext("serial") == key), None)
