# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks and ports as columns of northbound rows. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network import values

ID = "agentless:id"
GENERATION = "agentless:generation"
NETWORK = "agentless:network"
SUBNET = "agentless:subnet"
HOSTNAME = "agentless:hostname"

LEASE_TIME = "43200"
NO_GATEWAY = "169.254.0.1"  # who answers DHCP on a subnet without a gateway; link-local, so it is nobody's address
PHYSICAL = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

MTU = 1442  # 1500 less what Geneve over IPv4 adds (58 bytes)


def identity(operation: Mapping[str, Any]) -> dict[str, str]:
    """The external_ids that tie a row to its record."""
    tied = {ID: values.uuid_text(operation.get("id"))}
    if operation.get("generation") is not None:
        tied[GENERATION] = str(values.number(operation["generation"], "generation", 0, 2**62))
    return tied


def dhcp_options(network_id: str, subnet: Mapping[str, Any], mtu: int) -> dict[str, Any] | None:
    """The DHCP_Options columns of a subnet, or None when it has no DHCP."""
    subnet_id = values.uuid_text(subnet.get("id"), "subnet id")
    cidr = values.network(subnet.get("cidr"))
    if not values.flag(subnet, "enable_dhcp", True):
        return None
    options = _options_v4(subnet_id, subnet, mtu) if cidr.version == 4 else _options_v6(subnet_id, subnet)
    return {"cidr": str(cidr), "options": options, "external_ids": {NETWORK: network_id, SUBNET: subnet_id}}


def provider_port(network_id: str) -> str:
    """The name of the port that joins a network to a physical one."""
    return f"provnet-{network_id}"


def provider_columns(operation: Mapping[str, Any]) -> dict[str, Any] | None:
    """The columns of that port, or None for a network that lives in tunnels only."""
    provider = operation.get("provider") or {}
    kind = provider.get("network_type") or "geneve"
    if kind == "geneve":
        return None
    if kind not in ("flat", "vlan"):
        raise values.refused("provider network_type", kind, "is not one of geneve, flat, vlan")
    physical = provider.get("physical_network")
    if not isinstance(physical, str) or not PHYSICAL.match(physical):
        raise values.refused("provider physical_network", physical, "is not the name of a physical network")
    tag = [values.number(provider.get("segmentation_id"), "segmentation_id", 1, 4094)] if kind == "vlan" else []
    tied = {NETWORK: values.uuid_text(operation.get("id"))}
    options = {"network_name": physical}
    return {"type": "localnet", "addresses": ["unknown"], "options": options, "tag": tag, "external_ids": tied}


def server_mac(subnet_id: str) -> str:
    """The MAC of a subnet's DHCP responder: always the same, locally administered, never one of a port."""
    digest = hashlib.sha256(subnet_id.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x0A, *digest[:5]))


def port_columns(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The addresses and port_security columns of a port."""
    own = values.mac(operation.get("mac_address"))
    fixed = sorted(address for _subnet, address in port_addresses(operation))
    bound = " ".join([own, *(str(address) for _version, address in fixed)])
    if not values.flag(operation, "port_security", True):
        return {"addresses": [bound, "unknown"], "port_security": []}
    return {"addresses": [bound], "port_security": _allowed(own, operation, [str(address) for _v, address in fixed])}


def port_addresses(operation: Mapping[str, Any]) -> list[tuple[str, tuple[int, values.Address]]]:
    """A port's addresses with their subnets, as (subnet id, (version, address))."""
    found: list[tuple[str, tuple[int, values.Address]]] = []
    for item in values.mappings(operation.get("addresses"), "addresses"):
        address = values.address(item.get("address"))
        found.append((values.uuid_text(item.get("subnet_id"), "subnet_id"), (address.version, address)))
    return found


def _allowed(own: str, operation: Mapping[str, Any], fixed: list[str]) -> list[str]:
    """Source allow-list: the port's own addresses and its allowed address pairs, one entry for each MAC."""
    by_mac: dict[str, list[str]] = {own: list(fixed)}
    for pair in values.mappings(operation.get("allowed_address_pairs"), "allowed_address_pairs"):
        source = values.mac(pair["mac_address"]) if pair.get("mac_address") else own
        net = values.network(pair.get("ip_address"), "ip_address")
        text = str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)
        listed = by_mac.setdefault(source, [])
        if text not in listed:
            listed.append(text)
    return [" ".join([source, *texts]) for source, texts in by_mac.items()]


def _options_v4(subnet_id: str, subnet: Mapping[str, Any], mtu: int) -> dict[str, str]:
    gateway = _gateway(subnet)
    options = {
        "server_id": gateway or NO_GATEWAY,
        "server_mac": server_mac(subnet_id),
        "lease_time": LEASE_TIME,
        "mtu": str(values.number(mtu, "mtu", 68, 65535)),
    }
    if gateway:
        options["router"] = gateway
    servers = _dns_servers(subnet, 4)
    if servers:
        options["dns_server"] = "{" + ", ".join(servers) + "}"
    routes = _routes(subnet)
    if routes:
        # A client that takes this option ignores ``router`` (RFC 3442), so the default route is in it too.
        routes += [f"0.0.0.0/0,{gateway}"] if gateway and not any(r.startswith("0.0.0.0/0,") for r in routes) else []
        options["classless_static_route"] = "{" + ", ".join(routes) + "}"
    return options


def _options_v6(subnet_id: str, subnet: Mapping[str, Any]) -> dict[str, str]:
    options = {"server_id": server_mac(subnet_id)}
    servers = _dns_servers(subnet, 6)
    if servers:
        options["dns_server"] = "{" + ", ".join(servers) + "}"
    return options


def _gateway(subnet: Mapping[str, Any]) -> str:
    given = subnet.get("gateway_ip")
    return str(values.address(given, "gateway_ip")) if given else ""


def _dns_servers(subnet: Mapping[str, Any], version: int) -> list[str]:
    listed = [values.address(item, "dns_nameservers") for item in values.texts(subnet.get("dns_nameservers"), "dns")]
    return [str(item) for item in listed if item.version == version]


def _routes(subnet: Mapping[str, Any]) -> list[str]:
    routes = []
    for item in values.mappings(subnet.get("host_routes"), "host_routes"):
        destination = values.network(item.get("destination"), "host_routes destination")
        routes.append(f"{destination},{values.address(item.get('nexthop'), 'host_routes nexthop')}")
    return routes
