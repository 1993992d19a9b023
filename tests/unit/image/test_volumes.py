# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images made of volumes: the real store and qemu-img; a file stands for what the storage host exports."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.image import volumes as host_side
from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx, fill
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadInput,
    HostUnreachable,
    InUse,
    NotFound,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import imports
from tests.unit.image import bus as bus_module
from tests.unit.image.bus import Bus
from tests.unit.image.test_imports import fetchers, killed_at, soon
from tests.unit.resources.cloud import Cloud, predict_then_do

INITIATOR = "iqn.2026-01.cloud.agentless:store"
IQN = "iqn.2026-01.cloud.agentless"


@pytest.fixture
def bus(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setattr(imports, "LOOK", 0.2)
    cloud.rpc = Bus(tmp_path / "state")
    cloud.groups = {"cloud_image": ["store1", "store2"]}
    return cloud.rpc


@pytest.fixture
def let_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Who is let in to which volume."""
    who: dict[str, str] = {}

    def export(_ctx: Any, op: dict[str, Any]) -> dict[str, Any]:
        who[op["id"]] = op["initiator"]
        assert op["secret"]
        return {
            "protocol": "iscsi",
            "portal": "192.0.2.5:3260",
            "iqn": f"{IQN}:{op['backend']}.volume-{op['id']}",
            "lun": 0,
        }

    handlers = {
        "export": export,
        "unexport": lambda _ctx, op: {"changed": who.pop(op["id"], None) is not None},
        "discover": lambda _ctx, _op: {"initiator": INITIATOR},
    }
    monkeypatch.setattr(bus_module, "HANDLERS", {**bus_module.HANDLERS, **handlers})
    return who


@pytest.fixture
def volume(cloud: Cloud, bus: Bus, let_in: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of the volume ``data`` of 1 GiB."""
    content = tmp_path / "content"
    with content.open("wb") as stream:
        stream.truncate(1 << 30)
        stream.seek(8192)
        stream.write(b"written by a guest")

    def opened(export: dict[str, Any], user: str) -> dict[str, Any]:
        key = user.removeprefix("volume-")
        assert let_in[key] == INITIATOR
        portal = "192.0.2.5:3260"
        way = {"protocol": "iscsi", "portal": portal, "portals": [portal]}
        assert export == {**way, "iqn": f"{IQN}:lvm1.volume-{key}", "lun": 0}
        return {"driver": "file", "filename": str(content)}

    monkeypatch.setattr(fill, "opened", opened)
    cloud.hostvars = {**cloud.hostvars, "vol1": {"ansible_host": "192.0.2.5"}}
    with cloud.conductor as conductor, conductor.transaction() as conn:
        made = records.insert(conn, tables.volume_backends, name="lvm1", host="vol1", driver="lvm", total=100)
        project = cloud.ask("project_info", name="default").values["projects"][0]["id"]
        image = {"id": "x", "properties": {"hw_disk_bus": "scsi"}}
        row = {"project_id": project, "name": "data", "size": 1, "backend_id": made["id"], "image": image}
        key: str = volumes.create(conn, row)["id"]
        volumes.move(conn, key, {"creating"}, status="available")
    return key


def status(cloud: Cloud, volume: str) -> str:
    with cloud.conductor as conductor, conductor.read() as conn:
        return str(records.get(conn, tables.volumes, volume)["status"])


def move(cloud: Cloud, volume: str, to: str) -> None:
    with cloud.conductor as conductor, conductor.transaction() as conn:
        volumes.move(conn, volume, {status(cloud, volume)}, status=to)


def test_a_volume_becomes_an_image(cloud: Cloud, bus: Bus, volume: str, let_in: dict[str, str], tmp_path: Path) -> None:
    done = predict_then_do(cloud, "image", name="golden", volume="data")
    row = done.values["image"]
    assert (row["virtual_size"], row["min_disk"], row["disk_format"]) == (1 << 30, 1, "qcow2")
    assert row["properties"] == {"hw_disk_bus": "scsi"}
    (stored,) = bus.files()
    assert row["checksum"] == stored.replace("/", ":")
    flat = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(bus.state / "image-store" / stored)]
    subprocess.run([*flat, str(tmp_path / "raw")], check=True)
    with (tmp_path / "raw").open("rb") as stream:
        stream.seek(8192)
        assert stream.read(18) == b"written by a guest"
    assert (let_in, status(cloud, volume)) == ({}, "available")
    bus.done.clear()
    assert not cloud.ask("image", name="golden", volume=volume).changed
    assert bus.done == []


@pytest.mark.parametrize(
    ("state", "said"),
    [("in-use", "Detach it"), ("extending", "Run again"), ("reading", "Another image"), ("error", "is error")],
)
def test_one_that_is_busy_is_refused(cloud: Cloud, bus: Bus, volume: str, state: str, said: str) -> None:
    move(cloud, volume, state)
    for check in (True, False):
        with pytest.raises(InUse, match=said):
            cloud.ask("image", name="golden", volume="data", check=check)
    assert (bus.done, status(cloud, volume)) == ([], state)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"volume": "date"}, NotFound, "data"),
        ({"volume": "data", "disk_format": "raw"}, BadInput, "becomes a qcow2"),
        ({"volume": "data", "instance": "web1"}, BadInput, "instance and volume are both given"),
    ],
)
def test_what_cannot_be_meant(
    cloud: Cloud, bus: Bus, volume: str, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    for check in (True, False):
        with pytest.raises(error, match=said):
            cloud.ask("image", name="golden", check=check, **options)
    assert bus.done == []


POINTS = ["discover", "export", "import_begin", "import_status", "unexport", "import_read", "import_keep"]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call does not wait, and reading takes so long that also a busy machine asks again before its end."""
    measured = host_side._measured
    monkeypatch.setattr(imports, "FIRST_LOOK", 0)
    monkeypatch.setattr(host_side, "_measured", lambda handle: (time.sleep(1), measured(handle))[1])


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_broken_off_and_run_again(
    cloud: Cloud, bus: Bus, volume: str, let_in: dict[str, str], point: str, killed: bool
) -> None:
    def before(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt if killed else HostUnreachable("gone", host="vol1")

    bus.before = before
    with pytest.raises((KeyboardInterrupt, HostUnreachable)):
        cloud.ask("image", name="golden", volume="data")
    bus.before = lambda name: None
    done = predict_then_do(cloud, "image", name="golden", volume="data")
    assert done.values["image"]["status"] == "active"
    assert (let_in, status(cloud, volume), len(bus.files())) == ({}, "available", 1)
    assert soon(lambda: not fetchers(bus))


def test_removed_while_it_is_read(
    cloud: Cloud, bus: Bus, volume: str, let_in: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = bus.state.with_name("pipe")
    os.mkfifo(pipe)
    monkeypatch.setattr(host_side, "LIMITS", ("sh", "-c", f"cat {pipe}", "sh"))  # reads for ever
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", name="golden", volume="data")
    assert fetchers(bus)
    assert status(cloud, volume) == "reading"
    with pytest.raises(InUse, match="Another image"):
        cloud.ask("image", name="second", volume="data")
    assert cloud.ask("image", name="golden", state="absent").changed
    assert (let_in, status(cloud, volume), bus.files()) == ({}, "available", [])
    assert soon(lambda: not fetchers(bus))
    assert "cat" not in subprocess.run(["fuser", "-v", str(pipe)], capture_output=True, text=True, check=False).stderr


def test_a_volume_that_cannot_be_read(
    cloud: Cloud, bus: Bus, volume: str, let_in: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "opened", lambda *_asked: {"driver": "file", "filename": "/nowhere"})
    with pytest.raises(BackendFailed, match=r"could not be read: .*nowhere"):
        cloud.ask("image", name="golden", volume="data")
    assert (let_in, status(cloud, volume), bus.files()) == ({}, "available", [])
    assert cloud.ask("image_info").values["images"] == []


def test_a_store_that_gets_full(cloud: Cloud, bus: Bus, volume: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_side, "LIMITS", ("sh", "-c", "sleep 20"))
    monkeypatch.setattr(host_side, "_KEEP_FREE", 1 << 60)
    with pytest.raises(BackendFailed, match="does not fit the store"):
        cloud.ask("image", name="golden", volume="data")
    assert (status(cloud, volume), bus.files()) == ("available", [])


EXPORTS: dict[str, dict[str, Any]] = {
    "iscsi": {"portal": "192.0.2.5:3260", "iqn": "iqn.2026-01.x:y", "lun": 0},
    "rbd": {"pool": "vols", "name": "volume-1", "monitors": ["[2001:db8::5]:3300"], "user": "agentless-1"},
    "nfs": {"host": "192.0.2.5", "path": "/srv/volume-1", "uid": 1073741824},
    "gluster": {"hosts": ["192.0.2.5:24007"], "volume": "vols", "path": "volume-1"},
}


@pytest.mark.parametrize("protocol", EXPORTS)
def test_the_secret_is_in_no_argument(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """Whatever the volume is reached by; the store derives Ceph's key, as the storage host does."""
    monkeypatch.setattr(fill, "initiator", lambda: INITIATOR)
    asked = {"export": {"protocol": protocol, **EXPORTS[protocol]}, "user": "u", "secret": "canary"}
    with fill.exported(asked) as (_object, secret, address):
        path = secret.rpartition("file=")[2]
        want = cephx.key("canary", INITIATOR) if protocol == "rbd" else "canary"
        assert (Path(path).read_text(), os.stat(path).st_mode & 0o777) == (want, 0o600)
        assert not [text for text in ("canary", want) if text in secret + address]
        assert json.loads(address.removeprefix("json:"))["file"]["driver"] == protocol
    assert not os.path.exists(path)


def test_what_nobody_can_read() -> None:
    with pytest.raises(BackendError, match="cannot be copied"):
        fill.opened({"protocol": "carrier pigeon"}, "u")
