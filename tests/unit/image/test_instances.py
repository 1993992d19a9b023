# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images made of the disks of instances: real disks and qemu-img, no libvirt."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import exports
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.clock import new_id
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadInput,
    BadReply,
    HostUnreachable,
    InUse,
    NotFound,
)
from tests.unit.image import craft
from tests.unit.image.bus import HANDLERS, Bus
from tests.unit.resources.cloud import Cloud, predict_then_do


def qemu_img(*words: str) -> str:
    return subprocess.run(["qemu-img", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether libvirt says that the guest runs."""
    state = [False]
    domain = SimpleNamespace(isActive=lambda: state[0])
    monkeypatch.setattr(exports.connection, "require", lambda _instance: domain)
    return state


@pytest.fixture
def bus(cloud: Cloud, tmp_path: Path) -> Bus:
    cloud.rpc = Bus(tmp_path / "state")
    cloud.groups = {"cloud_image": ["store1"]}
    return cloud.rpc


@pytest.fixture
def guest(cloud: Cloud, bus: Bus, running: list[bool]) -> str:
    """The id of the stopped instance ``web1`` on ``k1``, whose disk lies over an image and has data of its own."""
    base = craft.raw(bus.state.with_name("base"))
    craft.patched(base, 4096, b"from the image")
    key = new_id()
    where = bus.directory("k1") / "instances" / key
    where.mkdir(parents=True)
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(where / "disk.qcow2"), "1G")
    patch = bus.state.with_name("patch")
    patch.write_bytes(b"written by the guest".ljust(512, b"\0"))
    write = f"write -q -s {patch} 8192 512"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", write, str(where / "disk.qcow2")], check=True)
    image = {"id": new_id(), "name": "debian", "properties": {"hw_disk_bus": "scsi"}}
    with cloud.conductor as conductor, conductor.transaction() as conn:
        host = records.insert(conn, cell.hosts, name="k1")
        project = cloud.ask("project_info", name="default").values["projects"][0]["id"]
        flavor = {"name": "small", "vcpus": 1, "ram": 64, "disk": 1}
        values = {"id": key, "project_id": project, "name": "web1", "status": "SHUTOFF", "host_id": host["id"]}
        instances.create(conn, {**values, "flavor": flavor, "image": image})
    return key


def left(bus: Bus, guest: str) -> list[str]:
    return sorted(os.listdir(bus.directory("k1") / "instances" / guest))


def test_the_disk_as_one_file(cloud: Cloud, bus: Bus, guest: str, tmp_path: Path) -> None:
    done = predict_then_do(cloud, "image", name="golden", instance="web1", tags=["x"])
    row = done.values["image"]
    assert (row["disk_format"], row["virtual_size"], row["min_disk"]) == ("qcow2", 1 << 30, 1)
    assert (row["properties"], row["status"]) == ({"hw_disk_bus": "scsi"}, "active")
    (stored,) = bus.files()
    assert row["checksum"] == stored.replace("/", ":")
    flat = bus.state / "image-store" / stored
    assert "backing" not in qemu_img("info", "-f", "qcow2", str(flat))
    qemu_img("convert", "-f", "qcow2", "-O", "raw", str(flat), str(tmp_path / "raw"))
    content = (tmp_path / "raw").read_bytes()
    assert (content[4096:4110], content[8192:8212]) == (b"from the image", b"written by the guest")
    assert left(bus, guest) == ["disk.qcow2"], "the host keeps no copy"
    bus.done.clear()
    assert not cloud.ask("image", name="golden", instance=guest).changed
    assert bus.done == [], "what is an image already is not read again"


def test_what_the_task_says_counts(cloud: Cloud, bus: Bus, guest: str) -> None:
    done = predict_then_do(cloud, "image", name="golden", instance=guest, properties={"a": "b"}, min_disk=3)
    assert (done.values["image"]["properties"], done.values["image"]["min_disk"]) == ({"a": "b"}, 3)


def test_one_that_runs_is_refused(cloud: Cloud, bus: Bus, guest: str, running: list[bool]) -> None:
    with cloud.conductor as conductor, conductor.transaction() as conn:
        instances.move(conn, guest, {"SHUTOFF"}, status="ACTIVE")
    for check in (True, False):
        with pytest.raises(InUse, match=r"web1' is ACTIVE.*state: stopped"):
            cloud.ask("image", name="golden", instance="web1", check=check)
    assert bus.done == []
    with cloud.conductor as conductor, conductor.transaction() as conn:
        instances.move(conn, guest, {"ACTIVE"}, status="SHUTOFF")
    running[0] = True  # by hand, past our record
    with pytest.raises(InUse, match="running"):
        cloud.ask("image", name="golden", instance="web1")
    assert cloud.ask("image_info").values["images"] == []
    assert left(bus, guest) == ["disk.qcow2"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"instance": "web2"}, NotFound, "web1"),
        ({"instance": "web1", "disk_format": "raw"}, BadInput, "becomes a qcow2"),
        ({"instance": "web1", "checksum": f"sha256:{'0' * 64}"}, BadInput, "nobody knows"),
        ({"instance": "web1", "uri": "http://192.0.2.1/"}, BadInput, "uri and instance are both given"),
    ],
)
def test_what_cannot_be_meant(
    cloud: Cloud, bus: Bus, guest: str, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    for check in (True, False):
        with pytest.raises(error, match=said):
            cloud.ask("image", name="golden", check=check, **options)
    assert bus.done == []


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "how large"),
        (0, "how large"),
        (-1, "how large"),
        ("1", "how large"),
        (True, "how large"),
        (2 << 30, "at most"),
        (1 << 62, "at most"),
    ],
)
def test_a_host_that_lies_about_the_size(
    cloud: Cloud, bus: Bus, guest: str, size: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HANDLERS, "export_disk", lambda _ctx, _op: {"changed": True, "size": size})
    with pytest.raises(BadReply, match=said):
        cloud.ask("image", name="golden", instance="web1")
    assert "fetch_file" not in bus.done


def test_one_without_a_disk_has_no_bound(cloud: Cloud, bus: Bus, guest: str) -> None:
    """What its host would say that it has could be as large as the controller's temporary directory."""
    with cloud.conductor as conductor, conductor.transaction() as conn:
        flavor = {**records.get(conn, cell.instances, guest)["flavor"], "disk": 0}
        records.update(conn, cell.instances, guest, flavor=flavor)
    for check in (True, False):
        with pytest.raises(BadInput, match="has no disk of its own"):
            cloud.ask("image", name="golden", instance="web1", check=check)
    assert bus.done == []


@pytest.mark.parametrize("point", ["export_disk", "fetch_file", "put", "store"])
def test_broken_off_and_run_again(cloud: Cloud, bus: Bus, guest: str, point: str) -> None:
    for stop in (KeyboardInterrupt, HostUnreachable("gone", host="k1")):

        def before(name: str, stop: Any = stop) -> None:
            if name == point:
                raise stop

        bus.before = before
        with pytest.raises((KeyboardInterrupt, HostUnreachable)):
            cloud.ask("image", name="golden", instance="web1")
    bus.before = lambda name: None
    done = predict_then_do(cloud, "image", name="golden", instance="web1")
    assert (done.values["image"]["status"], done.values["image"]["min_disk"]) == ("active", 1)
    assert left(bus, guest) == ["disk.qcow2"]
    assert len(bus.files()) == 1


def test_a_copy_that_cannot_be_cleared_is_no_failure(cloud: Cloud, bus: Bus, guest: str) -> None:
    def before(name: str) -> None:
        if name == "export_absent":
            raise HostUnreachable("gone", host="k1")

    bus.before = before
    assert cloud.ask("image", name="golden", instance="web1").changed
    bus.before = lambda name: None
    (copy,) = (name for name in left(bus, guest) if name != "disk.qcow2")
    path = bus.directory("k1") / "instances" / guest / copy
    os.utime(path, (time.time() - exports.FORGOTTEN - 1,) * 2)
    assert cloud.ask("image", name="second", instance="web1").changed
    assert left(bus, guest) == ["disk.qcow2"]


@pytest.mark.parametrize("image", [None, "", "../../x", "a" * 36])
def test_an_image_that_is_none(tmp_path: Path, guest: str, image: Any) -> None:
    ctx = Context(state_dir=str(tmp_path))
    for handler in (exports.export_disk, exports.export_absent):
        with pytest.raises(BackendError, match="UUID"):
            handler(ctx, {"id": guest, "image": image, "timeout": 9})


def test_a_guest_without_a_disk_of_its_own(cloud: Cloud, bus: Bus, guest: str) -> None:
    (bus.directory("k1") / "instances" / guest / "disk.qcow2").unlink()
    with pytest.raises(BackendFailed, match="no disk of its own"):
        cloud.ask("image", name="golden", instance="web1")
    assert left(bus, guest) == []


def test_a_full_disk_leaves_nothing(cloud: Cloud, bus: Bus, guest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    little = SimpleNamespace(f_bavail=1, f_frsize=1)
    with monkeypatch.context() as patch:
        patch.setattr(exports.os, "statvfs", lambda _path: little)
        with pytest.raises(BackendFailed, match=r"bytes, and .* has 1 left"):
            cloud.ask("image", name="golden", instance="web1")
    assert (left(bus, guest), cloud.ask("image_info").values["images"]) == (["disk.qcow2"], [])
