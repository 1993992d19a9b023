# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an image store lets a tenant's address lead, as tables of addresses and verdicts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses
from ansible_collections.agentless.cloud.plugins.module_utils.image.addresses import Rules

NOTHING = Rules()
# Entries as wide as they can be: 0.0.0.0/0 and ::/0.
ANYWHERE = Rules(allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")))

PUBLIC = (
    "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 "
    "172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 "
    "2606:2800:220:1:248:1893:25c8:1946 2a00:1450:4001:800::200e 2001:200::1 2003::1 3ffd::1"
)

# What no one has to allow: refused unless the operator lists it.
REFUSED = {
    "private": "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 fc00::1 fd12:3456::1 "
    "fdff:ffff::1 fec0::1 feff::1",
    "shared by a carrier's customers": "100.64.0.0 100.127.255.255",
    "for documentation": "192.0.2.1 198.51.100.7 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1",
    "for benchmarks": "198.18.0.0 198.19.255.255 2001:2::1",
    "reserved": "192.0.0.1 192.0.0.9 192.0.0.170 192.88.99.1 240.0.0.1 255.255.255.254 100::1 100:0:0:1::1 2001:1::1 "
    "2001:10::1 2001:20::1 2001:30::1 3ffe::1 5f00::1 4000::1 8000::1 1::1 200::1 400::1 fe00::1",
    # A public IPv4 address in each form that carries one.
    "an IPv4 address in the form of an IPv6 one": "::8.8.8.8 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::8.8.8.8 "
    "64:ff9b:1::8.8.8.8 64:ff9b:1:ffff::808:808 2001:0:808:808:0:f7ff:f7f7:f7f7 2001::1 2002:808:808::1 "
    "2a00::5efe:808:808 2a00::200:5efe:808:808",
}
# Refused unless the operator lists it and the task asks for it.
NEAR = {
    "the image store itself": "127.0.0.1 127.8.8.8 127.255.255.255 ::1",
    "on the image store's own link": "169.254.0.1 169.254.255.255 fe80::1 febf::1",
    "a metadata service of a cloud": "169.254.169.254 169.254.169.253 169.254.170.2 100.100.100.200 192.0.0.192 "
    "168.63.129.16 fe80::a9fe:a9fe fd00:ec2::254 fd20:ce::254",
}
NEVER = "0.0.0.0 0.0.0.1 0.255.255.255 224.0.0.1 239.255.255.255 255.255.255.255 :: ff02::1 ff0e::1"


def each(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(address, kind) for kind, listed in table.items() for address in listed.split()]


def why(address: str, rules: Rules = NOTHING, *, allow_local: bool = False) -> str | None:
    return addresses.refusal(ip_address(address), rules, allow_local=allow_local)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_ones_are_allowed(address: str) -> None:
    assert why(address) is None


@pytest.mark.parametrize(("address", "kind"), each(REFUSED))
def test_others_are_refused_until_the_operator_allows_them(address: str, kind: str) -> None:
    for asked in (False, True):
        assert str(why(address, allow_local=asked)).startswith(f"{kind}, which the store's operator does not allow")
    assert why(address, ANYWHERE) is None or address == "2001::1"  # of Teredo, for 0.0.0.0 and 255.255.255.254


@pytest.mark.parametrize(("address", "kind"), each(NEAR))
def test_near_ones_need_the_operator_and_the_task(address: str, kind: str) -> None:
    exactly = Rules(allowed=(ip_network(address),))
    assert str(why(address, allow_local=True)).startswith(f"{kind}. allow_local_uri counts only for")
    assert str(why(address, ANYWHERE, allow_local=True)).startswith(f"{kind}. allow_local_uri counts only for")
    assert why(address, exactly) == f"{kind}. Where that is meant, say allow_local_uri: true"
    assert why(address, exactly, allow_local=True) is None


@pytest.mark.parametrize(("address", "kind"), [*each(REFUSED), *each(NEAR)])
def test_no_release_of_python_decides_it_alone(address: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``is_global`` of 3.9 and of 3.13 differ; what it says is a reason to refuse, and none to allow."""
    for family in (IPv4Address, IPv6Address):
        monkeypatch.setattr(family, "is_global", True)
    assert str(why(address)).startswith(kind)
    for family in (IPv4Address, IPv6Address):
        monkeypatch.setattr(family, "is_global", False)
    assert str(why("8.8.8.8")).startswith("not public")


def test_a_metadata_service_is_not_opened_by_the_link_around_it() -> None:
    link = Rules(allowed=(ip_network("169.254.0.0/16"),))
    assert why("169.254.1.1", link, allow_local=True) is None
    assert "metadata" in str(why("169.254.169.254", link, allow_local=True))


@pytest.mark.parametrize("address", NEVER.split())
def test_never(address: str) -> None:
    for rules in (NOTHING, ANYWHERE, Rules(allowed=(ip_network(address),))):
        assert why(address, rules, allow_local=True) == "no single host's"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:127.0.0.1", "the image store itself"),
        ("::127.0.0.1", "the image store itself"),
        ("::ffff:0:127.0.0.1", "the image store itself"),
        ("64:ff9b::169.254.169.254", "a metadata service"),
        ("64:ff9b::100.64.0.1", "shared by a carrier"),
        ("64:ff9b:1::a00:1", "private"),
        ("2002:7f00:1::", "the image store itself"),
        ("2002:c0a8:101::1", "private"),
        # Teredo: the server, and the client, whose bits are turned over
        ("2001:0:a00:1::f7f7:f7f7", "private"),
        ("2001:0:808:808:0:f7ff:f5ff:fffe", "private"),
        ("2a00::5efe:a00:1", "private"),
        ("64:ff9b::", "no single host's"),
    ],
)
def test_what_is_carried_inside_is_judged_as_well(address: str, said: str) -> None:
    """The operator allows IPv6, so that the form alone is no reason."""
    rules = Rules(allowed=(ip_network("::/0"),))
    assert said in str(why(address, rules, allow_local=True))


def test_the_operators_lists() -> None:
    rules = Rules(
        allowed=(ip_network("10.0.0.0/8"), ip_network("fd00:1::/32"), ip_network("64:ff9b::/96")),
        denied=(ip_network("10.1.0.0/16"), ip_network("93.184.216.0/24"), ip_network("fd00:1:2::/48")),
    )
    table = [
        ("10.0.0.1", True),
        ("10.1.0.1", False),
        ("192.168.0.1", False),
        ("93.184.216.34", False),
        ("93.184.217.34", True),
        ("fd00:1::1", True),
        ("fd00:1:2::1", False),
        ("fd00:2::1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", True),
        ("64:ff9b::a01:1", False),
        ("64:ff9b::5db8:d822", False),
    ]
    assert [(address, why(address, rules) is None) for address, _allowed in table] == table
    assert "image_store_import_denied" in str(why("10.1.0.1", rules))


def test_the_stores_own_address_is_refused_however_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_kernels_own", lambda address: str(address) in ("10.0.0.7", "fd00::7"))
    for address in ("10.0.0.7", "fd00::7", "93.184.216.34", "64:ff9b::a00:7"):
        rules = Rules(
            allowed=(ip_network("0.0.0.0/0"), ip_network("::/0"), ip_network(address)),
            own=(ip_address("93.184.216.34"),),
        )
        assert "the image store itself" in str(why(address, rules, allow_local=True))
        assert why("10.0.0.8", rules) is None


# Addresses of a host of its own, as a store has them: on an interface, and on loopback beside 127.0.0.1.
OWN = """
import socket, sys
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses
import ipaddress
print(*(addresses._kernels_own(ipaddress.ip_address(each)) for each in sys.argv[1:]))
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], check=False).returncode != 0,
    reason="needs a network namespace",
)
def test_the_kernel_says_which_addresses_are_its_own() -> None:
    make = (
        "ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
        "ip addr add 198.51.100.7/24 dev d0 && "
        "ip -6 addr add 2001:db8::7/64 dev d0 nodad && ip addr add 203.0.113.9/32 dev lo && "
        'ip route add default via 198.51.100.1 && exec "$@"'
    )
    asked = {
        "198.51.100.7": True,
        "2001:db8::7": True,
        "203.0.113.9": True,
        "198.51.100.8": False,
        "2001:db8::8": False,
        "8.8.8.8": False,
        "2003::1": False,
    }
    argv = ["unshare", "-rn", "sh", "-c", make, "sh", sys.executable, "-c", OWN, *asked]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(own) for own in asked.values()]


def test_what_the_role_wrote(tmp_path: Path) -> None:
    path = tmp_path / "imports.json"
    assert addresses.rules(str(path)) == NOTHING
    path.write_text(
        json.dumps({"allowed": ["10.0.0.0/8"], "denied": ["10.1.1.1"], "own": ["10.0.0.7", "fd00::7"], "max_gib": 3})
    )
    assert addresses.rules(str(path)) == Rules(
        allowed=(IPv4Network("10.0.0.0/8"),),
        denied=(IPv4Network("10.1.1.1/32"),),
        own=(ip_address("10.0.0.7"), ip_address("fd00::7")),
        most=3 << 30,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"denied": ["10.0.0.1/8"]}',
        '{"denied": ["everything"]}',
        '{"denied": "10.0.0.0/8"}',
        '{"denied": null}',
        '{"denied": [null]}',
        '{"own": ["store1"]}',
        '{"max_gib": "many"}',
        '{"denyed": ["10.0.0.0/8"]}',
    ],
)
def test_what_cannot_be_understood_allows_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "imports.json"
    path.write_text(text)
    with pytest.raises(BackendError, match="nothing is fetched"):
        addresses.rules(str(path))
