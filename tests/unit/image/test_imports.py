# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images that a store fetches by itself, with a process of its own that outlives the call."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.image import imports as host_side
from ansible_collections.agentless.cloud.plugins.module_utils.image import pace
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadReply,
    HostUnreachable,
    ImageRefused,
    Timeout,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import imports
from tests.unit.image.bus import Bus
from tests.unit.image.web import Server, drips, gives, half_of, leads_to
from tests.unit.resources.cloud import Cloud, predict_then_do


@pytest.fixture
def bus(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setattr(imports, "LOOK", 0.2)
    cloud.rpc = Bus(tmp_path / "state")
    cloud.groups = {"cloud_image": ["store1", "store2"]}
    return cloud.rpc


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(3 << 20))
    made = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(made)], check=True)
    return made.read_bytes()


@pytest.fixture
def rest(server: Server, content: bytes) -> Iterator[threading.Event]:
    """``/d`` gives half of the content, and the rest when this is set."""
    event = threading.Event()
    server.answers["/d"] = half_of(content, event)
    yield event
    event.set()


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def fetchers(bus: Bus) -> list[int]:
    """Processes that have a file of the store open, other than this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(bus.state) in os.readlink(entry) and int(entry.parts[2]) != os.getpid():
                found.append(int(entry.parts[2]))
        except OSError:
            continue
    return sorted(set(found))


def soon(true: Callable[[], Any]) -> bool:
    for _try in range(100):
        if true():
            return True
        time.sleep(0.05)
    return False


def asked(server: Server, **more: Any) -> dict[str, Any]:
    return {"name": "a", "uri": f"{server.base}/d", "allow_local_uri": True, **more}


def killed_at(bus: Bus, point: str) -> None:
    def before(name: str) -> None:
        if name == point:
            bus.before = lambda name: None
            raise KeyboardInterrupt

    bus.before = before


def test_how_far_it_is(cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event) -> None:
    bus.before = lambda name: rest.set() if bus.done.count("import_status") == 3 else None
    done = cloud.ask("image", **asked(server))
    assert done.values["image"]["checksum"] == checksum(content)
    half = [line for line in cloud.told if "store1 has" in line]
    assert re.fullmatch(r"a: store1 has 2 MiB of 3 MiB \((49|50) %\)", half[-1])
    assert bus.files() == [checksum(content).replace(":", "/")]
    assert (bus.state / "image-store" / bus.files()[0]).stat().st_mode & 0o777 == 0o644
    assert "put" not in bus.done, "nothing goes through the controller"
    assert soon(lambda: not fetchers(bus))


@pytest.mark.parametrize("form", ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_every_format_is_judged_from_afar(cloud: Cloud, bus: Bus, server: Server, tmp_path: Path, form: str) -> None:
    raw, made = tmp_path / "raw", tmp_path / "made"
    raw.write_bytes(os.urandom(4 << 20))
    tool = {"vhd": "vpc"}.get(form, form)
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", tool, str(raw), str(made)], check=True)
    server.answers["/d"] = gives(made.read_bytes())
    done = predict_then_do(cloud, "image", **asked(server, disk_format=form))
    assert done.values["image"]["virtual_size"] >= 4 << 20
    other = "raw" if form == "qcow2" else "qcow2"
    with pytest.raises(ImageRefused, match=f"not {other}"):
        cloud.ask("image", **asked(server, name="b", disk_format=other))
    assert len(bus.files()) == 1


@pytest.mark.parametrize("point", ["import_status", "import_read", "import_keep"])
def test_a_killed_controller_is_joined(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event, point: str
) -> None:
    if point != "import_status":
        rest.set()
    killed_at(bus, point)
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    rest.set()
    assert soon(lambda: not fetchers(bus)), "it goes on by itself, and ends"
    assert cloud.ask("image", **asked(server)).values["image"]["checksum"] == checksum(content)
    assert len(server.asked) == 1, "nothing is fetched twice"
    assert len(bus.files()) == 1


def test_a_killed_fetcher_is_begun_anew(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event
) -> None:
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    (pid,) = fetchers(bus)
    os.kill(pid, signal.SIGKILL)
    assert soon(lambda: not fetchers(bus))
    rest.set()
    assert cloud.ask("image", **asked(server)).values["image"]["checksum"] == checksum(content)
    assert len(server.asked) == 2


def test_a_fetcher_that_dies_under_our_eyes(cloud: Cloud, bus: Bus, server: Server, rest: threading.Event) -> None:
    def before(name: str) -> None:
        if name == "import_status":
            for pid in fetchers(bus):
                os.kill(pid, signal.SIGKILL)

    bus.before = before
    with pytest.raises(BackendFailed, match="no more"):
        cloud.ask("image", **asked(server))
    assert (bus.files(), cloud.ask("image_info").values["images"]) == ([], [])


LIES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a checksum that is a path": ({"state": "done", "size": 1, "checksum": "sha256:../../etc/passwd"}, BadReply),
    "a checksum that does things to a terminal": ({"state": "done", "size": 1, "checksum": "\x1b[2J"}, BadReply),
    "no checksum": ({"state": "done", "size": 1}, BadReply),
    "a state": ({"state": "\x1b[2J\nPLAY RECAP" * 1000, "size": 1}, BackendFailed),
    "a reason": ({"state": "failed", "msg": "\x1b[2J\nPLAY RECAP" * 1000}, BackendFailed),
    "a size beyond any disk": ({"state": "done", "size": 10**400, "checksum": f"sha256:{'a' * 64}"}, BackendFailed),
    "a negative size": ({"state": "running", "size": -1}, BackendFailed),
    "a total beyond any disk": ({"state": "running", "size": 1, "total": 10**400}, Timeout),
}


@pytest.mark.parametrize(("said", "error"), LIES.values(), ids=list(LIES))
def test_a_store_that_lies_about_how_far_it_is(
    cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], error: type[BackendFailed]
) -> None:
    monkeypatch.setattr(imports, "STUCK", -1.0)
    honest = bus.call
    asking = ("import_begin", "import_status")
    monkeypatch.setattr(bus, "call", lambda call: [dict(said)] if call.operations[0]["op"] in asking else honest(call))
    with pytest.raises(error) as caught:
        cloud.ask("image", name="a", uri="http://images.example/d")
    for shown in (caught.value.msg, *cloud.told):
        assert shown.isprintable()
        assert len(shown) < 2300
    assert "sha256:.." not in str(cloud.ask("image_info").values)


def test_another_address_ends_the_first(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event
) -> None:
    server.answers["/other"] = gives(content)
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    (first,) = fetchers(bus)
    done = cloud.ask("image", **asked(server, uri=f"{server.base}/other"))
    assert done.values["image"]["checksum"] == checksum(content)
    rest.set()
    assert soon(lambda: first not in fetchers(bus))
    assert len(bus.files()) == 1


def test_joined_while_it_comes(cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event) -> None:
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    bus.before = lambda name: rest.set() if name == "import_status" else None
    assert cloud.ask("image", **asked(server)).values["image"]["checksum"] == checksum(content)
    assert len(server.asked) == 1


def test_removed_while_it_comes(cloud: Cloud, bus: Bus, server: Server, rest: threading.Event) -> None:
    server.answers["/d"] = drips(rest)
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    assert fetchers(bus)
    assert cloud.ask("image", name="a", state="absent").changed
    assert soon(lambda: not fetchers(bus)), "it notices that nobody wants it"
    assert (bus.files(), cloud.ask("image_info").values["images"]) == ([], [])


def test_a_store_that_is_not_reached(cloud: Cloud, bus: Bus, server: Server, rest: threading.Event) -> None:
    """It may be fetching still, so the record stays and the next run joins."""

    def before(name: str) -> None:
        if name == "import_status":
            bus.before = lambda name: None
            raise HostUnreachable("gone", host="store1")

    bus.before = before
    with pytest.raises(HostUnreachable):
        cloud.ask("image", **asked(server))
    rest.set()
    assert cloud.ask("image", **asked(server)).changed
    assert len(server.asked) == 1


def test_another_store_after_a_kill(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, rest: threading.Event
) -> None:
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server))
    server.answers["/d"] = gives(content)
    done = cloud.ask("image", **asked(server, stores=["store2"]))
    assert done.values["image"]["stores"] == ["store2"]
    rest.set()
    assert soon(lambda: not fetchers(bus))
    assert (bus.files("store1"), len(bus.files("store2"))) == ([], 1)


def test_nothing_comes_any_more(
    cloud: Cloud, bus: Bus, server: Server, rest: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(imports, "STUCK", 0.1)
        with pytest.raises(Timeout, match="run again"):
            cloud.ask("image", **asked(server))
    assert cloud.ask("image", name="a", state="absent").changed
    with monkeypatch.context() as patch:
        patch.setattr(pace, "STALLED", 0.3)
        with pytest.raises(ImageRefused, match="could not be fetched: it is too slow"):
            cloud.ask("image", **asked(server))
    assert (bus.files(), cloud.ask("image_info").values["images"]) == ([], [])


def test_a_store_without_room(cloud: Cloud, bus: Bus, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/d"] = gives(b"x", length=1 << 40)
    with pytest.raises(ImageRefused, match="does not fit the store"):
        cloud.ask("image", **asked(server))
    assert bus.files() == []


def test_hops_are_looked_at_on_the_store(cloud: Cloud, bus: Bus, server: Server) -> None:
    server.answers["/d"] = leads_to("ftp://example.org/x")
    with pytest.raises(ImageRefused, match="redirects where it may not"):
        cloud.ask("image", **asked(server))
    with pytest.raises(ImageRefused, match="allow_local_uri"):
        cloud.ask("image", **asked(server, allow_local_uri=False))
    assert bus.files() == []


@pytest.mark.parametrize(
    ("said", "error", "match"),
    [
        (None, ImageRefused, "image_store_import_allowed"),
        ({"allowed": ["0.0.0.0/0"]}, ImageRefused, "image_store_import_allowed"),
        ({"allowed": ["127.0.0.1/32"], "denied": ["127.0.0.0/8"]}, ImageRefused, "image_store_import_denied"),
        ({"allowed": ["127.0.0.1/32"], "own": ["127.0.0.1"]}, ImageRefused, "the image store itself"),
        ({"allowed": ["127.0.0.1/32"], "max_gib": 0}, ImageRefused, "image_store_import_max_gib"),
        ({"allowed": "127.0.0.1"}, BackendFailed, "nothing is fetched"),
    ],
)
def test_what_the_store_does_not_permit(
    cloud: Cloud, bus: Bus, server: Server, told: Path, said: Any, error: type[Exception], match: str
) -> None:
    """The store's own file counts, whatever the task says."""
    server.answers["/d"] = gives(b"x" * 100)
    told.write_text(json.dumps(said)) if said else told.unlink()
    with pytest.raises(error, match=match):
        cloud.ask("image", **asked(server, allow_local_uri=True))
    assert (bus.files(), cloud.ask("image_info").values["images"]) == ([], [])
    assert bool(server.asked) is ("max_gib" in (said or {}))


def test_the_address_is_written_nowhere(cloud: Cloud, bus: Bus, server: Server, rest: threading.Event) -> None:
    killed_at(bus, "import_status")
    with pytest.raises(KeyboardInterrupt):
        cloud.ask("image", **asked(server, uri=f"{server.base}/d?token=canary"))
    lying = [path.read_bytes() for path in (bus.state / "image-store").rglob("*") if path.is_file()]
    assert len(lying) == 2
    assert not any(b"canary" in each for each in [*lying, cloud.path.read_bytes()])
    (pid,) = fetchers(bus)
    assert b"canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"content": "!"}, "sent no content"),
        ({"content": "eHg="}, "sent 2 bytes"),
        ({}, "sent no content|sent . bytes"),
    ],
)
def test_a_store_that_lies_about_what_came(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, answer: dict[str, Any], said: str
) -> None:
    server.answers["/d"] = gives(content)
    real = bus.call

    def lying(call: Any) -> list[dict[str, Any]]:
        return [answer] if call.operations[0]["op"] == "import_read" else real(call)

    bus.call = lying  # type: ignore[method-assign]  # the bus is this test's own
    with pytest.raises(BadReply, match=said):
        cloud.ask("image", **asked(server))


def test_a_store_that_is_never_done(cloud: Cloud, bus: Bus, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says again and again that a little more has come, which no honest one does for longer than it may."""
    monkeypatch.setattr(pace, "LONGEST", 0.3)
    monkeypatch.setattr(imports, "STUCK", 0.3)
    sizes = iter(range(10**6))
    bus.call = lambda call: [{"state": "running", "size": next(sizes)}]  # type: ignore[method-assign]
    with pytest.raises(Timeout, match="must give up"):
        cloud.ask("image", **asked(server))


def test_what_cannot_be_told_is_not_read_for_ever(
    cloud: Cloud, bus: Bus, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_MOST", 1 << 20)
    server.answers["/d"] = gives(content)
    with pytest.raises(ImageRefused, match="cannot be told"):
        cloud.ask("image", **asked(server))


def test_a_note_about_another_file_says_nothing(tmp_path: Path, server: Server) -> None:
    """What a fetcher notes at its end, when its file was just removed, is not taken for the next one's."""
    server.answers["/d"] = gives(b"x" * 100)
    ctx = Context(state_dir=str(tmp_path))
    op = {"id": "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", "uri": f"{server.base}/d", "allow_local": True, "wait": 5}
    done = host_side.begin(ctx, op)
    assert (done["state"], done["size"]) == ("done", 100)
    data = tmp_path / "image-store" / "incoming" / f"{op['id']}.import"
    data.rename(data.with_suffix(".old"))
    data.write_bytes(b"y" * 100)
    assert host_side.status(ctx, op) == {"state": "absent"}
    with pytest.raises(BackendError, match="not here any more"):
        host_side.keep(ctx, {**op, "checksum": done["checksum"], "size": 100})
