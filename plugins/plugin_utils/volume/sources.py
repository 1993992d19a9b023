# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an exported volume is reached: put together from the records and the inventory, never taken from an answer.

What a storage host answers to ``export`` becomes a disk of a guest on another host, or what another host reads. A
storage host that has fallen could name a file of that host, or another tenant's volume. So the answer only confirms:
one that says anything else is refused. The exception are the monitors of a Ceph cluster, where the backend's entry in
``volume_backends`` does not name them: those of an answer must be a few addresses with ports.
"""

from __future__ import annotations

import contextlib
import ipaddress
import posixpath
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx, gluster, nfs
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, BadReply
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import SHORT, clean
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Operation, Record

IQN, PORT = "iqn.2026-01.cloud.agentless", 3260  # the defaults of the role volume
MOST_MONITORS = 16
LONGEST = 200  # characters of what a host says that messages show
_OUTCOME = ("ok", "changed")


def confirmed(request: Request, host: str, backend: Mapping[str, Any], order: Operation, answer: Record) -> Record:
    """Return the source of a volume that a storage host says it has exported.

    :param backend: the record of the backend that has the volume.
    :param order: what the host was told: ``id``, ``initiator`` and ``shared``.
    :raises BadReply: the answer leads somewhere else.
    :raises BadInput: the inventory does not say what the source is made of.
    """
    variables = request.hostvars.get(host) or {}
    entry = _entry(variables, str(backend["name"]))
    driver = str(entry.get("driver") or backend["driver"])
    if driver != backend["driver"]:
        raise BadReply(
            f"{host} has said that its backend {backend['name']!r} has the driver {backend['driver']!r}; the inventory "
            f"says {driver!r}. Nothing is read from it. Run agentless.cloud.site for the host.",
            host=host,
        )
    if driver not in _SOURCES:
        raise BadReply(f"The backend {backend['name']!r} of {host} has the unknown driver {driver!r}.", host=host)
    said = {key: value for key, value in answer.items() if key not in _OUTCOME}
    try:
        wanted = _SOURCES[driver](_About(host, variables, entry, backend, order, said))
    except KeyError as exc:
        raise BadInput(
            f"The inventory does not say {exc.args[0]} of the backend {backend['name']!r} of {host}: volume_backends "
            "must stand where tasks see it, in host_vars or group_vars.",
            host=host,
        ) from None
    # An older host does not say by which further portals it can be reached.
    for key in sorted({*wanted, *said} - ({"portals"} if "portals" not in said else set())):
        if said.get(key) != wanted.get(key):
            told = f"{clean(key, SHORT)} {clean(repr(said.get(key)), LONGEST)}"
            raise BadReply(
                f"{host} says that volume {order['id']} is reached by {told}; by its record and the "
                f"inventory it is {wanted.get(key)!r}. Nothing was attached to it. If the address is right, give it to "
                "the host as volume_address in the inventory; if the host lies, it has fallen.",
                host=host,
            )
    return wanted


class _About:
    """What a source is made of."""

    def __init__(
        self,
        host: str,
        variables: Mapping[str, Any],
        entry: Mapping[str, Any],
        backend: Mapping[str, Any],
        order: Operation,
        said: Record,
    ) -> None:
        self.host = host
        self.variables = variables
        self.entry = entry
        self.backend = backend
        self.order = order
        self.said = said

    @property
    def volume(self) -> str:
        """The volume's name on every backend."""
        return f"volume-{self.order['id']}"

    def address(self, said: str) -> str:
        """The address of the host; where the inventory allows several, the one of them that the host says."""
        return address(self.host, self.variables, _plain(said))


def address(host: str, variables: Mapping[str, Any], said: str) -> str:
    """Return by which address a storage host is reached, by the inventory.

    ``volume_address`` and ``agentless_address`` say it alone. Without them it is ``ansible_host`` or the host's name,
    or what the controller's resolver makes of it; where the host is the controller itself, any address of its own.

    :param said: the address that the host says; it chooses among several, and is no other than one of them.
    """
    for name in ("volume_address", "agentless_address"):
        if variables.get(name):
            return _plain(str(variables[name]).strip())
    given = _plain(str(variables.get("ansible_host") or host))
    if said == given:
        return given
    allowed = _own() if variables.get("ansible_connection") == "local" else _resolved(given)
    return said if said in allowed else given


def _resolved(name: str) -> list[str]:
    with contextlib.suppress(OSError):
        return [_plain(str(each[4][0])) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    return []


def _own() -> list[str]:
    """The address by which this machine would leave for each family; nothing is sent."""
    found = []
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as leaving:
            leaving.connect((anywhere, 9))
            found.append(_plain(str(leaving.getsockname()[0])))
    return found


def _plain(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _entry(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    listed = variables.get("volume_backends")
    mine = [each for each in listed if each.get("name") == name] if isinstance(listed, Sequence) else []
    return mine[0] if mine else {}


def _portal(address: str, port: Any) -> str:
    return f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}"


def _iscsi(about: _About) -> Record:
    told, port = about.variables, about.variables.get("volume_port") or PORT
    said = str(about.said.get("portal")).rpartition(":")[0].strip("[]")
    first = _portal(about.address(said), port)
    more = [_portal(str(each), port) for each in told.get("volume_more_addresses") or ()]
    iqn = f"{told.get('volume_iqn') or IQN}:{about.backend['name']}.{about.volume}"
    return {
        "protocol": "iscsi",
        "portal": first,
        "portals": list(dict.fromkeys([first, *more])),
        "iqn": iqn,
        "lun": 0,
    }


def _nfs(about: _About) -> Record:
    return {
        "protocol": "nfs",
        "host": about.address(str(about.said.get("host"))),
        "path": posixpath.join(str(about.entry["path"]), about.volume),
        "uid": nfs.owner(dict(about.order)),
    }


def _gluster(about: _About) -> Record:
    servers = [_portal(str(each), gluster.PORT) for each in about.entry["servers"]]
    return {"protocol": "gluster", "hosts": servers, "volume": str(about.entry["volume"]), "path": about.volume}


def _rbd(about: _About) -> Record:
    monitors = [str(each) for each in about.entry.get("monitors") or ()]
    return {
        "protocol": "rbd",
        "pool": str(about.entry["pool"]),
        "name": about.volume,
        "monitors": monitors or _monitors(about),
        "user": cephx.user(str(about.order["id"]), str(about.order["initiator"])),
    }


def _monitors(about: _About) -> list[str]:
    """The monitors that the host says: addresses of hosts with ports, each in its usual form, and not many."""
    said = about.said.get("monitors")
    found = [_monitor(each) for each in said] if isinstance(said, list) and len(said) <= MOST_MONITORS else []
    if not found or None in found:
        raise BadReply(
            f"{about.host} does not say its cluster's monitors as at most {MOST_MONITORS} addresses of hosts with "
            "ports. Name them as monitors of the backend in volume_backends.",
            host=about.host,
        )
    return [str(each) for each in found]


def _monitor(said: Any) -> str | None:
    """An address with a port, put together anew; None of what is none, or of no other machine's.

    What follows a per cent sign in an address of IPv6 could be any text.
    """
    text, _colon, port = said.rpartition(":") if isinstance(said, str) else ("", "", "")
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
        near = found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local
        if "%" not in text and not near and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return _portal(str(found), port)
    return None


_SOURCES: dict[str, Callable[[_About], Record]] = {
    "lvm": _iscsi,
    "file": _iscsi,
    "nfs": _nfs,
    "gluster": _gluster,
    "rbd": _rbd,
}
