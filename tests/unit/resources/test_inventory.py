# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, addresses, groups and filters of inventory hosts, as values."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.inventory.instances import (
    RESERVED,
    InventoryModule,
    fits,
    groups_of,
    host_name,
    reached_by,
)

ID = "5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"


def entry(addr: str, version: int = 4, kind: str = "fixed") -> dict[str, Any]:
    return {"addr": addr, "version": version, "type": kind}


WEB = {
    "id": ID,
    "name": "web1",
    "status": "ACTIVE",
    "compute_host": "kvm1",
    "cell": "default",
    "zone": None,
    "flavor": {"id": "f", "name": "Small One", "ram": 512},
    "image": {"id": "i", "name": "debian-12"},
    "addresses": {
        "front": [entry("fd00::5", 6), entry("10.0.0.5")],
        "back": [entry("10.1.0.5"), entry("203.0.113.5", kind="floating")],
    },
    "access_ipv4": "10.0.0.5",
    "tags": ["web", "x/y"],
    "security_groups": ["web"],
    "metadata": {"role": "web", "dns": "web1.example.org"},
}


@pytest.mark.parametrize(
    ("sources", "address"),
    [
        (["floating", "fixed"], "203.0.113.5"),
        (["fixed"], "10.0.0.5"),
        (["front"], "10.0.0.5"),
        (["back"], "10.1.0.5"),
        (["none", "back"], "10.1.0.5"),
        (["none"], None),
        ([], None),
    ],
)
def test_addresses(sources: list[str], address: str | None) -> None:
    assert reached_by(WEB, sources) == address


def test_an_instance_without_anything() -> None:
    bare = {"id": ID, "name": "a", "addresses": {}, "flavor": {}, "image": {}, "tags": None, "status": "BUILD"}
    assert reached_by(bare, ["floating", "fixed"]) is None
    assert list(groups_of(bare)) == ["status_build"]


@pytest.mark.parametrize(
    ("preferences", "name"),
    [
        (["name"], "web1"),
        (["metadata.dns", "name"], "web1.example.org"),
        (["metadata.none", "zone", "access_ipv4"], "10.0.0.5"),
        (["flavor"], ID),
        (["id"], ID),
        ([], ID),
    ],
)
def test_names(preferences: list[str], name: str) -> None:
    assert host_name(WEB, preferences, ()) == name


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/x",
        "a/b",
        "-i",
        ".hidden",
        "a b",
        "a:22",
        "a,b",
        "web[1:9]",
        "all",
        "localhost",
        "127.0.0.1",
        "kvm1",
        "{{ x }}",
        "ü",
        "a\n",
        "",
        "6b1c1a0e-0000-4000-8000-000000000001",
    ],
)
def test_names_that_would_take_a_place(name: str) -> None:
    assert host_name({**WEB, "name": name}, ["name"], {*RESERVED, "kvm1"}) == ID


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, True),
        ({"status": "ACTIVE"}, True),
        ({"status": ["SHUTOFF", "ACTIVE"]}, True),
        ({"status": "SHUTOFF"}, False),
        ({"flavor": "Small One", "image": "debian-12"}, True),
        ({"flavor.ram": 512}, True),
        ({"flavor": "small"}, False),
        ({"tags": "web"}, True),
        ({"tags": ["web", "x/y"]}, True),
        ({"tags": ["web", "db"]}, False),
        ({"metadata": {"role": "web"}}, True),
        ({"metadata": {"role": "db"}}, False),
        ({"metadata.role": ["db", "web"]}, True),
        ({"compute_host": "kvm1", "status": "SHUTOFF"}, False),
        ({"none": "x"}, False),
    ],
)
def test_filters(filters: dict[str, Any], expected: bool) -> None:
    assert fits(WEB, filters) is expected


def test_groups() -> None:
    assert list(groups_of(WEB)) == [
        "flavor_small one",
        "image_debian-12",
        "host_kvm1",
        "status_active",
        "tag_web",
        "tag_x/y",
    ]


@pytest.mark.parametrize(
    ("name", "fine"),
    [("instances.yml", True), ("my_instances.yaml", True), ("agentless_cloud.yml", True), ("hosts.yml", False)],
)
def test_which_files_are_its_own(tmp_path: Any, name: str, fine: bool) -> None:
    file = tmp_path / name
    file.write_text("plugin: agentless.cloud.instances\n")
    assert InventoryModule().verify_file(str(file)) is fine
