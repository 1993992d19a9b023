# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes of instances: booted from, plugged in and out, foreseen by check mode, refused where they cannot be had."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    ChangeRefused,
    CloudError,
    InUse,
    NotFound,
    QuotaExceeded,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import tuning
from tests.unit.instance_volumes.hosts import Guest, Hosts, initiator
from tests.unit.resources.cloud import Cloud, predict_then_do
from tests.unit.volume_flows.looks import one, refused, used

BOOT = {"flavor": "small", "image": "debian"}


def names(shown: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["name"], row["device"]) for row in shown["volumes"]]


def guest(hosts: Hosts) -> Guest:
    (found,) = hosts.domains.values()
    return found


def left(cloud: Cloud, hosts: Hosts) -> dict[str, Any]:
    """What there is of instances and their way to volumes."""
    with sqlite3.connect(cloud.path) as db:
        tables = ("instances", "volume_attachments", "allocations", "instance_mappings")
        rows = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    kept = {"domains": hosts.domains, "exports": hosts.exports, "secrets": hosts.secrets, **rows}
    return {key: value for key, value in kept.items() if value}


def disk_claimed(cloud: Cloud) -> int:
    return sum(row["used"]["disk"] for row in cloud.ask("host_info").values["hosts"])


def test_plugged_in_and_out_of_a_running_guest(cloud: Cloud, hosts: Hosts) -> None:
    for name in ("a", "b", "c"):
        cloud.ask("volume", name=name, size=1)
    shown = predict_then_do(cloud, "instance", name="web", volumes=["a"], **BOOT).values["instance"]
    assert names(shown) == [("a", "vdc")], "the config drive is vdb"
    assert (one(cloud, "a")["status"], one(cloud, "a")["attachments"][0]["instance"]) == ("in-use", "web")
    done = predict_then_do(cloud, "instance", name="web", volumes=["a", "b"])
    assert [(each.what, each.before, each.after) for each in done.changes] == [("volumes", ["a"], ["a", "b"])]
    assert names(done.values["instance"]) == [("a", "vdc"), ("b", "vdd")]
    assert names(predict_then_do(cloud, "instance", name="web", volumes=["c", "b"]).values["instance"]) == [
        ("b", "vdd"),
        ("c", "vde"),
    ], "a name is not given anew while its volume leaves"
    assert one(cloud, "a")["status"] == "available"
    assert not cloud.ask("instance", name="web", metadata={}).changed, "volumes that are not named stay"
    assert set(guest(hosts).volumes) == {"vdd", "vde"}
    cloud.ask("instance", name="web", state="stopped")
    cloud.ask("instance", name="web", state="running")
    assert predict_then_do(cloud, "instance", name="web", volumes=[]).values["instance"]["volumes"] == []
    assert (guest(hosts).volumes, hosts.exports, hosts.secrets) == ({}, {}, {})
    cloud.ask("instance", name="web", volumes=["a"])
    cloud.ask("instance", name="web", state="absent")
    assert left(cloud, hosts) == {}
    assert {one(cloud, name)["status"] for name in ("a", "b", "c")} == {"available"}


def test_started_with_what_the_type_says_now(cloud: Cloud, hosts: Hosts) -> None:
    cloud.ask("volume_type", name="lvm1", qos={"cache": "directsync"})
    cloud.ask("volume", name="a", size=1, volume_type="lvm1")
    cloud.ask("instance", name="web", volumes=["a"], **BOOT)
    cloud.ask("volume_type", name="lvm1", qos={"iothread": 2})
    for state in ("stopped", "running", "rebooted"):
        cloud.ask("instance", name="web", state=state)
    told = [order["volume"] for order in hosts.guests if order["op"] == "tune_volume"]
    assert told == [{"id": one(cloud, "a")["id"], "multiattach": False, "iothread": 2, "iotune": {}}] * 2


def test_what_a_disk_gets_of_its_type() -> None:
    """A shared volume keeps no copies whatever its type says, and only virtio disks have threads."""
    kind = {"qos": {"cache": "writeback", "iothread": 1, "read_iops_sec": 5, "write_iops_sec": 0}}
    for shared, device, want in (
        (False, "vdb", {"cache": "writeback", "iothread": 1}),
        (True, "vdb", {"iothread": 1}),
        (False, "sdb", {"cache": "writeback"}),
    ):
        assert tuning.of({"multiattach": shared}, kind, device) == {**want, "iotune": {"read_iops_sec": 5}}
    assert tuning.of({"multiattach": False}, None, "vdb") == {"iotune": {}}


def test_booted_from_a_volume_made_on_the_way(cloud: Cloud, hosts: Hosts) -> None:
    cloud.ask("volume", name="data", size=1)
    wish = {**BOOT, "boot_volume": {"size": 5, "volume_type": "lvm2"}, "volumes": ["data"]}
    shown = predict_then_do(cloud, "instance", name="db", **wish).values["instance"]
    assert names(shown) == [("db-boot", "vda"), ("data", "vdc")]
    assert (guest(hosts).disks, disk_claimed(cloud)) == ([], 0), "the flavor's disk is neither made nor claimed"
    boot = one(cloud, "db-boot")
    assert (boot["size"], boot["backend"], boot["bootable"], boot["status"]) == (5, "lvm2", True, "in-use")
    assert {len(key) for key in hosts.secrets.values()} == {32}
    for check in (True, False):
        assert cloud.ask("instance", name="db", state="absent", check=check).changed
    assert left(cloud, hosts) == {}
    assert cloud.ask("volume_info", name="db-boot").values["volumes"] == []
    assert one(cloud)["status"] == "available"


def test_the_data_outlives_the_instance(cloud: Cloud, hosts: Hosts) -> None:
    first = {**BOOT, "boot_volume": {"size": 5, "delete_on_termination": False}, "host": "c1"}
    cloud.ask("instance", name="db", **first)
    key = one(cloud, "db-boot")["id"]
    cloud.ask("instance", name="db", state="absent")
    assert (left(cloud, hosts), one(cloud, "db-boot")["status"]) == ({}, "available")
    again = {"flavor": "small", "boot_volume": {"volume": "db-boot"}, "host": "c2"}
    shown = predict_then_do(cloud, "instance", name="db", **again).values["instance"]
    assert (names(shown), shown["image"]["name"], guest(hosts).host) == ([("db-boot", "vda")], "debian", "c2")
    assert guest(hosts).volumes == {"vda": key}
    assert list(hosts.exports.values()) == [f'["{initiator("c2")}"]']
    predict_then_do(cloud, "instance", name="db", boot_volume={"volume": "db-boot", "delete_on_termination": True})
    cloud.ask("instance", name="db", state="absent")
    assert (left(cloud, hosts), used(cloud)) == ({}, {})


def test_booted_from_a_copy(cloud: Cloud, hosts: Hosts) -> None:
    """A snapshot of what an instance booted from, and a volume of that, can be booted from as well."""
    cloud.ask("instance", name="db", boot_volume={"size": 5}, **BOOT)
    cloud.ask("volume_snapshot", name="monday", volume="db-boot", force=True)
    predict_then_do(cloud, "volume", name="copy", snapshot="monday")
    shown = predict_then_do(cloud, "instance", name="new", flavor="small", boot_volume={"volume": "copy"}).values
    assert (names(shown["instance"]), shown["instance"]["image"]) == ([("copy", "vda")], {})


def test_many_with_a_boot_volume_each(cloud: Cloud, hosts: Hosts) -> None:
    """One call to each storage host for all of them, and one more to open them."""
    cloud.ask("volume", name="known", size=1)
    hosts.calls.clear()
    made = cloud.ask("instance", name="w", count=6, boot_volume={"size": 4}, **BOOT)
    assert [names(row) for row in made.values["instances"]] == [[(f"w-{n}-boot", "vda")] for n in range(1, 7)]
    assert len([label for label in hosts.calls if "vol" in label]) <= 4, hosts.calls
    assert not cloud.ask("instance", name="w", count=6, boot_volume={"size": 4}, **BOOT).changed
    hosts.calls.clear()
    cloud.ask("instance", name="w", count=6, state="absent")
    assert len([label for label in hosts.calls if "vol" in label]) <= 4, hosts.calls
    assert left(cloud, hosts) == {}
    assert used(cloud) == {"volumes": 1, "gigabytes": 1, one(cloud, "known")["backend"]: 1}


def test_shared_by_several(cloud: Cloud, hosts: Hosts) -> None:
    cloud.ask("volume", name="shared", size=1, multiattach=True)
    cloud.ask("instance", name="w", count=2, volumes=["shared"], **BOOT)
    (names_in,) = hosts.exports.values()
    there = {found.host for found in hosts.domains.values()}
    assert names_in == str(sorted(initiator(host) for host in there)).replace("'", '"')
    cloud.ask("instance", name="w-1", state="absent")
    assert len(hosts.exports) == 1
    cloud.ask("instance", name="w-2", volumes=[])
    assert (hosts.exports, one(cloud, "shared")["status"]) == ({}, "available")


def test_moved_under_a_guest(cloud: Cloud, hosts: Hosts) -> None:
    """One call for each step: by which name its host logs in is on record."""
    cloud.ask("volume", name="data", size=1, volume_type="lvm1")
    where = cloud.ask("instance", name="web", volumes=["data"], **BOOT).values["instance"]["compute_host"]
    hosts.calls.clear()
    moved = predict_then_do(cloud, "volume", name="data", volume_type="lvm2").values["volume"]
    assert (moved["status"], moved["host"]) == ("in-use", "vol2@lvm2")
    assert hosts.calls == [
        "volume_backend:create@vol2",
        "volume_backend:export@vol2",
        f"compute_backend:copy_volume@{where}",
        f"compute_backend:tune_volume@{where}",
        "volume_backend:delete,unexport@vol1",
    ]
    assert guest(hosts).targets == {moved["id"]: f"iqn.2026-01.cloud.agentless:lvm2.volume-{moved['id']}"}
    cloud.ask("instance", name="web", state="absent")
    assert left(cloud, hosts) == {}


REFUSED: list[tuple[type[CloudError], str, dict[str, Any]]] = [
    (NotFound, "Nearest: data", {"volumes": ["dta"], **BOOT}),
    (InUse, "attached to 'other'", {"volumes": ["taken"], **BOOT}),
    (InUse, "is error; only an available", {"volumes": ["broken"], **BOOT}),
    (InUse, "attached to 'other'", {"flavor": "small", "boot_volume": {"volume": "taken"}}),
    (BadInput, "not multiattach", {"volumes": ["data"], "count": 2, **BOOT}),
    (BadInput, "not multiattach", {"flavor": "small", "boot_volume": {"volume": "root"}, "count": 2}),
    (BadInput, "made from no image", {"flavor": "small", "boot_volume": {"volume": "data"}}),
    (BadInput, "size is 1 GiB; image 'debian' needs 2", {"boot_volume": {"size": 1}, **BOOT}),
    (BadInput, "size is 0; it must be from 1", {"boot_volume": {"size": 0}, **BOOT}),
    (BadInput, "give image", {"boot_volume": {"size": 3}, "flavor": "small"}),
    (BadInput, "either volume", {"boot_volume": {}, **BOOT}),
    (BadInput, "either volume", {"boot_volume": {"size": 3, "volume": "root"}, **BOOT}),
    (BadInput, "leave image out", {"boot_volume": {"volume": "root"}, **BOOT}),
    (BadInput, "has its type", {"boot_volume": {"volume": "root", "volume_type": "lvm1"}, "flavor": "small"}),
    (NotFound, "volume_type 'fast'", {"boot_volume": {"size": 3, "volume_type": "fast"}, **BOOT}),
]


@pytest.mark.parametrize(("kind", "said", "wish"), REFUSED)
def test_refused_before_anything_is_claimed(
    cloud: Cloud, hosts: Hosts, kind: type[CloudError], said: str, wish: dict[str, Any]
) -> None:
    for name in ("data", "broken"):
        cloud.ask("volume", name=name, size=1)
    for name in ("root", "taken"):
        cloud.ask("volume", name=name, image="debian")
    with sqlite3.connect(cloud.path) as db:
        db.execute("UPDATE volumes SET status = 'error' WHERE name = 'broken'")
    cloud.ask("instance", name="other", volumes=["taken"], **BOOT)
    done = list(hosts.done)
    refused(cloud, kind, said, module="instance", name="web", **wish)
    assert hosts.done == done


def test_refused_changes(cloud: Cloud) -> None:
    cloud.ask("volume", name="db2-boot", size=1)
    cloud.ask("volume", name="root", image="debian")
    cloud.ask("instance", name="db", boot_volume={"size": 5}, **BOOT)
    cloud.ask("instance", name="plain", **BOOT)
    table: list[tuple[type[CloudError], str, dict[str, Any]]] = [
        (AlreadyExists, "'db2-boot' already", {"name": "db2", "boot_volume": {"size": 5}, **BOOT}),
        (ChangeRefused, "grown by the module", {"name": "db", "boot_volume": {"size": 6}}),
        (ChangeRefused, "another type", {"name": "db", "boot_volume": {"size": 5, "volume_type": "lvm1"}}),
        (ChangeRefused, "keeps what it boots from", {"name": "db", "boot_volume": {"volume": "root"}}),
        (ChangeRefused, "from None", {"name": "plain", "boot_volume": {"size": 5}}),
    ]
    for kind, said, wish in table:
        refused(cloud, kind, said, module="instance", **wish)
    cloud.ask("volume_snapshot", name="monday", volume="db-boot", force=True)
    refused(cloud, InUse, "has snapshots: monday", module="instance", name="db", state="absent")
    cloud.ask("instance", name="db", boot_volume={"size": 5, "delete_on_termination": False})
    cloud.ask("instance", name="db", state="absent")
    assert one(cloud, "db-boot")["status"] == "available"


def test_the_quota_of_volumes_holds(cloud: Cloud, hosts: Hosts) -> None:
    cloud.ask("project", name="default", quota={"gigabytes": 9})
    with pytest.raises(QuotaExceeded):
        cloud.ask("instance", name="w", count=2, boot_volume={"size": 5}, **BOOT)
    assert (left(cloud, hosts), used(cloud)) == ({}, {})
