# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes from wish to nothing: what is recorded, what hosts are told, what is refused, and what a fault leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as cloud_tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
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
from tests.unit.volume_flows.bus import Bus, Gone

GIB = 2**30


def one(cloud: Cloud, name: str = "data") -> dict[str, Any]:
    (row,) = cloud.ask("volume_info", name=name).values["volumes"]
    return dict(row)


def used(cloud: Cloud) -> dict[str, int]:
    """What the project has used, and what backends have claimed."""
    usage = cloud.ask("project_info", name="default").values["projects"][0]["usage"]
    with cloud.conductor as conductor, conductor.read() as conn:
        claimed = {row["name"]: row["used"] for row in records.listing(conn, tables.volume_backends) if row["used"]}
    kinds = ("volumes", "gigabytes", "volume_snapshots", "volume_backups")
    return {**{kind: usage[kind] for kind in kinds if usage.get(kind)}, **claimed}


def empty(cloud: Cloud, bus: Bus) -> bool:
    return not (used(cloud) or bus.volumes or bus.snapshots or bus.exports or bus.backups)


def refused(cloud: Cloud, kind: type[CloudError], said: str, module: str = "volume", **args: Any) -> CloudError:
    """Both check mode and the real run refuse, and write nothing."""
    errors = []
    for check in (True, False):
        before = cloud.digest()
        with pytest.raises(kind, match=said) as caught:
            cloud.ask(module, check=check, **args)
        assert cloud.digest() == before
        errors.append(caught.value)
    assert errors[0].msg == errors[1].msg
    return errors[0]


def image(cloud: Cloud, **values: Any) -> None:
    row = {"status": "active", "checksum": f"sha256:{'0' * 64}", "disk_format": "qcow2", "size": 7, "min_disk": 0}
    row |= {"name": "debian", "virtual_size": 2 * GIB, "visibility": "private", "store_host": "store1", **values}
    with cloud.conductor as conductor, conductor.transaction() as conn:
        project = records.get(conn, cloud_tables.projects, "default")
        records.insert(conn, cloud_tables.images, project_id=project["id"], **row)


def attach(cloud: Cloud, volume: str = "data") -> None:
    """Write an attachment to a running guest, as the flow of instances does."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances

    with cloud.conductor as conductor, conductor.transaction() as conn:
        row = records.get(conn, tables.volumes, volume)
        about = {"project_id": row["project_id"], "name": "web1", "flavor": {}, "status": "ACTIVE"}
        guest = instances.create(conn, about)
        link = {"volume_id": row["id"], "instance_id": guest["id"], "host": "kvm1", "device": "vdb", "slot": 0}
        records.insert(conn, tables.volume_attachments, status="attached", **link)
        records.update(conn, tables.volumes, row["id"], status="in-use")


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
        "url": f"http://store1:8480/sha256/{'0' * 64}",
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


def test_moving_under_a_guest(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    attach(cloud)
    row = predict_then_do(cloud, "volume", name="data", volume_type="lvm2").values["volume"]
    assert row["status"] == "in-use"
    (order,) = bus.guests
    assert (order["op"], order["volume"]["device"], order["volume"]["source"]["portal"]) == (
        "copy_volume",
        "vdb",
        "vol2:3260",
    )
    assert list(bus.exports.values()) == ["iqn.2026-01.cloud.agentless:kvm1"]
    assert [key[:2] for key in bus.volumes] == [("vol2", "lvm2")]


def test_a_type_that_its_backend_fits(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    cloud.ask("volume_type", name="thin", extra_specs={"driver": "lvm"}, qos={"total_iops_sec": 9})
    bus.done.clear()
    assert predict_then_do(cloud, "volume", name="data", volume_type="thin").values["volume"]["backend"] == "lvm1"
    assert not bus.done


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


def test_a_backend_that_refuses_is_left_for_another(cloud: Cloud, bus: Bus) -> None:
    bus.refuses = {"create@vol1"}
    assert cloud.ask("volume", name="data", size=3).values["volume"]["backend"] == "lvm2"
    assert used(cloud) == {"volumes": 1, "gigabytes": 3, "lvm2": 3}
    with pytest.raises(BackendFailed, match=r"'it' could not be made: vol1: create does not go"):
        cloud.ask("volume", name="it", size=3, volume_type="lvm1")
    cloud.ask("volume", name="data", state="absent")
    assert empty(cloud, bus)


def test_a_host_that_refuses_leaves_all_as_it_was(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    bus.refuses = {"extend@vol1", "create@vol2", "snapshot@vol1"}
    tasks: list[tuple[str, dict[str, Any]]] = [
        ("volume", {"name": "data", "size": 4}),
        ("volume", {"name": "data", "volume_type": "lvm2"}),
        ("volume_snapshot", {"name": "it", "volume": "data"}),
    ]
    for module, args in tasks:
        with pytest.raises(BackendFailed, match="does not go"):
            cloud.ask(module, **args)
        assert (one(cloud)["status"], one(cloud)["size"], one(cloud)["volume_type"]) == ("available", 3, "lvm1")
        assert used(cloud) == {"volumes": 1, "gigabytes": 3, "lvm1": 3}
        assert not bus.exports
        assert not bus.snapshots


def test_a_backend_that_was_set_up_since(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="first", size=1)
    refused(cloud, NoValidHost, ".", name="data", size=500)
    bus.has = {**bus.has, "vol2": [{"name": "big", "driver": "nfs", "total": 900, "capabilities": {}}]}
    assert predict_then_do(cloud, "volume", name="data", size=500).values["volume"]["backend"] == "big"
    with cloud.conductor as conductor, conductor.read() as conn:
        states = {row["name"]: row["state"] for row in records.listing(conn, tables.volume_backends)}
    assert states == {"lvm1": "enabled", "files": "enabled", "lvm2": "disabled", "big": "enabled"}


def test_a_dead_host(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="old", size=1, volume_type="lvm1")
    bus.dead = {"vol1"}
    with pytest.raises(HostUnreachable, match="stays as error with its claim"):
        cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    assert used(cloud)["lvm1"] == 4
    bus.dead = set()
    assert cloud.ask("volume", name="data", size=3, volume_type="lvm1").values["volume"]["status"] == "available"
    for name in ("old", "data"):
        cloud.ask("volume", name=name, state="absent")
    assert empty(cloud, bus)


FLOW: list[tuple[str, dict[str, Any]]] = [
    ("volume", {"name": "data", "size": 3, "volume_type": "lvm1"}),
    ("volume", {"name": "data", "size": 4}),
    ("volume", {"name": "data", "volume_type": "lvm2"}),
    ("volume", {"name": "data", "volume_type": "files"}),
    ("volume_snapshot", {"name": "monday", "volume": "data"}),
    ("volume", {"name": "copy", "snapshot": "monday"}),
    ("volume", {"name": "copy", "state": "absent"}),
    ("volume_snapshot", {"name": "monday", "state": "absent"}),
    ("volume_backup", {"name": "sunday", "volume": "data"}),
    ("volume", {"name": "back", "backup": "sunday"}),
    ("volume_backup", {"name": "sunday", "state": "absent"}),
    ("volume", {"name": "data", "state": "absent", "delete_snapshots": True}),
]


def killer(at: int) -> Callable[[str], None]:
    count = iter(range(1_000))

    def kill(name: str) -> None:
        if next(count) == at:
            raise Gone(f"killed at {name}")

    return kill


@pytest.mark.parametrize("moment", ["call", "reply", "commit", "committed"])
@pytest.mark.parametrize("task", range(len(FLOW)))
def test_killed_anywhere_and_run_again(
    cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch, task: int, moment: str
) -> None:
    """P6: before every call to a host and every commit, and after each of them, so that its answer is lost."""
    for module, args in FLOW[:task]:
        cloud.ask(module, **args)
    module, args = FLOW[task]
    for at in range(20):
        with monkeypatch.context() as patch:
            fault(patch, bus, moment, killer(at))
            try:
                cloud.ask(module, **args)
            except Gone:
                pass
            else:
                break
        left = cloud.ask(module, check=True, **args).changed
        assert cloud.ask(module, **args).changed == left, "what is left undone is foreseen"
        assert not cloud.ask(module, **args).changed
        break_down(cloud, bus, task)
    else:
        pytest.fail("no end")
    assert at > 0, "nothing was killed"


def fault(patch: pytest.MonkeyPatch, bus: Bus, moment: str, kill: Callable[[str], None]) -> None:
    """Have the controller killed at the choke point of that kind."""
    if moment in ("call", "reply"):
        patch.setattr(bus, "before" if moment == "call" else "after", kill)
        return

    def commit(label: str, do: Callable[[], None]) -> None:
        if moment == "commit":
            kill(label)
        do()
        if moment == "committed":
            kill(label)

    patch.setattr(effects, "commit", commit)


def break_down(cloud: Cloud, bus: Bus, task: int) -> None:
    """Look at what is there, remove it all, and be again where the task begins."""
    for row in cloud.ask("volume_info").values["volumes"]:
        assert row["status"] == "available"
        cloud.ask("volume", name=row["name"], state="absent", delete_snapshots=True)
    for row in cloud.ask("volume_backup_info").values["volume_backups"]:
        cloud.ask("volume_backup", name=row["name"], state="absent")
    assert empty(cloud, bus)
    for module, args in FLOW[:task]:
        cloud.ask(module, **args)


def test_one_call_for_each_host(cloud: Cloud, bus: Bus) -> None:
    """Many volumes cost as many calls as there are hosts."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
    from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import create, wanted
    from tests.unit.resources.cloud import validated

    cloud.ask("volume", name="first", size=1)
    bus.calls.clear()
    with cloud.conductor as conductor:
        request = Request({}, False, conductor, cloud.rpc, cloud.groups, "localhost", {})
        with conductor.transaction(lock="placement") as conn:
            wishes = [
                wanted.new(conn, args, wanted.project(conn, args))
                for args in (
                    validated("volume", {"name": f"v{n}", "size": 1, "volume_type": f"lvm{n % 2 + 1}"})
                    for n in range(20)
                )
            ]
            made = create.begin(conn, wishes)
        create.finish(request, [row["id"] for row in made], timeout=60)
    assert sorted(bus.calls) == ["volume_backend:create@vol1", "volume_backend:create@vol2"]
    assert len(bus.volumes) == 21
