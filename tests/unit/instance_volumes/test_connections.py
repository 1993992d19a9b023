# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes whose type says how their host reaches them: placed where that can be, refused elsewhere, told to it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, InUse, NoValidHost
from tests.unit.instance_volumes.hosts import Hosts
from tests.unit.resources.cloud import Cloud, predict_then_do
from tests.unit.volume_flows.looks import one

BOOT = {"flavor": "small", "image": "debian"}
ABLE = {"c1": [], "c2": ["host", "multipath"]}


@pytest.fixture
def told(cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The compute operations of a test; c2 alone can do more than QEMU, and is the last choice."""
    operations: list[dict[str, Any]] = []
    before, discover = hosts._one, hosts._discover

    def said(host: str, op: dict[str, Any]) -> dict[str, Any]:
        return {**discover(host, op), **({"connections": ABLE[host]} if host in ABLE else {})}

    def watched(call: Any) -> Any:
        operations.extend(op for op in call.operations if call.module == "compute_backend")
        return before(call)

    monkeypatch.setattr(hosts, "_discover", said)
    monkeypatch.setattr(hosts, "_one", watched)
    for name in ABLE:
        cloud.ask("host", name=name, allocation_ratios={"cpu": 8.0 if name == "c1" else 4.0})
    for way in ("host", "multipath"):
        cloud.ask("volume_type", name=way, backend="lvm1", extra_specs={"connection": way})
    operations.clear()
    return operations


@pytest.mark.parametrize("way", ["host", "multipath"])
def test_placed_where_it_can_be(cloud: Cloud, told: list[dict[str, Any]], way: str) -> None:
    cloud.ask("volume", name="data", size=1, volume_type=way)
    assert predict_then_do(cloud, "instance", name="plain", **BOOT).values["instance"]["compute_host"] == "c1"
    shown = predict_then_do(cloud, "instance", name="web", volumes=["data"], **BOOT).values["instance"]
    assert shown["compute_host"] == "c2"
    (spawn,) = [op for op in told if op["op"] == "spawn" and op.get("volumes")]
    (volume,) = spawn["volumes"]
    assert volume["connection"] == way
    disk = ElementTree.fromstring(spawn["xml"]).find(f"devices/disk[serial='{volume['id']}']")
    assert disk is not None
    source = disk.find("source")
    assert source is not None
    assert (disk.get("type"), source.attrib) == ("block", {"dev": connections.device_path(volume)})


def test_booted_from_and_the_story(cloud: Cloud, told: list[dict[str, Any]]) -> None:
    boot = {"size": 4, "volume_type": "host"}
    shown = cloud.ask("instance", name="web", boot_volume=boot, **BOOT).values["instance"]
    assert shown["compute_host"] == "c2"
    filtered = shown["placement"]["explanation"]["filtered"]
    assert not filtered or filtered == [
        {"filter": "Connections", "host": "c1", "reason": "cannot reach volumes by host"}
    ]
    with pytest.raises(NoValidHost, match="Connections"):
        cloud.ask("instance", name="other", boot_volume=boot, host="c1", **BOOT)
    assert [row["name"] for row in cloud.ask("volume_info").values["volumes"]] == ["web-boot"]
    assert told


def test_refused_before_anything_is_claimed(cloud: Cloud, told: list[dict[str, Any]]) -> None:
    cloud.ask("volume", name="data", size=1, volume_type="multipath")
    cloud.ask("instance", name="web", host="c1", **BOOT)
    told.clear()
    for check in (True, False):
        with pytest.raises(BadInput, match="c1 cannot reach volumes by multipath"):
            cloud.ask("instance", check=check, name="web", volumes=["data"])
    assert told == []
    assert (one(cloud, "data")["status"], one(cloud, "data")["attachments"]) == ("available", [])


def test_steady_while_attached(cloud: Cloud, told: list[dict[str, Any]]) -> None:
    """The way stays as it is; multipath, which knows volumes by their serial, does not move either."""
    cloud.ask("volume_type", name="far", backend="lvm2", extra_specs={"connection": "host"})
    cloud.ask("volume_type", name="far ways", backend="lvm2", extra_specs={"connection": "multipath"})
    cloud.ask("volume", name="a", size=1, volume_type="host")
    cloud.ask("volume", name="b", size=1, volume_type="multipath")
    cloud.ask("instance", name="web", volumes=["a", "b"], **BOOT)
    for name, kind, said in (
        ("a", "lvm1", "attached by host, and the type 'lvm1' says qemu"),
        ("a", "far ways", "says multipath"),
        ("b", "far ways", "take its new place for another way"),
    ):
        with pytest.raises(InUse, match=said):
            cloud.ask("volume", name=name, volume_type=kind)
    assert [one(cloud, name)["host"] for name in ("a", "b")] == ["vol1@lvm1", "vol1@lvm1"]
    told.clear()
    assert cloud.ask("volume", name="a", volume_type="far").values["volume"]["host"] == "vol2@lvm2"
    (copy,) = [op for op in told if op["op"] == "copy_volume"]
    assert copy["volume"]["connection"] == "host"
