# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a guest reads, and the volume that carries them."""

from __future__ import annotations

import io

import pycdlib
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agentless.cloud.plugins.module_utils.compute import iso
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import seed

PORT = {"mac_address": "fa:16:3e:00:00:01"}
NETWORK = {"mtu": 1442}
SUBNETS = {
    "four": {
        "cidr": "10.0.0.0/24",
        "ip_version": 4,
        "enable_dhcp": False,
        "gateway_ip": "10.0.0.1",
        "dns_nameservers": ["192.0.2.53"],
        "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.254"}],
    },
    "six": {
        "cidr": "fd00:1::/64",
        "ip_version": 6,
        "enable_dhcp": False,
        "gateway_ip": "fd00:1::1",
        "dns_nameservers": None,
        "host_routes": None,
    },
}
ADDRESSES = [{"subnet_id": "four", "address": "10.0.0.5"}, {"subnet_id": "six", "address": "fd00:1::5"}]


def test_network_config() -> None:
    """Addresses are static and found by MAC; only the first gateway is the way out."""
    one = seed.nic(PORT, ADDRESSES, NETWORK, SUBNETS)
    two = seed.Nic("fa:16:3e:00:00:02", None, ("10.1.0.7/16",), ("10.1.0.1",))
    made = yaml.safe_load(seed.files(instance_id="i", hostname="h", nics=[one, two])["network-config"])
    assert made["version"] == 2
    found = made["ethernets"]["nic0"]
    assert found == found | {
        "match": {"macaddress": "fa:16:3e:00:00:01"},
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "mtu": 1442,
        "addresses": ["10.0.0.5/24", "fd00:1::5/64"],
        "routes": [
            {"to": "10.9.0.0/16", "via": "10.0.0.254"},
            {"to": "0.0.0.0/0", "via": "10.0.0.1"},
            {"to": "::/0", "via": "fd00:1::1"},
        ],
        "nameservers": {"addresses": ["192.0.2.53"]},
    }
    assert "routes" not in made["ethernets"]["nic1"]


def test_network_config_where_dhcp_serves() -> None:
    """What DHCP gives to a guest is not said twice."""
    subnets = {"four": {**SUBNETS["four"], "enable_dhcp": True}}
    one = seed.nic(PORT, ADDRESSES[:1], NETWORK, subnets)
    found = yaml.safe_load(seed.files(instance_id="i", hostname="h", nics=[one])["network-config"])["ethernets"]["nic0"]
    assert (found["dhcp4"], found["dhcp6"], "addresses" in found) == (True, False, False)


def test_a_subnet_with_dhcp_is_asked_for() -> None:
    """IPv4 comes from DHCP where it is served; DHCPv6 has no prefix length and no routes, so IPv6 stays in writing."""
    served = {key: {**subnet, "enable_dhcp": True} for key, subnet in SUBNETS.items()}
    one = seed.nic(PORT, ADDRESSES, NETWORK, served)
    made = yaml.safe_load(seed.files(instance_id="i", hostname="h", nics=[one])["network-config"])["ethernets"]["nic0"]
    assert made["dhcp4"] is True
    assert made["dhcp6"] is False
    assert made["addresses"] == ["fd00:1::5/64"]
    assert made["routes"] == [{"to": "::/0", "via": "fd00:1::1"}]


@given(st.text())
def test_user_data_byte_for_byte(text: str) -> None:
    """Nothing reads it, so nothing can change it."""
    assert seed.files(instance_id="i", hostname="h", userdata=text)["user-data"] == text


@given(st.text(st.characters(codec="utf-8")))
def test_hostname_is_data(text: str) -> None:
    """Whatever a name holds, it is one value of the meta-data."""
    meta = yaml.safe_load(seed.files(instance_id="i", hostname=text)["meta-data"])
    assert meta == {"instance-id": "i", "local-hostname": text}


def test_keys_without_user_data() -> None:
    """A guest without user data still lets its owner in."""
    files = seed.files(instance_id="i", hostname="h", public_keys=["ssh-ed25519 AAAA me\n", " "])
    assert files["user-data"].startswith("#cloud-config\n")
    assert yaml.safe_load(files["user-data"]) == {"ssh_authorized_keys": ["ssh-ed25519 AAAA me"]}
    assert yaml.safe_load(files["meta-data"])["public-keys"] == ["ssh-ed25519 AAAA me"]


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 70000])
def test_iso_is_read_back(size: int) -> None:
    """Another implementation finds the files under their names, byte for byte."""
    files = {"meta-data": b"a: 1\n", "user-data": bytes(range(256)) * (size // 256) + b"x" * (size % 256)}
    volume = pycdlib.PyCdlib()
    volume.open_fp(io.BytesIO(iso.image("cidata", files)))
    assert volume.pvd.volume_identifier.decode().strip() == "cidata"
    for name, content in files.items():
        out = io.BytesIO()
        volume.get_file_from_iso_fp(out, joliet_path=f"/{name};1")
        assert out.getvalue() == content
    volume.close()


def test_iso_is_the_same_each_time() -> None:
    """So an unchanged seed is recognized by its bytes."""
    assert iso.image("cidata", {"a-b": b"1", "c": b"2"}) == iso.image("cidata", {"c": b"2", "a-b": b"1"})
