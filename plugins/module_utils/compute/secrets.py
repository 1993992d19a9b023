# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets of volumes in libvirt's own store: private, so that nobody reads them back, and gone with their user.

Each names in its description the instance that it was made for, so that one of a spawn that was killed is found.
"""

from __future__ import annotations

import base64
import contextlib
from typing import Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, connections, volume_xml
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx

_MADE_FOR = "agentless.cloud instance "


def ensure(instance_id: str, volume: dict[str, Any]) -> None:
    """Have the volume's secret in the store with the value given; nothing where the volume has none."""
    usage = volume_xml.SECRET_USAGE.get((volume.get("source") or {}).get("protocol", ""))
    if usage is None or connections.by_host(volume) or not volume.get("secret"):
        return
    libvirt = connection.libvirt
    key = volume_xml.secret_id(volume["id"], usage)
    try:
        kept = _lookup(key)
        if kept is None:
            kept = connection.connect().secretDefineXML(_text(key, usage, volume["id"], instance_id), 0)
        kept.setValue(_value(usage, volume["secret"]), 0)
    except libvirt.libvirtError as exc:
        raise BackendError(f"libvirt does not keep the secret of volume {volume['id']}: {exc}") from exc


def of(domain: Any) -> set[str]:
    """The secrets that a domain names, as it runs and as it is defined."""
    libvirt = connection.libvirt
    found: set[str] = set()
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        with contextlib.suppress(libvirt.libvirtError):  # it went in between
            for one in ElementTree.fromstring(domain.XMLDesc(flags)).iterfind("devices/disk/source/auth/secret"):
                found.add(str(one.get("uuid")))
    return found


def made_for(instance_id: str) -> set[str]:
    """The secrets that were made for an instance, whether or not it came to be."""
    return {
        secret.UUIDString()
        for secret in connection.connect().listAllSecrets()
        if _description(secret) == _MADE_FOR + instance_id
    }


def listed() -> list[str]:
    """The UUIDs of all secrets that were made for volumes."""
    return sorted(
        secret.UUIDString()
        for secret in connection.connect().listAllSecrets()
        if _description(secret).startswith(_MADE_FOR)
    )


def release(keys: set[str], besides: str | None = None) -> bool:
    """Remove those of these secrets that are ours and that no domain names; says whether one went.

    :param besides: an instance that does not count: it is about to go.
    """
    if not keys:
        return False
    needed: set[str] = set()
    for domain in connection.connect().listAllDomains():
        if domain.UUIDString() != besides:
            needed |= of(domain)
    gone = False
    for key in sorted(keys - needed):
        secret = _lookup(key)
        if secret is not None and _description(secret).startswith(_MADE_FOR):
            with contextlib.suppress(connection.libvirt.libvirtError):  # somebody was faster; looked at below
                secret.undefine()
            if _lookup(key) is not None:
                raise BackendError(f"libvirt did not remove the secret {key}.")
            gone = True
    return gone


def _lookup(key: str) -> Any:
    libvirt = connection.libvirt
    try:
        return connection.connect().secretLookupByUUIDString(key)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_SECRET:
            return None
        raise BackendError(f"libvirt: {exc}") from exc


def _description(secret: Any) -> str:
    try:
        return ElementTree.fromstring(secret.XMLDesc(0)).findtext("description") or ""
    except connection.libvirt.libvirtError:
        return ""


def _text(key: str, usage: str, volume_id: str, instance_id: str) -> str:
    secret = ElementTree.Element("secret", {"ephemeral": "no", "private": "yes"})
    ElementTree.SubElement(secret, "uuid").text = key
    ElementTree.SubElement(secret, "description").text = _MADE_FOR + instance_id
    use = ElementTree.SubElement(secret, "usage", {"type": usage})
    ElementTree.SubElement(use, "target" if usage == "iscsi" else "name").text = volume_id
    return ElementTree.tostring(secret, encoding="unicode")


def _value(usage: str, text: str) -> bytes:
    """What is sent is the volume's secret; Ceph's key is made of it and of this host's name, at both ends alike."""
    if usage != "ceph":
        return text.encode("utf-8")
    return base64.b64decode(cephx.key(text, initiator() or ""))
