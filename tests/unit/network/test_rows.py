# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks and ports as rows: options are typed, and what is not a value of its kind is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.network import rows, values

NET = "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"
SUB = "8a1c6f3e-1d53-4c0e-9f6b-7d4f0f8b2a11"
MAC = "fa:16:3e:00:00:01"


def subnet(**more: Any) -> dict[str, Any]:
    return {"id": SUB, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": True, **more}


def port(**more: Any) -> dict[str, Any]:
    addresses = [{"subnet_id": SUB, "address": "fd00::5"}, {"subnet_id": SUB, "address": "10.0.0.5"}]
    return {"id": NET, "mac_address": MAC, "addresses": addresses, "port_security": True, **more}


def options(**more: Any) -> dict[str, str]:
    row = rows.dhcp_options(NET, subnet(**more), 1442)
    assert row is not None
    found: dict[str, str] = row["options"]
    return found


def test_dhcp_v4() -> None:
    assert options(dns_nameservers=["192.0.2.53", "fd00::53", "192.0.2.54"]) == {
        "server_id": "10.0.0.1",
        "server_mac": rows.server_mac(SUB),
        "lease_time": "43200",
        "mtu": "1442",
        "router": "10.0.0.1",
        "dns_server": "{192.0.2.53, 192.0.2.54}",
    }


def test_dhcp_v4_without_a_gateway() -> None:
    found = options(gateway_ip=None)
    assert found["server_id"] == rows.NO_GATEWAY
    assert "router" not in found


ROUTES = [
    ([{"destination": "10.9.0.0/16", "nexthop": "10.0.0.2"}], "{10.9.0.0/16,10.0.0.2, 0.0.0.0/0,10.0.0.1}"),
    ([{"destination": "0.0.0.0/0", "nexthop": "10.0.0.2"}], "{0.0.0.0/0,10.0.0.2}"),
]


@pytest.mark.parametrize(("routes", "text"), ROUTES)
def test_routes_carry_the_default_route(routes: list[dict[str, str]], text: str) -> None:
    assert options(host_routes=routes)["classless_static_route"] == text


def test_dhcp_v6() -> None:
    found = options(cidr="fd00::/64", gateway_ip="fd00::1", dns_nameservers=["192.0.2.53", "fd00::53"])
    assert found == {"server_id": rows.server_mac(SUB), "dns_server": "{fd00::53}"}


def test_no_dhcp() -> None:
    assert rows.dhcp_options(NET, subnet(enable_dhcp=False), 1442) is None


def test_the_responder_has_a_local_unicast_mac() -> None:
    first = int(rows.server_mac(SUB)[:2], 16)
    assert (first & 1, first & 2) == (0, 2)


BAD = [
    {"cidr": "10.0.0.1/24"},
    {"cidr": "10.0.0.0/24\n"},
    {"gateway_ip": "10.0.0.1}\nrouter=6.6.6.6"},
    {"dns_nameservers": ["192.0.2.53\n"]},
    {"dns_nameservers": "192.0.2.53"},
    {"dns_nameservers": [3221225985]},
    {"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "a"}]},
    {"enable_dhcp": "yes"},
    {"id": "../etc"},
]


@pytest.mark.parametrize("more", BAD, ids=str)
def test_bad_subnets(more: dict[str, Any]) -> None:
    with pytest.raises(BackendError):
        options(**more)


PORTS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({}, [f"{MAC} 10.0.0.5 fd00::5"], [f"{MAC} 10.0.0.5 fd00::5"]),
    ({"addresses": []}, [MAC], [MAC]),
    ({"port_security": False}, [f"{MAC} 10.0.0.5 fd00::5", "unknown"], []),
    (
        {"allowed_address_pairs": [{"ip_address": "10.0.0.100"}, {"ip_address": "10.1.0.0/24"}]},
        [f"{MAC} 10.0.0.5 fd00::5"],
        [f"{MAC} 10.0.0.5 fd00::5 10.0.0.100 10.1.0.0/24"],
    ),
    (
        {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": "FA:16:3E:00:00:02"}]},
        [f"{MAC} 10.0.0.5 fd00::5"],
        [f"{MAC} 10.0.0.5 fd00::5", "fa:16:3e:00:00:02 10.0.0.9"],
    ),
]


@pytest.mark.parametrize(("more", "addresses", "security"), PORTS)
def test_ports(more: dict[str, Any], addresses: list[str], security: list[str]) -> None:
    assert rows.port_columns(port(**more)) == {"addresses": addresses, "port_security": security}


@pytest.mark.parametrize("mac", ["01:00:5e:00:00:01", "fa:16:3e:00:00", "fa:16:3e:00:00:01 unknown", "", None, 5])
def test_bad_macs(mac: Any) -> None:
    with pytest.raises(BackendError):
        rows.port_columns(port(mac_address=mac))


NAMES = [
    ("Web1", "web1"),
    ("web.example.org", "web.example.org"),
    ("a b", None),
    ("-a", None),
    ("a\n", None),
    ("a" * 64, None),
    (None, None),
]


@pytest.mark.parametrize(("given", "name"), NAMES)
def test_hostnames(given: Any, name: str | None) -> None:
    assert values.hostname(given) == name


PROVIDERS: list[tuple[Any, dict[str, Any] | None]] = [
    (None, None),
    ({"network_type": "flat", "physical_network": "phys"}, {"options": {"network_name": "phys"}, "tag": []}),
    (
        {"network_type": "vlan", "physical_network": "phys", "segmentation_id": 7},
        {"options": {"network_name": "phys"}, "tag": [7]},
    ),
]


@pytest.mark.parametrize(("provider", "columns"), PROVIDERS)
def test_providers(provider: Any, columns: dict[str, Any] | None) -> None:
    found = rows.provider_columns({"id": NET, "provider": provider})
    assert found is None if columns is None else columns.items() <= (found or {}).items()


@pytest.mark.parametrize(
    "provider",
    [
        {"network_type": "vxlan"},
        {"network_type": "flat", "physical_network": "a b"},
        {"network_type": "vlan", "physical_network": "p", "segmentation_id": 4095},
    ],
)
def test_bad_providers(provider: dict[str, Any]) -> None:
    with pytest.raises(BackendError):
        rows.provider_columns({"id": NET, "provider": provider})
