# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be meant, found or done: the right error, and nothing left behind."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from .cloud import COMPUTE, Cloud

pytestmark = pytest.mark.lab

USUAL = {"name": "bad", "flavor": "none", "image": "halt", "networks": ["front"], "timeout": 60}
RECORD = "{https://agentless.cloud/xmlns/instance/1.0}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"

# What is asked beyond the usual, the error, and words that its message must hold.
CASES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"flavor": "nonne"}, "NotFound", ["flavor", "'nonne'", "Nearest: none"]),
    ({"image": "halted"}, "NotFound", ["image", "'halted'", "Nearest: halt"]),
    ({"networks": ["frnot"]}, "NotFound", ["network", "'frnot'", "Nearest: front"]),
    ({"security_groups": ["pings"]}, "NotFound", ["secgroup", "'pings'", "Nearest: ping"]),
    ({"key_name": "operator"}, "NotFound", ["keypair", "'operator'", "Nearest: operators"]),
    ({"server_group": "appart"}, "NotFound", ["server_group", "'appart'", "Nearest: apart"]),
    ({"project": "defualt"}, "NotFound", ["project", "'defualt'", "Nearest: default"]),
    ({"host": "k3"}, "NotFound", ["host", "'k3'", "k1", "k2"]),
    ({"scheduler_hints": {"different_host": "nobody"}}, "NotFound", ["'nobody'"]),
    ({"name": "two\nlines"}, "BadInput", ["control"]),
    ({"name": "escape\x1b[31m"}, "BadInput", ["control"]),
    ({"name": "turned\u202eround"}, "BadInput", ["control"]),
    ({"name": "n" * 300}, "BadInput", ["255", "300"]),
    ({"name": ""}, "BadInput", ["1 to 255"]),
    ({"name": "n" * 254, "count": 2}, "BadInput", ["255"]),
    ({"tags": ["a\nb"]}, "BadInput", ["tag"]),
    ({"metadata": {"a\nb": "c"}}, "BadInput", ["metadata"]),
    ({"metadata": {"a": ["b"]}}, "BadInput", ["metadata 'a'"]),
    ({"count": 0}, "BadInput", ["count is 0"]),
    ({"count": 100000}, "BadInput", ["1 to 1000"]),
    ({"timeout": 0}, "BadInput", ["timeout"]),
    ({"nics": [{"network": "front"}]}, "BadInput", ["networks and nics"]),
    ({"flavor": None}, "BadInput", ["give flavor"]),
    ({"image": None, "flavor": None}, "BadInput", ["flavor and image"]),
    ({"flavor": "small-disk", "image": "big"}, "BadInput", ["GiB", "larger disk"]),
    ({"flavor": "none", "image": "hungry"}, "BadInput", ["16 MiB", "1024 MiB"]),
    ({"scheduler_hints": {"near": "x"}}, "BadInput", ["'near'", "same_host"]),
    ({"networks": None, "nics": [{"network": "front", "fixed_ip": "192.0.2.7"}]}, "BadInput", ["192.0.2.7"]),
    ({"networks": None, "nics": [{"network": "front", "fixed_ip": "10.30.0.900"}]}, "BadInput", ["10.30.0.900"]),
    ({"networks": None, "nics": [{"network": "front", "fixed_ip": "10.30.0.255"}]}, "BadInput", ["10.30.0.255"]),
    ({"networks": None, "nics": [{"network": "front", "fixed_ip": "10.30.0.77"}], "count": 2}, "BadInput", ["count"]),
    ({"networks": None, "nics": [{"network": "front", "mac_address": "no"}]}, "BadInput", ["'no'"]),
    ({"networks": None, "nics": [{"network": "front", "mac_address": "01:00:5e:00:00:01"}]}, "BadInput", ["MAC"]),
    ({"networks": None, "nics": [{"network": "front", "fixed_ip": "10.30.0.1"}]}, "AddressInUse", ["10.30.0.1"]),
    (
        {
            "networks": None,
            "nics": [{"network": "front", "fixed_ip": "10.30.0.9"}, {"network": "front", "fixed_ip": "10.30.0.9"}],
        },
        "AddressInUse",
        ["10.30.0.9"],
    ),
    ({"networks": ["tiny"], "count": 3}, "AddressExhausted", ["'v4'"]),
    ({"networks": ["front", "tiny", "tiny"]}, "AddressExhausted", ["'v4'"]),
    ({"flavor": "wall"}, "NoValidHost", ["host"]),
    ({"zone": "moon"}, "NoValidHost", ["host"]),
    ({"host": "k2", "flavor": "wall"}, "NoValidHost", ["host"]),
    ({"server_group": "apart", "count": 3}, "NoValidHost", ["host"]),
    ({"project": "poor", "image": "common", "networks": None, "count": 2}, "QuotaExceeded", ["instances", "1"]),
    ({"project": "poor", "image": "common", "networks": None, "flavor": "wall"}, "QuotaExceeded", ["vcpus"]),
]

# Names that are carried as they are: path, quotes, XML, template, shell, letters of the world, the longest.
NAMES = [
    "../../etc/cron.d/x",
    "/",
    "..",
    "a'b\"c`d",
    '</title><devices/>&amp;<![CDATA[ "',
    "{{ 7 * 7 }}{% raw %}",
    "$(touch /tmp/pwned); -rf %s \\n",
    "Übergröße-東京-🚀",
    "n" * 255,
]


def content(cloud: Cloud) -> list[str]:
    """The database without its log, which remembers what failed."""
    return [line for line in cloud.digest() if "instance_actions" not in line]


@pytest.fixture(scope="module")
def prepared(cloud: Cloud) -> None:
    """A keypair, a project with little quota, flavors and images that fit nowhere."""
    made = cloud.tasks(
        {"agentless.cloud.keypair": {"name": "operators", "public_key": KEY}},
        {"agentless.cloud.project": {"name": "poor", "quota": {"instances": 1, "vcpus": 2}}},
        {"agentless.cloud.flavor": {"name": "wall", "vcpus": 4096, "ram": 16, "disk": 1}},
        {"agentless.cloud.flavor": {"name": "small-disk", "vcpus": 1, "ram": 16, "disk": 1}},
        {
            "agentless.cloud.image": {
                "name": "common",
                "filename": str(cloud.folder / "halt.raw"),
                "disk_format": "raw",
                "visibility": "public",
            }
        },
        {
            "agentless.cloud.image": {
                "name": "big",
                "filename": str(cloud.folder / "halt.raw"),
                "disk_format": "raw",
                "min_disk": 2,
            }
        },
        {
            "agentless.cloud.image": {
                "name": "hungry",
                "filename": str(cloud.folder / "halt.raw"),
                "disk_format": "raw",
                "min_ram": 1024,
            }
        },
        {"agentless.cloud.project": {"name": "default", "quota": {"vcpus": 100000}}},
    )
    assert made.returncode == 0, made.output


@pytest.mark.usefixtures("prepared")
def test_every_refusal_says_why_and_leaves_nothing(clean: Cloud) -> None:
    cloud = clean
    before = content(cloud)
    wishes = [{key: value for key, value in {**USUAL, **case[0]}.items() if value is not None} for case in CASES]
    played = cloud.tasks(*({"agentless.cloud.instance": wish, "ignore_errors": True} for wish in wishes))
    assert len(played.results) == len(CASES), played.output
    wrong = []
    for (asked, error, words), result in zip(CASES, played.results, strict=True):
        message = str(result.get("msg"))
        if result.get("error") != error or not all(word.lower() in message.lower() for word in words):
            wrong.append(f"{asked}: {result.get('error')}: {message}")
    assert wrong == [], "\n".join(wrong)
    assert content(cloud) == before
    assert cloud.left_over() == {}


@pytest.mark.usefixtures("prepared")
def test_what_is_taken_is_refused_and_the_rest_stays(clean: Cloud) -> None:
    """The second of two that cannot both be: the same address, MAC, place in a full subnet, quota, name of a count."""
    cloud = clean
    fixed = {"network": "front", "fixed_ip": "10.30.0.50", "mac_address": "fa:16:3e:00:00:50"}
    first = [
        {"name": "holder", "nics": [fixed]},
        {"name": "last", "networks": ["tiny"]},
        {"name": "only", "project": "poor", "image": "common"},
    ]
    second = [
        ({"name": "late", "nics": [{**fixed, "mac_address": "fa:16:3e:00:00:51"}]}, "AddressInUse", "10.30.0.50"),
        (
            {"name": "late", "nics": [{**fixed, "fixed_ip": "10.30.0.51"}]},
            "AddressInUse",
            "fa:16:3e:00:00:50",
        ),
        ({"name": "late", "networks": ["tiny"]}, "AddressExhausted", "'v4'"),
        ({"name": "late", "project": "poor", "image": "common"}, "QuotaExceeded", "instances"),
    ]
    shared = {"flavor": "none", "image": "halt", "timeout": 120}
    made = cloud.tasks(*({"agentless.cloud.instance": {**shared, **wish}} for wish in first))
    assert made.returncode == 0, made.output
    before = content(cloud)
    played = cloud.tasks(
        *({"agentless.cloud.instance": {**shared, **wish}, "ignore_errors": True} for wish, _error, _word in second)
    )
    for (_wish, error, word), result in zip(second, played.results, strict=True):
        assert (result["error"], word in result["msg"]) == (error, True), result
    assert content(cloud) == before
    gone = cloud.tasks(
        *(
            {"agentless.cloud.instance": {"name": wish["name"], "project": wish.get("project"), "state": "absent"}}
            for wish in ({"project": "default", **one} for one in first)
        )
    )
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_odd_names_are_carried_as_they_are(clean: Cloud) -> None:
    cloud = clean
    tasks = [
        {
            "agentless.cloud.instance": {
                **USUAL,
                "name": {"__ansible_unsafe": name} if "{" in name else name,
                "metadata": {"said": name.replace("{", "(")},
            }
        }
        for name in NAMES
    ]
    played = cloud.tasks(*tasks)
    assert played.returncode == 0, played.output
    assert [result["instance"]["name"] for result in played.results] == NAMES
    wanted = {result["instance"]["id"]: result["instance"]["name"] for result in played.results}
    seen = {}
    for host in COMPUTE:
        for key in cloud.host(host, "virsh list --uuid").split():
            domain = ET.fromstring(cloud.host(host, f"virsh dumpxml {key}"))
            assert domain.findtext(f"metadata/{RECORD}instance/{RECORD}name") == wanted[key]
            assert domain.findtext("name") == domain.findtext("uuid") == key
            assert domain.findtext("title") == wanted[key]
            assert len(domain.findall("devices")) == 1
            seen[key] = domain.findtext("title")
        assert set(cloud.host(host, "ls /var/lib/agentless/instances").split()) <= set(wanted)
        assert "pwned" not in cloud.host(host, "ls /tmp")
    assert seen == wanted
    again = cloud.tasks(*tasks)
    assert [result["changed"] for result in again.results] == [False] * len(NAMES)
    gone = cloud.tasks(*({"agentless.cloud.instance": {"name": key, "state": "absent"}} for key in wanted))
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}
