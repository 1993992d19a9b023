# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest reads at its first boot: the files of a config drive in NoCloud form. Pure.

Everything is written by serializers. A guest asks DHCP where its subnet serves it, so that a later change of the
subnet's routes or name servers reaches it; elsewhere it gets its addresses in writing. User data goes through byte for
byte.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

META_DATA, USER_DATA, NETWORK_CONFIG = "meta-data", "user-data", "network-config"
_ALL = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class Nic:
    """What a guest must know of one interface.

    :param addresses: with the prefix length, such as ``10.0.0.5/24``.
    :param gateways: of each address's subnet, where it has one.
    :param routes: further routes as ``(destination, next hop)``.
    :param dhcp: the IP versions whose subnet serves DHCP; their addresses and routes are not in writing.
    """

    mac: str
    mtu: int | None = None
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    dhcp: frozenset[int] = frozenset()


def nic(
    port: Mapping[str, Any],
    addresses: Sequence[Mapping[str, Any]],
    network: Mapping[str, Any],
    subnets: Mapping[str, Mapping[str, Any]],
) -> Nic:
    """The interface of a port, from the records.

    :param addresses: each ``{"subnet_id", "address"}``.
    :param subnets: the records of the network's subnets, by id.
    """
    all_used = [(str(one["address"]), subnets[one["subnet_id"]]) for one in addresses]
    used = [(address, subnet) for address, subnet in all_used if not _served(subnet)]
    return Nic(
        dhcp=frozenset(int(subnet["ip_version"]) for _address, subnet in all_used if _served(subnet)),
        mac=port["mac_address"],
        mtu=network.get("mtu"),
        addresses=tuple(f"{address}/{str(subnet['cidr']).partition('/')[2]}" for address, subnet in used),
        gateways=_unique(subnet.get("gateway_ip") for _address, subnet in used),
        nameservers=_unique(server for _address, subnet in used for server in subnet.get("dns_nameservers") or ()),
        routes=tuple(
            (route["destination"], route["nexthop"])
            for _address, subnet in used
            for route in subnet.get("host_routes") or ()
        ),
    )


def files(
    *,
    instance_id: str,
    hostname: str,
    public_keys: Sequence[str] = (),
    userdata: str | None = None,
    nics: Sequence[Nic] = (),
) -> dict[str, str]:
    """The texts of ``meta-data``, ``user-data`` and ``network-config``."""
    keys = [key.strip() for key in public_keys if key.strip()]
    meta: dict[str, Any] = {"instance-id": instance_id, "local-hostname": hostname}
    if keys:
        meta["public-keys"] = keys
    return {
        META_DATA: _written(meta),
        USER_DATA: _default(keys) if userdata is None else userdata,
        NETWORK_CONFIG: _written({"version": 2, "ethernets": _ethernets(nics)}),
    }


def _default(keys: Sequence[str]) -> str:
    return "#cloud-config\n" + _written({"ssh_authorized_keys": list(keys)} if keys else {})


def _ethernets(nics: Sequence[Nic]) -> dict[str, Any]:
    """Found by MAC, whatever the guest calls them. The first gateway of each IP version is the way out, no other."""
    out: set[int] = set()
    found: dict[str, Any] = {}
    for place, one in enumerate(nics):
        routes = [{"to": destination, "via": hop} for destination, hop in one.routes]
        for gateway in one.gateways:
            version = ipaddress.ip_address(gateway).version
            if version not in out:
                out.add(version)
                routes.append({"to": _ALL[version], "via": gateway})
        found[f"nic{place}"] = _ethernet(one, routes)
    return found


def _ethernet(one: Nic, routes: list[dict[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "match": {"macaddress": one.mac},
        "dhcp4": 4 in one.dhcp,
        "dhcp6": 6 in one.dhcp,
        # Nobody announces routers on these networks, except a guest that should not.
        "accept-ra": False,
    }
    if one.mtu:
        made["mtu"] = one.mtu
    if one.addresses:
        made["addresses"] = list(one.addresses)
    if routes:
        made["routes"] = routes
    if one.nameservers:
        made["nameservers"] = {"addresses": list(one.nameservers)}
    return made


def _served(subnet: Mapping[str, Any]) -> bool:
    """Whether DHCP gives the guest all it needs. DHCPv6 carries neither prefix length nor routes (RFC 8415)."""
    return bool(subnet.get("enable_dhcp")) and int(subnet["ip_version"]) == 4


def _unique(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for value in values if value))


def _written(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, width=1 << 20)
