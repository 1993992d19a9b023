# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subnets: what the user wrote, checked and completed. Pure."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits, names
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Subnet = dict[str, Any]

_KEPT = (
    ("0.0.0.0/8", "unspecified"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/96", "unspecified and loopback"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
CHANGEABLE = ("name", "gateway_ip", "allocation_pools", "enable_dhcp", "dns_nameservers", "host_routes")


def normalized(given: Mapping[str, Any]) -> Subnet:
    """The subnet in canonical text; an option that the user did not give is None. ``gateway_ip: ""`` is no gateway.

    :raises BadInput: an address, a prefix or a pool is not one, or there are too many.
    """
    cidr = _network(given["cidr"])
    _for_machines(cidr)
    version = given.get("ip_version")
    if version is not None and int(version) != cidr.version:
        raise BadInput(f"Subnet {cidr} is IPv{cidr.version}, not IPv{version}.")
    gateway = given.get("gateway_ip")
    for option in ("allocation_pools", "dns_nameservers", "host_routes"):
        limits.check(option, f"{option} of subnet {cidr}", given.get(option) or ())
    return {
        "name": names.label("name of a subnet", given["name"]) if given.get("name") is not None else None,
        "cidr": str(cidr),
        "ip_version": cidr.version,
        "gateway_ip": str(_gateway(gateway, cidr)) if gateway else gateway,
        "allocation_pools": _pools(given.get("allocation_pools"), cidr),
        "enable_dhcp": given.get("enable_dhcp"),
        "dns_nameservers": _servers(given.get("dns_nameservers")),
        "host_routes": _routes(given.get("host_routes"), cidr),
    }


def completed(subnet: Subnet) -> Subnet:
    """A new subnet with the defaults: its first address is the gateway, every other one is for guests."""
    cidr = _network(subnet["cidr"])
    first, last = bounds(cidr)
    gateway = subnet["gateway_ip"]
    if gateway is None:
        gateway = str(first)
    pools = subnet["allocation_pools"]
    complete = {
        **subnet,
        "gateway_ip": gateway or None,
        "allocation_pools": _rest(first, last, gateway) if pools is None else pools,
        "enable_dhcp": True if subnet["enable_dhcp"] is None else subnet["enable_dhcp"],
        "dns_nameservers": subnet["dns_nameservers"] or [],
        "host_routes": subnet["host_routes"] or [],
    }
    check(complete)
    return complete


def changes(wanted: Subnet, actual: Mapping[str, Any]) -> dict[str, Any]:
    """What of an existing subnet is to change.

    :raises ChangeRefused: the prefix would.
    """
    if wanted["cidr"] != actual["cidr"]:
        raise ChangeRefused(
            f"Subnet {wanted['name']!r} is {actual['cidr']} and cannot become {wanted['cidr']}: its addresses are out. "
            "Add a subnet of another name with the new prefix, move the instances, then leave this one out."
        )
    differing = {}
    for key in CHANGEABLE:
        value = wanted[key]
        if value is not None and (value or None) != (actual[key] or None):
            differing[key] = (value or None) if key == "gateway_ip" else value
    if differing:
        check({**actual, **differing})
    return differing


def check(subnet: Mapping[str, Any]) -> None:
    """The gateway is outside the pools and the pools lie apart.

    :raises BadInput: they do not.
    """
    ranges = sorted((_int(pool["start"]), _int(pool["end"])) for pool in subnet["allocation_pools"])
    for (_start, end), (after, _end) in itertools.pairwise(ranges):
        if after <= end:
            raise BadInput(f"Allocation pools of subnet {subnet['cidr']} overlap.")
    gateway = subnet["gateway_ip"]
    if gateway and any(start <= _int(gateway) <= end for start, end in ranges):
        raise BadInput(
            f"The gateway {gateway} of subnet {subnet['cidr']} lies in an allocation pool: a guest could be given its "
            "address. Give allocation_pools that leave it out."
        )


def apart(subnets: Iterable[Mapping[str, Any]]) -> None:
    """The subnets of one network do not overlap and have names of their own.

    :raises BadInput: two do.
    """
    seen: list[Network] = []
    taken: set[str] = set()
    for subnet in subnets:
        cidr = _network(subnet["cidr"])
        for other in seen:
            if cidr.version == other.version and cidr.overlaps(other):
                raise BadInput(f"Subnets {other} and {cidr} of one network overlap.")
        seen.append(cidr)
        if subnet["name"] is not None:
            if subnet["name"] in taken:
                raise BadInput(f"Two subnets of one network are called {subnet['name']!r}.")
            taken.add(subnet["name"])


def bounds(cidr: Network) -> tuple[Address, Address]:
    """The first and the last address that can belong to a machine."""
    first, last = cidr.network_address, cidr.broadcast_address
    if cidr.version == 4 and cidr.prefixlen < 31:
        return first + 1, last - 1
    if cidr.version == 6 and cidr.prefixlen < 127:
        return first + 1, last  # the first one is the routers' anycast address
    return first, last


def _rest(first: Address, last: Address, gateway: str) -> list[dict[str, str]]:
    """The range without the gateway."""
    middle = ipaddress.ip_address(gateway) if gateway else None
    if middle is None or not int(first) <= int(middle) <= int(last):
        return [{"start": str(first), "end": str(last)}]
    parts = []
    if int(first) < int(middle):
        parts.append({"start": str(first), "end": str(middle - 1)})
    if int(middle) < int(last):
        parts.append({"start": str(middle + 1), "end": str(last)})
    return parts


def _network(value: Any) -> Network:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as exc:
        hint = ""
        with contextlib.suppress(ValueError):
            hint = f" Did you mean {ipaddress.ip_network(str(value), strict=False)}?"
        raise BadInput(f"{str(value)[:60]!r} is not a network prefix.{hint}") from exc


def _for_machines(cidr: Network) -> None:
    """Guests can have the addresses of the prefix: none is kept for something else by every network stack."""
    for text, kind in _KEPT:
        kept = ipaddress.ip_network(text)
        if cidr.version == kept.version and cidr.overlaps(kept):
            raise BadInput(f"Subnet {cidr} holds {kind} addresses ({kept}), which no guest can have.")


def _address(value: Any, what: str) -> Address:
    try:
        return ipaddress.ip_address(str(value))
    except ValueError as exc:
        raise BadInput(f"{what} {str(value)[:60]!r} is not an IP address.") from exc


def _within(value: Any, cidr: Network, what: str) -> Address:
    address = _address(value, what)
    first, last = bounds(cidr)
    if address.version != cidr.version or not int(first) <= int(address) <= int(last):
        raise BadInput(f"{what} {address} is not an address that a machine can have in {cidr}.")
    return address


def _gateway(value: Any, cidr: Network) -> Address:
    """A router's address: in the prefix, or link-local where that is IPv6."""
    address = _address(value, "gateway_ip")
    return (
        address
        if address.version == 6 == cidr.version and address.is_link_local
        else _within(value, cidr, "gateway_ip")
    )


def _pools(given: Sequence[Mapping[str, Any]] | None, cidr: Network) -> list[dict[str, str]] | None:
    if given is None:
        return None
    pools = []
    for pool in given:
        start, end = _within(pool["start"], cidr, "Pool start"), _within(pool["end"], cidr, "Pool end")
        if int(start) > int(end):
            raise BadInput(f"The allocation pool from {start} to {end} is empty.")
        pools.append({"start": str(start), "end": str(end)})
    return sorted(pools, key=lambda pool: _int(pool["start"]))


def _servers(given: Sequence[str] | None) -> list[str] | None:
    return None if given is None else [str(_address(item, "dns_nameservers")) for item in given]


def _routes(given: Sequence[Mapping[str, Any]] | None, cidr: Network) -> list[dict[str, str]] | None:
    if given is None:
        return None
    routes = []
    for route in given:
        destination, hop = _network(route["destination"]), _address(route["nexthop"], "nexthop")
        if destination.version != cidr.version or hop.version != cidr.version:
            raise BadInput(f"The route to {destination} over {hop} is not IPv{cidr.version} as subnet {cidr}.")
        routes.append({"destination": str(destination), "nexthop": str(hop)})
    return sorted(routes, key=lambda item: (item["destination"], item["nexthop"]))


def _int(address: str) -> int:
    return int(ipaddress.ip_address(address))
