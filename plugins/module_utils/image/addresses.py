# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an image store lets an address lead that a tenant chose.

To public addresses alone, unless the operator's lists say otherwise; never to the store itself. A list opens loopback,
link-local and metadata addresses only by an entry that lies within them, and for a task that asks for it.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from typing import Any, NamedTuple, Union

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

CONFIG = "/etc/agentless/image_imports.json"  # written by the role image_store
GIB = 1 << 30
MOST_GIB = 1024
_KEYS = {"allowed", "denied", "own", "max_gib"}

_NOBODY = "no single host's"
_LOOPBACK = "the image store itself"
_LINK = "on the image store's own link"
_METADATA = "a metadata service of a cloud"
_NEAR = {_LOOPBACK, _LINK, _METADATA}
_WRAPPED = "an IPv4 address in the form of an IPv6 one"
# What the registries of IANA keep for special purposes, or kept once. ``is_global`` knows less, and not the same in
# every release of Python. Of several networks the narrowest counts.
_SPECIAL = (
    (_NOBODY, "0.0.0.0/8 224.0.0.0/4 255.255.255.255/32 ::/128 ff00::/8"),
    (_LOOPBACK, "127.0.0.0/8 ::1/128"),
    (_LINK, "169.254.0.0/16 fe80::/10"),
    # Where clouds answer machines about themselves; some of these are public, or lie in networks that may be allowed.
    (_METADATA, "169.254.169.254/32 169.254.169.253/32 169.254.170.2/32 100.100.100.200/32 192.0.0.192/32"),
    (_METADATA, "168.63.129.16/32 fe80::a9fe:a9fe/128 fd00:ec2::254/128 fd00:ec2::253/128 fd20:ce::254/128"),
    ("private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10"),
    ("shared by a carrier's customers", "100.64.0.0/10"),
    ("for documentation", "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20"),
    ("for benchmarks", "198.18.0.0/15 2001:2::/48"),
    ("reserved", "192.0.0.0/24 192.88.99.0/24 240.0.0.0/4 100::/64 100:0:0:1::/64 2001::/23 3ffe::/16 5f00::/16"),
    (_WRAPPED, "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2001::/32 2002::/16"),
)
_TABLE = tuple((ipaddress.ip_network(text), kind) for kind, texts in _SPECIAL for text in texts.split())
_UNICAST = ipaddress.ip_network("2000::/3")  # all that is given out of IPv6; the rest has no public meaning yet
_ISATAP = 0x5EFE


class Rules(NamedTuple):
    """What the operator of a store says.

    :param own: addresses of the store beside those that its kernel knows.
    :param most: the largest image in bytes.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    own: tuple[Address, ...] = ()
    most: int = MOST_GIB * GIB


def rules(path: str | None = None) -> Rules:
    """What is said on this store; without a file, that nothing but public addresses is allowed.

    :raises BackendError: the file cannot be understood, so that nothing may be fetched.
    """
    place = path or CONFIG
    try:
        with open(place, encoding="utf-8") as stream:
            return _read(json.load(stream))
    except FileNotFoundError:
        return Rules()
    except (ValueError, TypeError, AttributeError) as exc:
        raise BackendError(
            f"{place} cannot be read ({exc}), so that nothing is fetched: correct image_store_import_allowed and "
            "image_store_import_denied and run agentless.cloud.site for this host."
        ) from exc


def _read(said: dict[str, Any]) -> Rules:
    unknown = set(said) - _KEYS
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not known")
    for key in ("allowed", "denied", "own"):
        if not isinstance(said.get(key, []), list):
            raise TypeError(f"{key} is not a list")
    return Rules(
        tuple(ipaddress.ip_network(each) for each in said.get("allowed", [])),
        tuple(ipaddress.ip_network(each) for each in said.get("denied", [])),
        tuple(ipaddress.ip_address(each) for each in said.get("own", [])),
        int(said.get("max_gib", MOST_GIB)) * GIB,
    )


def refusal(address: Address, said: Rules, *, allow_local: bool) -> str | None:
    """Return why a store must not be led to an address, to follow "it is"; None where it may be.

    :param allow_local: whether the task asks for what is near the store, which the operator must have allowed as well.
    """
    kind = kind_of(address)
    if any(address in network for network in said.denied):
        return "denied by the store's operator (image_store_import_denied)"
    if kind == _NOBODY:
        return kind
    if address in said.own or (kind != _LOOPBACK and _kernels_own(address)):
        return _LOOPBACK
    if kind in _NEAR:
        why = _near(address, kind, said, allow_local=allow_local)
        if why is not None:
            return why
    elif kind is not None and not any(address in network for network in said.allowed):
        return f"{kind}, which the store's operator does not allow (image_store_import_allowed)"
    for inner in embedded(address):
        why = refusal(inner, said, allow_local=allow_local)
        if why is not None:
            return f"{_WRAPPED}, which is {why}"
    return None


def _near(address: Address, kind: str | None, said: Rules, *, allow_local: bool) -> str | None:
    """Two must agree. A wide entry such as 0.0.0.0/0 does not open them: it was hardly written with them in mind."""
    around, _kind = _narrowest(address)
    # Both have the version of the address, since it lies in both: mypy cannot know.
    if not any(address in each and around.supernet_of(each) for each in said.allowed):  # type: ignore[arg-type]
        return (
            f"{kind}. allow_local_uri counts only for what the store's operator lists in image_store_import_allowed, "
            f"by an entry within {around}"
        )
    return None if allow_local else f"{kind}. Where that is meant, say allow_local_uri: true"


def kind_of(address: Address) -> str | None:
    """What an address is for; None where it is a public one."""
    found = _narrowest(address)[1]
    if found is not None:
        return found
    if isinstance(address, ipaddress.IPv6Address):
        if _isatap(address):
            return _WRAPPED
        if address not in _UNICAST:
            return "reserved"
    return None if address.is_global else "not public"


def _narrowest(address: Address) -> tuple[Network, str | None]:
    """The special network around an address that is the narrowest, and what it is for."""
    around: list[tuple[Network, str]] = [entry for entry in _TABLE if address in entry[0]]
    return max(around, key=lambda entry: entry[0].prefixlen) if around else (ipaddress.ip_network(address), None)


def embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 one carries in it."""
    if isinstance(address, ipaddress.IPv4Address) or not (kind_of(address) == _WRAPPED or _isatap(address)):
        return []
    if address.teredo is not None:
        return list(address.teredo)
    if address.sixtofour is not None:
        return [address.sixtofour]
    return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]


def _isatap(address: ipaddress.IPv6Address) -> bool:
    """Whether it ends as those of ISATAP do, whatever its network: 0:5efe or 200:5efe, then an IPv4 address."""
    return (int(address) >> 32) & 0xFDFFFFFF == _ISATAP


def _kernels_own(address: Address) -> bool:
    """Whether an address is this host's: to reach it, the kernel would come from it. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
            return str(probe.getsockname()[0]).partition("%")[0] == str(address)
        except OSError:  # no way there at all
            return False
