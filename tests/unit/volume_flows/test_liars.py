# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One storage host that lies: the others are recorded, and it gets no more than the inventory gives it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume.config import DRIVERS
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import PROTOCOLS
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backends
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.abilities import abilities
from tests.unit.resources.cloud import Cloud, predict_then_do
from tests.unit.volume_flows.bus import Bus
from tests.unit.volume_flows.conftest import backend
from tests.unit.volume_flows.looks import refused

LIES: dict[str, list[Any]] = {
    "no end of room": [backend("lvm1", total=float("inf"))],  # type: ignore[arg-type]
    "a number of no database": [backend("lvm1", total=10**30)],
    "the largest number of a database": [backend("lvm1", total=2**62)],
    "a name without end": [backend("l" * 10_000)],
    "one name twice": [backend("lvm1"), backend("lvm1", "nfs")],
    "no end of names": [backend(f"lvm{number}") for number in range(1000)],
    "what it can without end": [{**backend("lvm1"), "capabilities": {"thin": "x" * (1 << 20)}}],
    "a protocol that is not its driver's": [{**backend("lvm1"), "capabilities": {"protocol": "rbd"}}],
    "a protocol that is another driver's": [{**backend("lvm1", "nfs"), "capabilities": {"protocol": "iscsi"}}],
}


def listed(cloud: Cloud) -> dict[str, Any]:
    with cloud.conductor as conductor, conductor.read() as conn:
        return {f"{row['host']}@{row['name']}": row for row in records.listing(conn, tables.volume_backends)}


def full(cloud: Cloud, said: str, size: int, name: str = "more") -> None:
    """Check mode and the real run say so; that writes down what the inventory says of the backend."""
    for check in (True, False):
        with pytest.raises(NoValidHost, match=said):
            cloud.ask("volume", name=name, size=size, volume_type="lvm1", check=check)


@pytest.mark.parametrize("case", LIES)
def test_the_others_are_recorded(cloud: Cloud, bus: Bus, case: str) -> None:
    bus.has = {**bus.has, "vol1": LIES[case]}
    made = predict_then_do(cloud, "volume", name="data", size=1).values["volume"]
    assert made["host"] == "vol2@lvm2"
    assert list(listed(cloud)) == ["vol2@lvm2"]


@pytest.mark.parametrize("case", LIES)
def test_a_lie_told_later_changes_nothing(cloud: Cloud, bus: Bus, case: str) -> None:
    """Asked again for want of room, it stays as it was recorded, and what another host has got since counts."""
    cloud.ask("volume", name="first", size=1)
    bus.has = {"vol1": LIES[case], "vol2": [backend("lvm2", total=900)]}
    made = predict_then_do(cloud, "volume", name="data", size=500).values["volume"]
    assert made["host"] == "vol2@lvm2"
    assert {key: row["total"] for key, row in listed(cloud).items()} == {
        "vol1@lvm1": 100,
        "vol1@files": 100,
        "vol2@lvm2": 900,
    }


def test_one_that_the_database_refuses(cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the form of an answer let through: each host is written by itself."""
    save = backends._save

    def refuse(conn: Any, host: str, news: Any) -> None:
        save(conn, host, news)
        if host == "vol1":
            raise BadInput("the database cannot store a value")

    monkeypatch.setattr(backends, "_save", refuse)
    cloud.ask("volume", name="data", size=1)
    assert list(listed(cloud)) == ["vol2@lvm2"]


def test_the_inventory_says_how_large(cloud: Cloud, bus: Bus) -> None:
    """A host that claims all there can be gets what the inventory counts of it, and draws no volume for its claim."""
    bus.has = {"vol1": [backend("lvm1", total=1 << 30)], "vol2": [backend("lvm2")]}
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "total": 50}]}}
    made = predict_then_do(cloud, "volume", name="data", size=40).values["volume"]
    assert made["host"] == "vol2@lvm2"
    refused(cloud, NoValidHost, "50 GiB left, 51 wanted", name="more", size=51, volume_type="lvm1")
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "total": 20}]}}
    full(cloud, "20 GiB left, 30 wanted", 30)
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "total": 70}]}}
    assert predict_then_do(cloud, "volume", name="more", size=60, volume_type="lvm1").changed
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "total": 10}]}}
    full(cloud, "0 GiB left, 1 wanted", 1, "less")
    assert listed(cloud)["vol1@lvm1"]["total"] == 60, "full, not inconsistent"


@pytest.mark.parametrize("total", ["much", -1, [1], float("inf")])
def test_a_total_that_is_none(cloud: Cloud, bus: Bus, total: Any) -> None:
    cloud.ask("volume", name="first", size=1)
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "total": total}]}}
    refused(cloud, BadInput, "volume_backends, lvm1: total", name="data", size=1)


def test_a_host_offers_what_the_inventory_names(cloud: Cloud, bus: Bus) -> None:
    """It cannot take the name of a neighbour's backend, nor be of another kind than was said."""
    cloud.hostvars = {"vol1": {"volume_backends": [{"name": "lvm1", "driver": "lvm"}]}}
    bus.has = {**bus.has, "vol1": [backend("lvm1"), backend("lvm2", total=5000)]}
    made = predict_then_do(cloud, "volume", name="a", size=1, volume_type="lvm2").values["volume"]
    assert made["host"] == "vol2@lvm2"
    assert set(listed(cloud)) == {"vol1@lvm1", "vol2@lvm2"}
    bus.has = {**bus.has, "vol1": [backend("lvm1", "nfs", total=5000)]}
    refused(cloud, NoValidHost, ".", name="b", size=1000, volume_type="lvm1")
    assert listed(cloud)["vol1@lvm1"]["driver"] == "lvm"


def test_a_backend_stays_of_its_kind(cloud: Cloud, bus: Bus) -> None:
    """Also where the inventory does not say which; the operator's word changes it."""
    cloud.ask("volume", name="a", size=1)
    bus.has = {**bus.has, "vol2": [backend("lvm2", "nfs", total=5000)]}
    refused(cloud, NoValidHost, ".", name="b", size=1000, volume_type="lvm2")
    assert listed(cloud)["vol2@lvm2"]["driver"] == "lvm"
    cloud.hostvars = {"vol2": {"volume_backends": [{"name": "lvm2", "driver": "nfs"}]}}
    assert predict_then_do(cloud, "volume", name="b", size=1000, volume_type="lvm2").changed


def test_abilities_do_not_rename(cloud: Cloud, bus: Bus) -> None:
    """A type that asks for a backend by name is not led elsewhere by what a host says that it can."""
    can = {"volume_backend_name": "lvm2", "driver": "rbd"}
    bus.has = {"vol1": [{**backend("lvm1", total=5000), "capabilities": can}], "vol2": [backend("lvm2")]}
    cloud.ask("volume_type", name="named", extra_specs={"volume_backend_name": "lvm2"})
    made = predict_then_do(cloud, "volume", name="data", size=1, volume_type="named").values["volume"]
    assert made["host"] == "vol2@lvm2"


THIN = {"thin": True, "snapshots": True, "online_extend": True}
THICK = {"thin": False, "snapshots": False, "online_extend": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "lvm": {"vg": "v", "pool": "p"},
    "file": {"path": "/srv/v"},
    "nfs": {"path": "/srv/v"},
    "gluster": {"volume": "gv"},
    "rbd": {"pool": "p", "user": "u"},
}


@pytest.mark.parametrize(
    ("driver", "entry", "said", "want"),
    [
        ("lvm", {}, {"thin": True, "snapshots": False}, THIN),
        ("lvm", {}, {"thin": "yes", "snapshots": True}, THICK),
        ("lvm", {}, {}, THICK),
        ("lvm", {"name": "a"}, {"thin": False}, THIN),
        ("lvm", {"name": "a", "thin": False}, {"thin": True, "snapshots": True}, THICK),
        ("lvm", {"name": "a", "thin": "no"}, {"thin": True}, THICK),
        ("lvm", {}, {"clones": True, "ssd": "yes", "iops": 1 << 40, "volume_backend_name": "gold"}, THICK),
        ("file", {}, {"thin": False, "clones": True, "online_extend": False}, THIN),
        ("nfs", {}, {"thin": False}, THIN),
        ("gluster", {}, {}, THIN),
        ("rbd", {}, {"clones": False}, {**THIN, "clones": True}),
        ("file", {}, {"separate_exports": True}, {**THIN, "separate_exports": True}),
        ("file", {}, {"separate_exports": "yes"}, THIN),
    ],
)
def test_abilities_are_the_drivers(
    driver: str, entry: dict[str, Any], said: dict[str, Any], want: dict[str, Any]
) -> None:
    """What a type can ask for is told by the driver and the inventory; what a host makes up draws no volume."""
    assert abilities(driver, entry, {"protocol": "carrier pigeon", **said}) == {"protocol": PROTOCOLS[driver], **want}


@pytest.mark.parametrize("driver", DRIVERS)
def test_abilities_are_those_that_the_drivers_have(driver: str) -> None:
    """The controller's table says what the halves on storage hosts say of themselves."""
    assert set(DRIVERS) == set(PROTOCOLS)
    for thin in (True, False):
        made = DRIVERS[driver](Context(), {**OPTIONS[driver], "thin": thin})
        said = {"protocol": made.protocol, **made.capabilities}
        assert abilities(driver, {"thin": thin}, {}) == said
        assert abilities(driver, {}, said) == said


def test_an_ability_that_was_made_up(cloud: Cloud, bus: Bus) -> None:
    """Neither a new answer nor one recorded long ago has a type's volumes go to the one who made it up."""
    cloud.ask("volume_type", name="quick", extra_specs={"ssd": "true"})
    quick: dict[str, Any] = {"name": "data", "size": 1, "volume_type": "quick"}
    bus.has = {**bus.has, "vol1": [{**backend("lvm1"), "capabilities": {"thin": True, "ssd": True}}]}
    with pytest.raises(NoValidHost, match="does not report ssd"):
        cloud.ask("volume", **quick)
    with cloud.conductor as conductor, conductor.transaction() as conn:
        row = records.listing(conn, tables.volume_backends, host="vol1")[0]
        records.update(conn, tables.volume_backends, row["id"], capabilities={"ssd": True, "protocol": "rbd"})
    bus.dead.add("vol1")
    for check in (True, False):
        with pytest.raises(NoValidHost, match="vol1@lvm1: does not report ssd"):
            cloud.ask("volume", **quick, check=check)
    assert listed(cloud)["vol1@lvm1"]["capabilities"] == {"protocol": "iscsi", **THICK}
