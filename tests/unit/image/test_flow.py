# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images from file or address to the store and away, on a real database and the real handlers of the image host."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    ChangeRefused,
    CloudError,
    Conflict,
    HostUnreachable,
    ImageRefused,
    InUse,
    NotFound,
    QuotaExceeded,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import ledger, store
from tests.unit.image import craft
from tests.unit.image.bus import Bus
from tests.unit.image.web import Server, gives
from tests.unit.resources.cloud import Cloud, predict_then_do


class Gone(CloudError):
    """Stands for a controller that is killed here."""


@pytest.fixture
def bus(cloud: Cloud, tmp_path: Path) -> Bus:
    cloud.rpc = Bus(tmp_path / "state")
    cloud.groups = {"cloud_image": ["store1"]}
    return cloud.rpc


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return craft.make(tmp_path / "disk.qcow2", "qcow2")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(cloud: Cloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.ask("image_info").values["images"]
    return found


def used(cloud: Cloud) -> int:
    return int(cloud.ask("project_info", name="default").values["projects"][0]["usage"]["images"])


def test_a_file_is_stored_once(cloud: Cloud, bus: Bus, disk: Path) -> None:
    done = predict_then_do(cloud, "image", name="a", filename=str(disk), min_disk=1, tags=["x", "x", "b"])
    row = done.values["image"]
    assert (row["status"], row["checksum"], row["size"]) == ("active", f"sha256:{digest(disk)}", disk.stat().st_size)
    assert (row["virtual_size"], row["store_host"], row["tags"]) == (64 << 20, "store1", ["b", "x"])
    assert bus.files() == [f"sha256/{digest(disk)}"]
    stored = bus.state / "image-store" / bus.files()[0]
    assert stored.stat().st_mode & 0o777 == 0o644
    assert bus.done.count("put") == 1
    predict_then_do(cloud, "image", name="b", filename=str(disk), visibility="public")
    assert bus.done.count("put") == 1, "the same content is stored once"
    assert cloud.ask("image", name="a", state="absent").changed
    assert bus.files(), "the other image has the content"
    assert predict_then_do(cloud, "image", name="b", state="absent").changed
    assert bus.files() == []
    assert (rows(cloud), used(cloud)) == ([], 0)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"min_disk": 2}, [Change("min_disk", 0, 2)]),
        ({"min_ram": 9}, [Change("min_ram", 0, 9)]),
        (
            {"properties": {"hw_disk_bus": "scsi", "on": True}},
            [Change("properties", {}, {"hw_disk_bus": "scsi", "on": "true"})],
        ),
        ({"visibility": "public"}, [Change("visibility", "private", "public")]),
        ({"protected": True}, [Change("protected", False, True)]),
        ({"tags": ["b", "a"]}, [Change("tags", [], ["a", "b"])]),
        ({"container_format": "aki"}, [Change("container_format", "bare", "aki")]),
    ],
)
def test_changed_in_place(cloud: Cloud, bus: Bus, disk: Path, options: dict[str, Any], changes: list[Change]) -> None:
    cloud.ask("image", name="a", filename=str(disk))
    bus.done.clear()
    done = predict_then_do(cloud, "image", name="a", **options)
    assert list(done.changes) == changes
    assert bus.done == []


def test_kernel_and_ramdisk(cloud: Cloud, bus: Bus, disk: Path, tmp_path: Path) -> None:
    blob = craft.raw(tmp_path / "blob")
    kernel = cloud.ask("image", name="k", filename=str(blob), disk_format="aki").values["image"]
    ramdisk = cloud.ask("image", name="r", filename=str(blob), disk_format="ari").values["image"]
    done = predict_then_do(cloud, "image", name="a", filename=str(disk), kernel="k", ramdisk=ramdisk["id"])
    assert (done.values["image"]["kernel"], done.values["image"]["ramdisk"]) == (kernel["id"], ramdisk["id"])
    with pytest.raises(InUse, match="of a"):
        cloud.ask("image", name="k", state="absent")
    with pytest.raises(NotFound):
        cloud.ask("image", name="a", kernel="none")


def test_another_content_is_refused(cloud: Cloud, bus: Bus, disk: Path, tmp_path: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk))
    other = craft.make(tmp_path / "other", "qcow2", "1G")
    for check in (True, False):
        for options in ({"filename": str(other)}, {"checksum": f"sha256:{digest(other)}"}, {"disk_format": "raw"}):
            with pytest.raises(ChangeRefused, match="never changes"):
                cloud.ask("image", name="a", check=check, **options)
    disk.unlink()
    assert not cloud.ask("image", name="a", filename=str(disk), checksum=rows(cloud)[0]["checksum"]).changed
    assert not cloud.ask("image", name="a", uri="http://192.0.2.1/").changed, "nothing is fetched to compare"
    with pytest.raises(BadInput, match="cannot be read"):
        cloud.ask("image", name="a", filename=str(disk))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"disk_format": "raw"}, ImageRefused, "It is qcow2, not raw"),
        ({"checksum": "sha256:" + "0" * 64}, ImageRefused, "not the file that was meant"),
        ({"checksum": "sha512:" + "0" * 128}, BadInput, "sha256sum"),
        ({"filename": "/dev/zero"}, BadInput, "is not a file"),
        ({"filename": "/nowhere/\x01"}, BadInput, "cannot be read"),
        ({"filename": None}, BadInput, "give filename, uri, instance or volume"),
        ({"uri": "http://192.0.2.1/"}, BadInput, "both given"),
        ({"properties": {"a": ["b"]}}, BadInput, "must be a text"),
        ({"tags": ["a\nb"]}, BadInput, "control characters"),
        ({"min_ram": -1}, BadInput, "min_ram"),
    ],
)
def test_refused_and_nothing_left(
    cloud: Cloud, bus: Bus, disk: Path, options: dict[str, Any], error: type[CloudError], said: str
) -> None:
    before = cloud.digest()
    for check in (True, False):
        with pytest.raises(error, match=said):
            cloud.ask("image", check=check, name="a", **{"filename": str(disk), **options})
    assert (cloud.digest(), bus.files(), bus.done) == (before, [], [])


def test_a_disk_larger_than_it_may_be(cloud: Cloud, bus: Bus, tmp_path: Path) -> None:
    large = craft.make(tmp_path / "large", "qcow2", "3G")
    with pytest.raises(ImageRefused, match="min_disk: 3 or more"):
        cloud.ask("image", name="a", filename=str(large), min_disk=2)
    cloud.ask("image", name="a", filename=str(large))
    with pytest.raises(ImageRefused, match="min_disk: 3 or more"):
        cloud.ask("image", name="a", min_disk=2)


def test_protected(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk), protected=True)
    for check in (True, False):
        with pytest.raises(InUse, match="protected"):
            cloud.ask("image", check=check, name="a", state="absent")
    cloud.ask("image", name="a", protected=False)
    assert cloud.ask("image", name="a", state="absent").changed


def test_quota(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("project", name="default", quota={"images": 1})
    cloud.ask("image", name="a", filename=str(disk))
    with pytest.raises(QuotaExceeded):
        cloud.ask("image", name="b", filename=str(disk))
    assert [row["name"] for row in rows(cloud)] == ["a"]


def test_an_inventory_without_image_host(cloud: Cloud, disk: Path) -> None:
    with pytest.raises(BadInput, match="cloud_image"):
        cloud.ask("image", name="a", filename=str(disk))


@pytest.mark.parametrize("point", ["offer", "put", "store"])
def test_broken_off_and_run_again(cloud: Cloud, bus: Bus, disk: Path, point: str) -> None:
    def before(name: str) -> None:
        if name == point:
            raise HostUnreachable("gone", host="store1")

    bus.before = before
    with pytest.raises(HostUnreachable):
        cloud.ask("image", name="a", filename=str(disk))
    assert [row["status"] for row in rows(cloud)] == ["saving"]
    bus.before = lambda name: None
    with pytest.raises(BadInput, match="unfinished"):
        cloud.ask("image", name="a", min_ram=1)
    done = predict_then_do(cloud, "image", name="a", filename=str(disk), min_ram=1)
    assert Change("status", "saving", "active") in done.changes
    assert bus.files() == [f"sha256/{digest(disk)}"]
    assert used(cloud) == 1


def test_killed_and_run_again_with_another_file(
    cloud: Cloud, bus: Bus, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "activate", killed)
        with pytest.raises(KeyboardInterrupt):
            cloud.ask("image", name="a", filename=str(disk))
    assert bus.files() == [f"sha256/{digest(disk)}"]
    other = craft.make(tmp_path / "other", "qcow2", "1G")
    cloud.ask("image", name="a", filename=str(other))
    assert bus.files() == [f"sha256/{digest(other)}"], "nobody needs the first one"


def test_broken_off_and_removed(cloud: Cloud, bus: Bus, disk: Path) -> None:
    def before(name: str) -> None:
        if name == "store":
            raise HostUnreachable("gone", host="store1")

    bus.before = before
    with pytest.raises(HostUnreachable):
        cloud.ask("image", name="a", filename=str(disk))
    assert bus.files()
    bus.before = lambda name: None
    assert cloud.ask("image", name="a", state="absent").changed
    assert (bus.files(), rows(cloud), used(cloud)) == ([], [], 0)


def test_a_removal_broken_off(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("image", name="a", filename=str(disk))

    def before(name: str) -> None:
        if name == "remove":
            raise HostUnreachable("gone", host="store1")

    bus.before = before
    with pytest.raises(HostUnreachable):
        cloud.ask("image", name="a", state="absent")
    for name in ("a", "b"):
        with pytest.raises(Conflict, match="being removed"):
            cloud.ask("image", name=name, filename=str(disk))
    bus.before = lambda name: None
    assert cloud.ask("image", name="a", state="absent").changed
    cloud.ask("image", name="b", filename=str(disk))
    assert [(row["name"], row["status"]) for row in rows(cloud)] == [("b", "active")]


def test_altered_on_the_way(cloud: Cloud, bus: Bus, disk: Path) -> None:
    def before(name: str) -> None:
        if name == "put":
            disk.write_bytes(b"something else")

    bus.before = before
    with pytest.raises(ImageRefused, match="nothing was stored"):
        cloud.ask("image", name="a", filename=str(disk))
    assert (rows(cloud), bus.files(), used(cloud)) == ([], [], 0)


def test_a_parallel_run_of_the_same_task(cloud: Cloud, bus: Bus, disk: Path) -> None:
    """Another fork makes the whole image just before this one stores it."""

    def before(name: str) -> None:
        if name == "offer":
            bus.before = lambda name: None
            assert cloud.ask("image", name="a", filename=str(disk)).changed

    bus.before = before
    done = cloud.ask("image", name="a", filename=str(disk))
    assert done.values["image"]["status"] == "active"
    assert (len(rows(cloud)), used(cloud), len(bus.files())) == (1, 1, 1)


def test_a_host_that_lies(cloud: Cloud, bus: Bus, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lying(_call: Any) -> list[dict[str, Any]]:
        return [{"ok": True, "changed": True, "present": "{{ 1 }}", "checksum": "sha256:" + "1" * 64, "path": "/etc"}]

    monkeypatch.setattr(bus, "call", lying)
    (bus.state / "image-store/incoming").mkdir(parents=True)
    with pytest.raises(CloudError, match="does not confirm"):
        cloud.ask("image", name="a", filename=str(disk))
    assert [row["status"] for row in rows(cloud)] == ["saving"]


def test_from_an_address(cloud: Cloud, bus: Bus, disk: Path, server: Server) -> None:
    server.answers["/d"] = gives(disk.read_bytes())
    options = {"name": "a", "uri": f"{server.base}/d?token=canary"}
    with pytest.raises(ImageRefused, match="allow_local_uri"):
        cloud.ask("image", **options)
    assert (rows(cloud), used(cloud)) == ([], 0)
    done = predict_then_do(cloud, "image", allow_local_uri=True, **options)
    assert done.values["image"]["checksum"] == f"sha256:{digest(disk)}"
    assert len(server.asked) == 1, "check mode and the second run fetch nothing"
    assert b"canary" not in cloud.path.read_bytes()
    done = cloud.ask("image", **{**options, "name": "b"}, allow_local_uri=True, checksum=f"sha256:{digest(disk)}")
    assert done.changed


@pytest.mark.parametrize("content", [b"", b"x" * 512, b"QFI\xfb" + b"\xff" * 600])
def test_refused_from_an_address(cloud: Cloud, bus: Bus, server: Server, content: bytes) -> None:
    server.answers["/d"] = gives(content)
    with pytest.raises(ImageRefused):
        cloud.ask("image", name="a", uri=f"{server.base}/d", allow_local_uri=True)
    assert (rows(cloud), bus.files(), used(cloud)) == ([], [], 0)


def test_a_checksum_is_judged_before_the_content(
    cloud: Cloud,
    bus: Bus,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parsed(*_given: Any) -> int:
        raise AssertionError("parsed before it was known to be the file that was meant")

    monkeypatch.setattr("ansible_collections.agentless.cloud.plugins.plugin_utils.image.inspect.judge", parsed)
    server.answers["/d"] = gives(b"x")
    with pytest.raises(ImageRefused, match="not the file that was meant"):
        cloud.ask("image", name="a", uri=f"{server.base}/d", allow_local_uri=True, checksum="sha256:" + "0" * 64)


def test_projects_share_what_is_public(cloud: Cloud, bus: Bus, disk: Path) -> None:
    cloud.ask("project", name="shop")
    cloud.ask("image", name="a", filename=str(disk))
    assert cloud.ask("image_info", project="shop").values["images"] == []
    cloud.ask("image", name="a", visibility="public")
    assert len(cloud.ask("image_info", project="shop").values["images"]) == 1
    assert not cloud.ask("image", name="a", project="shop", state="absent").changed, "it is not theirs"


def test_where_hosts_fetch_it() -> None:
    image = {"name": "a", "checksum": "sha256:" + "a" * 64}
    groups = {"cloud_image": ["store1"]}
    end = f":8480/sha256/{'a' * 64}"

    def at(**variables: Any) -> str:
        return store.url_for(image, {"store1": variables}, groups)

    assert at() == f"https://store1{end}"
    assert at(ansible_host="192.0.2.1") == f"https://192.0.2.1{end}"
    assert at(ansible_host="192.0.2.1", agentless_management_address="192.0.2.2") == f"https://192.0.2.2{end}"
    assert at(agentless_address="2001:db8::1") == f"https://[2001:db8::1]{end}"
    assert at(image_store_port="81") == f"https://store1:81/sha256/{'a' * 64}"
    assert store.url_for({**image, "store_host": "other"}, {}, groups) == f"https://other{end}"
    with pytest.raises(BadInput, match="no content"):
        store.url_for({**image, "checksum": None}, {}, groups)


def test_the_last_look_is_under_the_lock(cloud: Cloud, bus: Bus, disk: Path) -> None:
    """An image that became protected after the look is not removed."""
    cloud.ask("image", name="a", filename=str(disk))
    real = cloud.rpc
    with cloud.conductor as conductor, conductor.transaction() as conn:
        records.update(conn, tables.images, rows(cloud)[0]["id"], protected=True)
    with pytest.raises(InUse):
        cloud.ask("image", name="a", state="absent")
    assert real.files()
