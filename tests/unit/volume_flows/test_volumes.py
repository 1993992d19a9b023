# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes from wish to nothing: what is recorded, what hosts are told and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    ChangeRefused,
    CloudError,
    HostUnreachable,
    InUse,
    NotFound,
    NoValidHost,
    QuotaExceeded,
)
from tests.unit.resources.cloud import Cloud, predict_then_do
from tests.unit.volume_flows.bus import Bus
from tests.unit.volume_flows.looks import GIB, attach, empty, image, one, refused, used


def test_an_empty_volume(cloud: Cloud, bus: Bus) -> None:
    done = predict_then_do(cloud, "volume", name="data", size=3, volume_type="lvm1", metadata={"a": 1})
    row = done.values["volume"]
    assert (row["size"], row["status"], row["volume_type"]) == (3, "available", "lvm1")
    assert (row["attachments"], row["source"], row["metadata"]) == ([], None, {"a": "1"})
    assert bus.volumes == {("vol1", "lvm1", row["id"]): {"size": 3, "from": None}}
    assert used(cloud) == {"volumes": 1, "gigabytes": 3, "lvm1": 3}
    assert not predict_then_do(cloud, "volume", name="data").changed, "only what is given is compared"
    assert not predict_then_do(cloud, "volume", name=row["id"], size=3).changed, "an ID is as good as a name"
    assert "secret" not in row
    gone = predict_then_do(cloud, "volume", name="data", state="absent")
    assert gone.values == {"volume": None}
    assert empty(cloud, bus)
    assert not predict_then_do(cloud, "volume", name="data", state="absent").changed


@pytest.mark.parametrize("module", ["volume", "volume_snapshot"])
def test_metadata_does_not_grow_without_end(cloud: Cloud, bus: Bus, module: str) -> None:
    cloud.ask("volume", name="data", size=1, volume_type="lvm1")
    options = {"volume": "data"} if module == "volume_snapshot" else {"name": "data"}
    options = {"name": "it", **options}
    cloud.ask(module, **options, metadata={f"k{n}": "v" for n in range(128)})
    assert not predict_then_do(cloud, module, **options, metadata={"k0": "v"}).changed
    assert predict_then_do(cloud, module, **options, metadata={"k0": "w"}).changed
    refused(cloud, BadInput, "129 entries", module, **options, metadata={"more": "v"})


def test_many_at_once(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="disk-2", size=1, volume_type="files")
    bus.calls.clear()
    done = predict_then_do(cloud, "volume", name="disk", count=20, size=1, volume_type="lvm1")
    assert [row["name"] for row in done.values["volumes"]] == [f"disk-{number}" for number in range(1, 21)]
    assert done.values["volume"]["name"] == "disk-1"
    assert done.values["volumes"][1]["host"] == "vol1@lvm1", "the one that was there has moved"
    assert len([call for call in bus.calls if ":create@" in call and "delete" not in call]) <= 2, "one for the new"
    assert not predict_then_do(cloud, "volume", name="disk", count=20, size=1).changed
    bus.calls.clear()
    assert predict_then_do(cloud, "volume", name="disk", count=20, state="absent").values["volumes"] == []
    assert bus.calls == ["volume_backend:delete,unexport@vol1"]
    assert not predict_then_do(cloud, "volume", name="disk", count=20, state="absent").changed
    assert empty(cloud, bus)
    for count, said in ((0, "from 1 to 1000"), (1001, "from 1 to 1000")):
        refused(cloud, BadInput, said, name="disk", count=count, size=1)
    refused(cloud, NoValidHost, "0 GiB left, 2 wanted", name="disk", count=51, size=2, volume_type="lvm1")
    assert empty(cloud, bus), "all or nothing"


def test_the_inventory_says_how_far_a_backend_goes(cloud: Cloud, bus: Bus) -> None:
    said = {"volume_backends": [{"name": "lvm1", "allocation_ratio": 2.0, "reserved": 10}]}
    cloud.hostvars = {"vol1": {**said, "agentless_zone": "west"}}
    made = predict_then_do(cloud, "volume", name="data", size=180, volume_type="lvm1").values["volume"]
    assert made["backend"] == "lvm1"
    refused(cloud, NoValidHost, "0 GiB left, 1 wanted", name="more", size=1, volume_type="lvm1")
    refused(cloud, NoValidHost, "zone is west, not east", name="more", size=1, volume_type="lvm1", zone="east")
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "allocation_ratio": 0.5}]}}
    for check in (True, False):
        with pytest.raises(NoValidHost, match="0 GiB left, 1 wanted"):
            cloud.ask("volume", name="more", size=1, volume_type="lvm1", check=check)
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "allocation_ratio": "much"}]}}
    refused(cloud, BadInput, "allocation_ratio and reserved", name="more", size=1, volume_type="lvm1")
    cloud.hostvars = {}
    cloud.ask("volume", name="data", state="absent")
    assert empty(cloud, bus)


def test_from_an_image(cloud: Cloud, bus: Bus) -> None:
    image(cloud)
    row = predict_then_do(cloud, "volume", name="root", image="debian").values["volume"]
    assert (row["size"], row["bootable"], row["source"]["kind"]) == (2, True, "image")
    (held,) = bus.volumes.values()
    assert held["from"]["image"] == {
        "checksum": f"sha256:{'0' * 64}",
        "format": "qcow2",
        "size": 7,
        "virtual_size": 2 * GIB,
        "url": f"https://store1:8480/sha256/{'0' * 64}",
    }
    refused(cloud, ChangeRefused, "from the image 'debian'", name="root", snapshot="x")


def test_from_a_snapshot_and_from_a_volume(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm2")
    taken = predict_then_do(cloud, "volume_snapshot", name="monday", volume="data").values["volume_snapshot"]
    assert (taken["size"], taken["status"], taken["volume"]) == (3, "available", "data")
    assert used(cloud) == {"volumes": 1, "volume_snapshots": 1, "gigabytes": 6, "lvm2": 3}
    for name, source in (("a", {"snapshot": "monday"}), ("b", {"source_volume": "data"})):
        row = predict_then_do(cloud, "volume", name=name, **source).values["volume"]
        assert (row["size"], row["volume_type"], row["backend"]) == (3, "lvm2", "lvm2")
        assert not predict_then_do(cloud, "volume", name=name, **source).changed
    said = refused(cloud, InUse, "monday", name="data", state="absent")
    assert said.details["snapshots"] == ["monday"]
    assert predict_then_do(cloud, "volume", name="data", state="absent", delete_snapshots=True).changed
    assert not predict_then_do(cloud, "volume", name="a", snapshot="monday").changed, "it need not exist any more"
    for name in ("a", "b"):
        cloud.ask("volume", name=name, state="absent")
    assert empty(cloud, bus)


def test_backups(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    refused(cloud, NotFound, "Nearest: files", "volume_backup", name="it", volume="data", backend="file")
    refused(cloud, BadInput, "where the volume itself is", "volume_backup", name="it", volume="data", backend="lvm1")
    refused(cloud, BadInput, "give volume", "volume_backup", name="it")
    whole = predict_then_do(cloud, "volume_backup", name="sunday", volume="data").values["volume_backup"]
    assert (whole["kind"], whole["host"], whole["incremental"], whole["size"]) == ("file", "vol1", False, 3)
    part = predict_then_do(cloud, "volume_backup", name="monday", volume="data", incremental=True)
    assert part.values["volume_backup"]["parent_id"] == whole["id"]
    other = predict_then_do(cloud, "volume_backup", name="other", volume="data", incremental=True, backend="files")
    assert (other.values["volume_backup"]["kind"], other.values["volume_backup"]["parent_id"]) == ("backend", None)
    assert [kept["since"] for kept in bus.backups.values()] == [None, whole["id"], None]
    refused(cloud, InUse, "increments: monday", "volume_backup", name="sunday", state="absent")
    cloud.ask("volume", name="data", state="absent")
    row = predict_then_do(cloud, "volume", name="back", backup="sunday").values["volume"]
    assert (row["size"], row["backend"], row["source"]["kind"]) == (3, "lvm1", "backup")
    assert [held["from"] for held in bus.volumes.values()] == [whole["id"]]
    for name in ("monday", "sunday", "other"):
        assert predict_then_do(cloud, "volume_backup", name=name, state="absent").changed
    cloud.ask("volume", name="back", state="absent")
    assert empty(cloud, bus)


def test_growing(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    done = predict_then_do(cloud, "volume", name="data", size=5)
    assert done.changes == [Change("size", 3, 5)]
    assert [held["size"] for held in bus.volumes.values()] == [5]
    assert used(cloud) == {"volumes": 1, "gigabytes": 5, "lvm1": 5}
    attach(cloud)
    row = predict_then_do(cloud, "volume", name="data", size=6).values["volume"]
    assert row["status"] == "in-use"
    assert bus.guests[-1]["volume"] == {"id": row["id"], "device": "vdb", "size": 6}


@pytest.mark.parametrize(
    ("kind", "target", "orders"),
    [
        ("lvm2", "vol2", ["export@vol1", "create@vol2", "unexport@vol1"]),
        ("files", "vol1", ["create@vol1"]),
    ],
)
def test_moving_to_another_backend(cloud: Cloud, bus: Bus, kind: str, target: str, orders: list[str]) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    bus.done.clear()
    done = predict_then_do(cloud, "volume", name="data", volume_type=kind)
    assert done.changes == [Change("volume_type", "lvm1", kind)]
    assert [key[:2] for key in bus.volumes] == [(target, kind)]
    assert used(cloud) == {"volumes": 1, "gigabytes": 3, kind: 3}
    assert not bus.exports
    assert [each for each in bus.done if "discover" not in each] == [*orders, "unexport@vol1", "delete@vol1"]


def test_moving_from_a_host_that_lies(cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from where it says, and what it has opened is closed."""
    cloud.ask("volume", name="data", size=2, volume_type="lvm1")
    true = Bus._export

    def lie(self: Bus, host: str, op: dict[str, Any]) -> dict[str, Any]:
        true(self, host, op)
        return {"protocol": "nfs", "host": host, "path": "/etc/shadow", "uid": 0}

    monkeypatch.setattr(Bus, "_export", lie)
    with pytest.raises(CloudError, match="Nothing was attached"):
        cloud.ask("volume", name="data", volume_type="lvm2")
    assert bus.exports == {}
    assert [key[0] for key in bus.volumes] == ["vol1"]


def test_moving_under_a_guest(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    attach(cloud)
    row = predict_then_do(cloud, "volume", name="data", volume_type="lvm2").values["volume"]
    assert row["status"] == "in-use"
    order, tuned = bus.guests
    assert (order["op"], order["volume"]["device"], order["volume"]["source"]["portal"]) == (
        "copy_volume",
        "vdb",
        "vol2:3260",
    )
    assert tuned["op"] == "tune_volume"
    assert list(bus.exports.values()) == ["iqn.2026-01.cloud.agentless:kvm1"]
    assert [key[:2] for key in bus.volumes] == [("vol2", "lvm2")]


def test_two_places_of_one_name(cloud: Cloud, bus: Bus) -> None:
    """A host that exports a volume by one name only would have its guest copy it onto itself."""
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    attach(cloud)
    refused(cloud, InUse, "cannot export both places", name="data", volume_type="files")
    can = {"thin": True, "separate_exports": True}
    bus.has = {"vol1": [{**each, "capabilities": can} for each in bus.has["vol1"]], "vol2": bus.has["vol2"]}
    with pytest.raises(NoValidHost):
        cloud.ask("volume", name="it", size=500)  # hosts are asked what is new
    assert predict_then_do(cloud, "volume", name="data", volume_type="files").values["volume"]["backend"] == "files"
    assert [order["op"] for order in bus.guests] == ["copy_volume", "tune_volume"]


def test_a_type_that_its_backend_fits(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    cloud.ask("volume_type", name="thin", extra_specs={"driver": "lvm"}, qos={"total_iops_sec": 9})
    bus.done.clear()
    assert predict_then_do(cloud, "volume", name="data", volume_type="thin").values["volume"]["backend"] == "lvm1"
    assert not bus.done


def test_a_type_that_a_running_guest_gets(cloud: Cloud, bus: Bus) -> None:
    """Its host is told; one that does not answer is told by the next run."""
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    attach(cloud)
    cloud.ask("volume_type", name="thin", extra_specs={"driver": "lvm"}, qos={"total_iops_sec": 9, "iothread": 2})
    bus.dead.add("kvm1")
    with pytest.raises(HostUnreachable):
        cloud.ask("volume", name="data", volume_type="thin")
    assert one(cloud)["status"] == "retyping"
    bus.dead.clear()
    shown = predict_then_do(cloud, "volume", name="data", volume_type="thin").values["volume"]
    assert (shown["status"], shown["volume_type"], used(cloud)["lvm1"]) == ("in-use", "thin", 3)
    ((op, told),) = [(order["op"], order["volume"]) for order in bus.guests]
    want = {"id": shown["id"], "multiattach": False, "iothread": 2, "iotune": {"total_iops_sec": 9}}
    assert (op, told) == ("tune_volume", want)


@pytest.mark.parametrize(
    ("kind", "said", "args"),
    [
        (BadInput, "size is 0", {"size": 0}),
        (BadInput, "size is -1", {"size": -1}),
        (BadInput, "size is 16777217", {"size": 2**24 + 1}),
        (BadInput, "give size", {}),
        (BadInput, "one source; image and snapshot", {"image": "debian", "snapshot": "monday"}),
        (BadInput, "size is 1 GiB; the image 'debian' needs 2 GiB", {"image": "debian", "size": 1}),
        (BadInput, "size is 2 GiB; the snapshot 'monday' needs 3 GiB", {"snapshot": "monday", "size": 2}),
        (BadInput, "size is 1 GiB; the volume 'data' needs 3 GiB", {"source_volume": "data", "size": 1}),
        (NotFound, "Nearest: debian", {"image": "debain"}),
        (NotFound, "Nearest: monday", {"snapshot": "mondya"}),
        (NotFound, "Nearest: data", {"source_volume": "dtaa"}),
        (NotFound, "Nearest: lvm", {"size": 1, "volume_type": "lmv1"}),
        (NotFound, "Nearest: data", {"size": 1, "scheduler_hints": {"same_host": ["dat"]}}),
        (NoValidHost, ".", {"size": 1, "zone": "nowhere"}),
        (NoValidHost, ".", {"size": 101}),
        (BadInput, "timeout is 0", {"size": 1, "timeout": 0}),
        (BadInput, "control characters", {"size": 1, "metadata": {"a\n": "b"}}),
        (BadInput, "line breaks", {"size": 1, "metadata": {"a": "b\u2029c"}}),
        (BadInput, "has 256 characters", {"size": 1, "metadata": {"a": "b" * 256}}),
        (BadInput, "metadata has 129 entries", {"size": 1, "metadata": {f"k{n}": "v" for n in range(129)}}),
    ],
)
def test_what_cannot_be_made(cloud: Cloud, bus: Bus, kind: type[CloudError], said: str, args: dict[str, Any]) -> None:
    image(cloud)
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    cloud.ask("volume_snapshot", name="monday", volume="data")
    before = dict(bus.volumes)
    refused(cloud, kind, said, name="new", **args)
    assert bus.volumes == before


def test_what_cannot_change(cloud: Cloud) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    refused(cloud, ChangeRefused, "3 GiB and cannot shrink to 2", name="data", size=2)
    refused(cloud, ChangeRefused, "was made empty", name="data", image="debian")
    refused(cloud, NotFound, "Nearest: lvm", name="data", volume_type="lvm3")
    attach(cloud)
    assert refused(cloud, InUse, "web1", name="data", state="absent").details["instances"] == ["web1"]
    refused(cloud, InUse, "is in-use, not available", name="copy", source_volume="data")
    refused(cloud, InUse, "attached", name="data", multiattach=True)
    refused(cloud, InUse, "Say force", module="volume_snapshot", name="it", volume="data")
    assert cloud.ask("volume_snapshot", name="it", volume="data", force=True).changed
    refused(cloud, InUse, "has snapshots .it., which stay", name="data", volume_type="lvm2")


def test_quota(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("project", name="default", quota={"volumes": 1, "gigabytes": 4})
    cloud.ask("volume", name="data", size=3)
    before = cloud.digest()
    for args in ({"name": "more", "size": 1}, {"name": "data", "size": 5}):
        with pytest.raises(QuotaExceeded):
            cloud.ask("volume", **args)
    with pytest.raises(QuotaExceeded):
        cloud.ask("volume_snapshot", name="monday", volume="data")
    assert cloud.digest() == before
    assert len(bus.volumes) == 1


def test_a_backend_that_was_set_up_since(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="first", size=1)
    refused(cloud, NoValidHost, ".", name="data", size=500)
    bus.has = {**bus.has, "vol2": [{"name": "big", "driver": "nfs", "total": 900, "capabilities": {}}]}
    assert predict_then_do(cloud, "volume", name="data", size=500).values["volume"]["backend"] == "big"
    with cloud.conductor as conductor, conductor.read() as conn:
        states = {row["name"]: row["state"] for row in records.listing(conn, tables.volume_backends)}
    assert states == {"lvm1": "enabled", "files": "enabled", "lvm2": "disabled", "big": "enabled"}


def test_one_call_for_each_host(cloud: Cloud, bus: Bus) -> None:
    """Many volumes cost as many calls as there are hosts."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
    from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import create, wanted
    from tests.unit.resources.cloud import validated

    cloud.ask("volume", name="first", size=1)
    bus.calls.clear()
    with cloud.conductor as conductor:
        request = Request({}, False, conductor, cloud.rpc, cloud.groups, "localhost", {}, cloud.principal)
        with conductor.transaction(lock="placement") as conn:
            wishes = [
                wanted.new(conn, args, wanted.project(conn, args, cloud.principal))
                for args in (
                    validated("volume", {"name": f"v{n}", "size": 1, "volume_type": f"lvm{n % 2 + 1}"})
                    for n in range(20)
                )
            ]
            made = create.begin(conn, wishes)
        create.finish(request, [row["id"] for row in made], timeout=60)
    assert sorted(bus.calls) == ["volume_backend:create@vol1", "volume_backend:create@vol2"]
    assert len(bus.volumes) == 21
