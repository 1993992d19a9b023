# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a volume stands in a domain's XML: one text for the controller, which defines, and for the host, which plugs in.

Pure: no libvirt, no files. What is wrong with a description is a ``ValueError`` that says so.
"""

from __future__ import annotations

import os
import re
import uuid
from typing import Any
from xml.etree import ElementTree

BUSES = {"vd": "virtio", "sd": "scsi"}
CACHES = ("none", "writeback", "writethrough", "directsync", "unsafe")
DISCARDS = ("unmap", "ignore")
SECRET_USAGE = {"iscsi": "iscsi", "rbd": "ceph"}  # protocol: what libvirt calls the use of the secret

_DEVICE = re.compile(r"^(vd|sd)[a-z]$")
_RATE = re.compile(r"^(total|read|write)_(bytes|iops)_sec(_max(_length)?)?$")
_PORTAL = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::(?P<port>[0-9]{1,5}))?$")


def element(volume: dict[str, Any]) -> Any:
    """The disk of a volume.

    :param volume: ``id``, ``device``, ``serial``, ``source`` (what the export replied) and, where wanted, ``user``,
        ``initiator``, ``iotune``, ``cache``, ``discard``, ``iothread``, ``readonly`` and ``boot_index``.
    :raises ValueError: something that cannot be meant, or a source that is not this volume's.
    """
    check(volume)
    source, kind = _source(volume)
    disk = ElementTree.Element("disk", {"type": kind, "device": "disk"})
    driver = {
        "name": "qemu",
        "type": "raw",  # what a guest writes is never taken for a format
        "cache": _one_of(volume.get("cache") or "none", CACHES, "cache"),
        "discard": _one_of(volume.get("discard") or "unmap", DISCARDS, "discard"),
    }
    if volume.get("iothread"):
        driver["iothread"] = str(int(volume["iothread"]))
    ElementTree.SubElement(disk, "driver", driver)
    disk.append(source)
    ElementTree.SubElement(disk, "backingStore")
    ElementTree.SubElement(disk, "target", {"dev": volume["device"], "bus": BUSES[volume["device"][:2]]})
    _iotune(disk, volume.get("iotune") or {})
    if volume.get("readonly"):
        ElementTree.SubElement(disk, "readonly")
    if volume.get("multiattach"):
        ElementTree.SubElement(disk, "shareable")
    ElementTree.SubElement(disk, "serial").text = volume["id"]
    if volume.get("boot_index") is not None:
        ElementTree.SubElement(disk, "boot", {"order": str(int(volume["boot_index"]) + 1)})
    return disk


def check(volume: dict[str, Any]) -> None:
    """Whether the description is of one volume: serial, device and the name of the source agree with its UUID."""
    key = volume.get("id")
    try:
        good = str(uuid.UUID(key)) == key
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise ValueError(f"{key!r} is not the UUID of a volume")
    if volume.get("serial", key) != key:
        raise ValueError(f"the serial {volume['serial']!r} is not that of volume {key}")
    if not _DEVICE.match(str(volume.get("device"))):
        raise ValueError(f"{volume.get('device')!r} is not the name of a device, such as vdb")
    if volume.get("iothread") and not volume["device"].startswith("vd"):
        raise ValueError("only virtio disks (vdb) have io threads")
    source = volume.get("source") or {}
    name = str(source.get("iqn") or source.get("name") or source.get("path") or "")
    # A target, image or file of another volume is never plugged in under this one's name.
    if str(key) not in name:
        raise ValueError(f"the source {name!r} is not that of volume {key}")


def secret_id(volume_id: str, usage: str = "iscsi") -> str:
    """The UUID under which libvirt keeps the volume's secret for that use; on its way to Ceph a volume has two."""
    return str(uuid.uuid5(uuid.UUID(volume_id), {"iscsi": "chap", "ceph": "cephx"}[usage]))


def secret_ids(volume_id: str) -> set[str]:
    """All that libvirt may keep of the volume."""
    return {secret_id(volume_id, usage) for usage in SECRET_USAGE.values()}


def _source(volume: dict[str, Any]) -> tuple[Any, str]:
    given = volume["source"]
    protocol = given.get("protocol")
    if protocol == "file":
        return ElementTree.Element("source", {"file": _path(given)}), "file"
    if protocol == "nfs":
        names, hosts = _path(given), [given["host"]]
    elif protocol == "iscsi":
        names, hosts = f"{given['iqn']}/{int(given.get('lun', 0))}", [given["portal"]]
    elif protocol == "rbd":
        names, hosts = _rbd(given)
    elif protocol == "gluster":
        names, hosts = f"{given['volume']}/{str(given['path']).lstrip('/')}", list(given["hosts"])
    else:
        raise ValueError(f"no volume is reached by {protocol!r}")
    source = ElementTree.Element("source", {"protocol": protocol, "name": names})
    for host in hosts:
        source.append(_host(host))
    _access(source, volume, protocol)
    return source, "network"


def _path(given: dict[str, Any]) -> str:
    path = str(given["path"])
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise ValueError(f"{path!r} is not a plain absolute path")
    return path


def _rbd(given: dict[str, Any]) -> tuple[str, list[Any]]:
    name = str(given.get("name") or "")
    return f"{given['pool']}/{name}" if given.get("pool") else name, list(given.get("monitors") or given["hosts"])


def _access(source: Any, volume: dict[str, Any], protocol: str) -> None:
    given = volume["source"]
    # Ceph's user is the one that the export made for this host; a target's is the volume's own.
    user = given.get("user") if protocol == "rbd" else volume.get("user") or given.get("user")
    if user and protocol in SECRET_USAGE:
        usage = SECRET_USAGE[protocol]
        auth = ElementTree.SubElement(source, "auth", {"username": str(user)})
        ElementTree.SubElement(auth, "secret", {"type": usage, "uuid": secret_id(volume["id"], usage)})
    if protocol == "nfs":
        ElementTree.SubElement(source, "identity", {"user": f"+{int(given['uid'])}", "group": f"+{int(given['uid'])}"})
    if volume.get("initiator") and protocol == "iscsi":
        name_initiator(source, volume["initiator"])


def name_initiator(source: Any, name: str) -> None:
    """Have the guest's disk come to the target under the host's name."""
    if source.find("initiator") is None:
        ElementTree.SubElement(ElementTree.SubElement(source, "initiator"), "iqn", {"name": name})


def _host(text: Any) -> Any:
    found = _PORTAL.match(str(text))
    if found is None:
        raise ValueError(f"{text!r} is not an address with a port")
    made = {"name": found.group("v6") or found.group("name")}
    if found.group("port"):
        made["port"] = found.group("port")
    return ElementTree.Element("host", made)


def _iotune(disk: Any, rates: dict[str, Any]) -> None:
    given = {name: int(value) for name, value in rates.items() if value}
    for name, value in given.items():
        if not (_RATE.match(name) or name == "size_iops_sec") or value < 0:
            raise ValueError(f"iotune has no {name} of {value}")
    for unit in ("bytes", "iops"):
        for end in ("", "_max"):
            if f"total_{unit}_sec{end}" in given and {f"read_{unit}_sec{end}", f"write_{unit}_sec{end}"} & set(given):
                raise ValueError(f"total_{unit}_sec{end} excludes the same limit for reading or writing")
    for name in given:
        if "_max" in name and name.partition("_max")[0] not in given:
            raise ValueError(f"{name} needs {name.partition('_max')[0]}")
        if name.endswith("_length") and name[: -len("_length")] not in given:
            raise ValueError(f"{name} needs {name[: -len('_length')]}")
    if given:
        tune = ElementTree.SubElement(disk, "iotune")
        for name in sorted(given):
            ElementTree.SubElement(tune, name).text = str(given[name])


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise ValueError(f"{what} is one of {', '.join(allowed)}, not {value!r}")
    return value
