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
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSES = {"vd": "virtio", "sd": "scsi"}
CACHES = ("none", "directsync", "writethrough", "writeback")  # "unsafe" forgets what a guest was told to be written
SHARED_CACHES = ("none", "directsync")  # those that keep nothing which another host might change
DISCARDS = ("unmap", "ignore")
ZEROES = ("off", "on", "unmap")
MOST_THREADS = 8
TUNING = ("cache", "discard", "detect_zeroes", "iothread")  # beside the limits
BLOCK = "size_iops_sec"  # how many bytes count as one operation
# In libvirt's own order.
RATES = tuple(
    f"{which}_{unit}_sec{burst}"
    for burst in ("", "_max", "_max_length")
    for unit in ("bytes", "iops")
    for which in ("total", "read", "write")
)
SECRET_USAGE = {"iscsi": "iscsi", "rbd": "ceph"}  # protocol: what libvirt calls the use of the secret

_DEVICE = re.compile(r"^(vd|sd)[a-z]$")
_PORTAL = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::(?P<port>[0-9]{1,5}))?$")


def element(volume: dict[str, Any]) -> Any:
    """The disk of a volume.

    :param volume: ``id``, ``device``, ``serial``, ``source`` (what the export replied) and, where wanted, ``user``,
        ``initiator``, ``connection`` (one of :data:`CONNECTIONS`), ``iotune``, ``cache``, ``discard``,
        ``detect_zeroes``, ``iothread``, ``readonly``, ``multiattach`` and ``boot_index``.
    :raises ValueError: something that cannot be meant, or a source that is not this volume's.
    """
    check(volume)
    source, kind = _source(volume)
    disk = ElementTree.Element("disk", {"type": kind, "device": "disk"})
    fixed = {"name": "qemu", "type": "raw"}  # what a guest writes is never taken for a format
    if volume["source"].get("protocol") == "iscsi":
        # Of a full pool a target says only that it cannot write; others say no space, at which QEMU stops by itself.
        fixed.update(error_policy="stop", rerror_policy="report")
    ElementTree.SubElement(disk, "driver", {**fixed, **driver(volume)})
    disk.append(source)
    ElementTree.SubElement(disk, "backingStore")
    ElementTree.SubElement(disk, "target", {"dev": volume["device"], "bus": BUSES[volume["device"][:2]]})
    limit(disk, volume.get("iotune") or {})
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


def driver(volume: dict[str, Any]) -> dict[str, str]:
    """The attributes of a disk's driver that a volume type decides.

    :raises ValueError: a value that is none of those allowed, or two that do not go together.
    """
    made = {
        "cache": _one_of(volume.get("cache") or "none", CACHES, "cache"),
        "discard": _one_of(volume.get("discard") or "unmap", DISCARDS, "discard"),
    }
    zeroes = _one_of(volume.get("detect_zeroes") or "off", ZEROES, "detect_zeroes")
    if zeroes == "unmap" and made["discard"] != "unmap":
        raise ValueError("detect_zeroes unmap needs discard unmap")
    if volume.get("multiattach") and made["cache"] not in SHARED_CACHES:
        raise ValueError(f"with multiattach, cache is {' or '.join(SHARED_CACHES)}, not {made['cache']}")
    if zeroes != "off":
        made["detect_zeroes"] = zeroes
    if volume.get("iothread"):
        if not 1 <= int(volume["iothread"]) <= MOST_THREADS:
            raise ValueError(f"iothread is a number from 1 to {MOST_THREADS}, not {volume['iothread']}")
        made["iothread"] = str(int(volume["iothread"]))
    return made


def rates(given: Mapping[str, Any]) -> dict[str, int]:
    """Limits in the words of libvirt's iotune; 0 is no limit, and left out.

    :raises ValueError: a name that is none of them, or limits that exclude or miss each other, as QEMU has it.
    """
    strange = sorted(str(name) for name in given if name not in (*RATES, BLOCK))
    if strange:
        raise ValueError(f"there is no {', '.join(strange)}")
    found = {name: int(given[name]) for name in (*RATES, BLOCK) if int(given.get(name) or 0)}
    for name, value in found.items():
        base, maximum = name.partition("_max")[0], name.partition("_length")[0]
        if value < 0:
            raise ValueError(f"{name} is below 0")
        if base not in found:
            raise ValueError(f"{name} needs {base}, which bursts exceed")
        if maximum not in found:
            raise ValueError(f"{name} needs {maximum}")
        if name == f"{base}_max" and value < found[base]:
            raise ValueError(f"{name} is below {base}")
        parts = {name.replace("total", which) for which in ("read", "write")} if name.startswith("total") else set()
        if parts & set(found):
            raise ValueError(f"{name} goes with neither {' nor '.join(sorted(parts))}")
    if BLOCK in found and not any("iops" in name for name in found if name != BLOCK):
        raise ValueError(f"{BLOCK} needs a limit of operations")
    return found


def limit(disk: Any, given: Mapping[str, Any]) -> None:
    """Give a disk these limits in place of those that it has.

    :raises ValueError: as :func:`rates` does.
    """
    had, found = disk.find("iotune"), rates(given)
    if had is not None:
        disk.remove(had)
    if found:
        tune = ElementTree.SubElement(disk, "iotune")
        for name, value in found.items():
            ElementTree.SubElement(tune, name).text = str(value)


def secret_id(volume_id: str, usage: str = "iscsi") -> str:
    """The UUID under which libvirt keeps the volume's secret for that use; on its way to Ceph a volume has two."""
    return str(uuid.uuid5(uuid.UUID(volume_id), {"iscsi": "chap", "ceph": "cephx"}[usage]))


def secret_ids(volume_id: str) -> set[str]:
    """All that libvirt may keep of the volume."""
    return {secret_id(volume_id, usage) for usage in SECRET_USAGE.values()}


def _source(volume: dict[str, Any]) -> tuple[Any, str]:
    given = volume["source"]
    protocol = given.get("protocol")
    if connections.by_host(volume):
        return ElementTree.Element("source", {"dev": connections.device_path(volume)}), "block"
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


def _one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    if value not in allowed:
        raise ValueError(f"{what} is one of {', '.join(allowed)}, not {value!r}")
    return value
