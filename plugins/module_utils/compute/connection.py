# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to libvirt, and the rule that only our own domains are touched.

A domain is ours when its metadata names an instance and that instance is the domain's own UUID. A copy made by hand
(``virt-clone``) keeps the metadata but gets another UUID, so it is not ours and is left alone.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

try:
    import libvirt
except ImportError:
    libvirt = None

__all__ = ["NAMESPACE", "connect", "find", "libvirt", "ours", "owner", "require", "state"]

URI = "qemu:///system"
NAMESPACE = "https://agentless.cloud/xmlns/instance/1.0"

_OWNER = re.compile(r"<(?:\w+:)?instance\b[^>]*?\sid=[\"']([0-9a-f-]{36})[\"']")
_lock = threading.Lock()
_connections: dict[str, Any] = {}


def connect(uri: str = URI) -> Any:
    """The shared connection of this process."""
    if libvirt is None:
        raise BackendError("python3-libvirt is not installed on this host: run agentless.cloud.site for it.")
    with _lock:
        if uri not in _connections:
            libvirt.registerErrorHandler(lambda context, error: None, None)
            try:
                _connections[uri] = libvirt.open(uri)
            except libvirt.libvirtError as exc:
                raise BackendError(f"libvirt does not answer at {uri}: {exc}. Is libvirtd running?") from exc
        return _connections[uri]


def owner(domain: Any) -> str | None:
    """The instance that the domain's metadata names, or None."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CURRENT)
    except libvirt.libvirtError:
        return None
    found = _OWNER.search(text)
    return found.group(1) if found else None


def find(instance_id: str) -> Any:
    """Our domain of this instance, or None when there is none.

    :raises BackendError: a domain has that UUID but is not ours: it is nobody's to start, change or delete.
    """
    try:
        domain = connect().lookupByUUIDString(instance_id)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise BackendError(f"libvirt: {exc}") from exc
    if owner(domain) != instance_id:
        raise BackendError(
            f"The domain {domain.name()!r} has the UUID {instance_id} but no record that it is this instance, so it is "
            "left as it is. If it is a leftover, remove it on the host with 'virsh undefine'."
        )
    return domain


def require(instance_id: str) -> Any:
    """Our domain of this instance."""
    domain = find(instance_id)
    if domain is None:
        raise BackendError(f"No domain of instance {instance_id} is on this host.", error="NotFound")
    return domain


def ours() -> dict[str, Any]:
    """All our domains by instance."""
    found = ((owner(domain), domain) for domain in connect().listAllDomains())
    return {key: domain for key, domain in found if key is not None and key == domain.UUIDString()}


def state(domain: Any) -> str:
    """The power state in one word."""
    words = {
        libvirt.VIR_DOMAIN_RUNNING: "running",
        libvirt.VIR_DOMAIN_BLOCKED: "running",
        libvirt.VIR_DOMAIN_PAUSED: "paused",
        libvirt.VIR_DOMAIN_SHUTDOWN: "running",
        libvirt.VIR_DOMAIN_SHUTOFF: "shutdown",
        libvirt.VIR_DOMAIN_CRASHED: "crashed",
        libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
    }
    return words.get(domain.state()[0], "unknown")
