# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in several stores, which fetch from each other over real HTTP."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadInput,
    CloudError,
    Conflict,
    HostUnreachable,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import store, stores
from tests.unit.image import craft
from tests.unit.image.bus import Bus
from tests.unit.image.tls import Authority
from tests.unit.resources.cloud import Cloud, predict_then_do

NAMES = ["store1", "store2", "store3"]


@contextmanager
def served(directory: Path, authority: Authority) -> Iterator[int]:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(directory))

        def log_message(self, *_given: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.secure(httpd)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield httpd.server_port
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.fixture
def bus(cloud: Cloud, tmp_path: Path, trusted: Authority) -> Iterator[Bus]:
    bus = cloud.rpc = Bus(tmp_path / "state")
    cloud.groups = {"cloud_image": NAMES}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(served(bus.directory(name) / "image-store", trusted)) for name in NAMES}
        cloud.hostvars = {name: {"ansible_host": "127.0.0.1", "image_store_port": port} for name, port in ports.items()}
        yield bus


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return craft.make(tmp_path / "disk.qcow2", "qcow2")


def file(disk: Path) -> str:
    return f"sha256/{hashlib.sha256(disk.read_bytes()).hexdigest()}"


def having(bus: Bus, disk: Path) -> list[str]:
    return [name for name in NAMES if bus.files(name) == [file(disk)]]


def stops_at(bus: Bus, point: str, *, after: int = 0) -> None:
    left = [after]

    def before(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] < 0:
            raise KeyboardInterrupt

    bus.before = before


def test_made_in_two_then_moved_then_removed(cloud: Cloud, bus: Bus, disk: Path) -> None:
    done = predict_then_do(cloud, "image", name="a", filename=str(disk), stores=["store2", "store1"])
    assert (done.values["image"]["stores"], done.values["image"]["store_host"]) == (["store2", "store1"], "store2")
    assert having(bus, disk) == ["store1", "store2"]
    assert bus.done.count("put") == 1, "the controller sends it once; the stores copy it"
    done = predict_then_do(cloud, "image", name="a", stores=["store3", "store2"])
    assert done.changes == [Change("stores", ["store2", "store1"], ["store3", "store2"])]
    assert having(bus, disk) == ["store2", "store3"]
    predict_then_do(cloud, "image", name="a", stores=["store2", "store3"], min_ram=1)
    assert not cloud.ask("image", name="a", min_ram=1).changed, "what is not said stays"
    predict_then_do(cloud, "image", name="a", stores=["store1"])
    assert having(bus, disk) == ["store1"]
    predict_then_do(cloud, "image", name="a", stores=NAMES)
    predict_then_do(cloud, "image", name="a", state="absent")
    assert [bus.files(name) for name in NAMES] == [[], [], []]


@pytest.mark.parametrize(
    ("given", "said"),
    [([], "at least one"), (["store1", "store1"], "twice"), (["store9"], "has store1, store2, store3")],
)
def test_stores_that_cannot_be_meant(cloud: Cloud, bus: Bus, disk: Path, given: list[str], said: str) -> None:
    for check in (True, False):
        with pytest.raises(BadInput, match=said):
            cloud.ask("image", check=check, name="a", filename=str(disk), stores=given)
    cloud.ask("image", name="a", filename=str(disk))
    with pytest.raises(BadInput, match=said):
        cloud.ask("image", name="a", stores=given)


def test_a_lost_file_is_brought_back(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk), stores=NAMES)
    for name in ("store1", "store3"):
        (bus.directory(name) / "image-store" / file(disk)).unlink()
    assert not cloud.ask("image", name="a").changed, "stores are asked only where the task names them"
    done = predict_then_do(cloud, "image", name="a", stores=NAMES)
    assert done.changes == [Change(f"stores.{name}", "lost", "present") for name in ("store1", "store3")]
    assert having(bus, disk) == NAMES
    for name in NAMES:
        (bus.directory(name) / "image-store" / file(disk)).unlink()
    with pytest.raises(BackendFailed, match=r"No store has the content .* Give filename"):
        cloud.ask("image", name="a", stores=NAMES)
    assert cloud.ask("image", name="a", stores=NAMES, filename=str(disk)).changed
    assert having(bus, disk) == NAMES


def test_a_store_that_does_not_answer(cloud: Cloud, bus: Bus, disk: Path) -> None:
    bus.dead = {"store3"}
    with pytest.raises(HostUnreachable, match=r"could not be copied to store3.* It is in store1, store2"):
        cloud.ask("image", name="a", filename=str(disk), stores=NAMES)
    (row,) = cloud.ask("image_info").values["images"]
    assert (row["status"], row["stores"]) == ("active", ["store1", "store2"])
    assert not cloud.ask("image", name="a", stores=["store1", "store2"], check=True).values["image"]["stores"][2:]
    with pytest.raises(HostUnreachable):  # something may be left there
        cloud.ask("image", name="a", state="absent")
    bus.dead = set()
    with pytest.raises(Conflict, match="being removed"):
        cloud.ask("image", name="a", filename=str(disk), stores=NAMES)
    assert cloud.ask("image", name="a", state="absent").changed
    assert [bus.files(name) for name in NAMES] == [[], [], []]
    cloud.ask("image", name="a", filename=str(disk), stores=NAMES)
    bus.dead = {"store1"}
    assert not cloud.ask("image", name="a", stores=NAMES).changed, "what does not answer has lost nothing"


@pytest.mark.parametrize(("point", "after"), [("fetch", 0), ("fetch", 1), ("remove", 0), ("put", 0), ("store", 0)])
def test_killed_and_run_again(cloud: Cloud, bus: Bus, disk: Path, point: str, after: int) -> None:
    steps: list[dict[str, Any]] = [
        {"filename": str(disk), "stores": ["store1", "store2", "store3"]},
        {"filename": str(disk), "stores": ["store3"]},
    ]
    killed = 0
    for step in steps:
        stops_at(bus, point, after=after)
        try:
            cloud.ask("image", name="a", **step)
        except KeyboardInterrupt:
            killed += 1
            bus.before = lambda name: None
            assert cloud.ask("image", name="a", check=True, **step).changed
            cloud.ask("image", name="a", **step)
        bus.before = lambda name: None
        assert not cloud.ask("image", name="a", **step).changed
        assert having(bus, disk) == step["stores"]
    assert killed == 1
    cloud.ask("image", name="a", state="absent")
    assert [bus.files(name) for name in NAMES] == [[], [], []]


def test_what_another_image_needs_stays(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk), stores=["store1", "store2"])
    cloud.ask("image", name="b", filename=str(disk), stores=["store2", "store3"])
    cloud.ask("image", name="a", stores=["store1"])
    assert having(bus, disk) == NAMES, "b needs it in store2"
    cloud.ask("image", name="b", state="absent")
    assert having(bus, disk) == ["store1"]
    cloud.ask("image", name="b", filename=str(disk), stores=["store2"])
    cloud.ask("image", name="a", state="absent")
    assert having(bus, disk) == ["store2"]


def test_nothing_is_copied_to_where_it_is_being_removed(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk), stores=["store1", "store2"])

    def gone(name: str) -> None:
        if name == "remove":
            raise HostUnreachable("gone")

    bus.before = gone
    with pytest.raises(CloudError):
        cloud.ask("image", name="a", stores=["store1"])
    bus.before = lambda name: None
    cloud.ask("image", name="b", filename=str(disk))
    with pytest.raises(Conflict, match="removed from store2"):
        cloud.ask("image", name="b", stores=["store1", "store2"])
    with pytest.raises(Conflict, match="removed from store2"):
        cloud.ask("image", name="c", filename=str(disk), stores=["store2"])
    predict_then_do(cloud, "image", name="a", stores=["store1"])
    cloud.ask("image", name="b", stores=["store1", "store2"])
    assert having(bus, disk) == ["store1", "store2"]


def test_a_copy_is_checked(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk), stores=["store1", "store2"])
    for name in ("store1", "store2"):
        path = bus.directory(name) / "image-store" / file(disk)
        craft.patched(path, 100, b"other")
        if name == "store1":
            with_one_bad = predict_then_do(cloud, "image", name="a", stores=NAMES)
            assert with_one_bad.changed, "store2 has it"
            cloud.ask("image", name="a", stores=["store1", "store2"])
    with pytest.raises(CloudError, match=r"could not be copied to store3.*has the SHA-256"):
        cloud.ask("image", name="a", stores=NAMES)
    assert bus.files("store3") == []


@pytest.mark.parametrize(
    ("host", "zone", "order"),
    [
        (None, None, "a b c d"),
        ("k", "z2", "b a c d"),
        ("k", "z3", "a b c d"),
        ("c", "z2", "c b a d"),
        ("d", "z9", "a b c d"),
    ],
)
def test_the_nearest_is_asked_first(host: str | None, zone: str | None, order: str) -> None:
    """``d`` is not known to have it, and comes last whatever is near."""
    image = {
        "name": "i",
        "checksum": f"sha256:{'0' * 64}",
        "stores": dict.fromkeys("abc", "present") | {"e": "copying"},
    }
    hostvars = {"b": {"image_store_zone": "z2"}, "c": {"cell_zone": "z3", "host_zone": "z1"}, "d": {"cell_zone": "z9"}}
    groups = {"cloud_image": list("abcd")}
    assert stores.nearest(image, hostvars, groups, host=host, zone=zone) == order.split()
    urls = store.sources(image, hostvars, groups, host=host, zone=zone)
    assert urls == [store.url_at(name, image, hostvars) for name in order.split()]


def test_an_image_from_before_there_were_several() -> None:
    image = {"checksum": f"sha256:{'0' * 64}", "store_host": "old", "stores": None}
    assert stores.holding(image) == ["old"]
    assert store.url_for(image, {}, {"cloud_image": ["new"]}).partition("://")[2].startswith("old:")
    assert stores.changes(image, ["old", "new"], []) == [Change("stores", ["old"], ["old", "new"])]
