# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images by ansible-playbook, with the backend as a real module on a host whose directories are the test's own."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.functional.resources.controller import Controller
from tests.functional.resources.test_modules import outline, task
from tests.unit.image import craft
from tests.unit.image.web import gives, half_of, serving


@pytest.fixture
def disk(keeper: Controller) -> Path:
    (keeper.home / "files").mkdir()
    return craft.make(keeper.home / "files" / "disk.qcow2", "qcow2", "8M")


def stored_as(path: Path) -> list[str]:
    return [f"sha256/{hashlib.sha256(path.read_bytes()).hexdigest()}"]


def test_predicted_done_and_done_already(keeper: Controller, disk: Path) -> None:
    keeper.play([task("image_info")])
    phases: list[tuple[list[dict[str, Any]], list[str]]] = [
        (
            [task("image", name="a", filename="disk.qcow2", tags=["x"]), task("image", name="b", filename=str(disk))],
            stored_as(disk),
        ),
        ([task("image", name="a", tags=["y"], min_ram=64)], stored_as(disk)),
        ([task("image", name="a", state="absent"), task("image", name="b", state="absent")], []),
    ]
    for tasks, stored in phases:
        before = keeper.digest(), keeper.stored()
        predicted = keeper.play(tasks, "--check", "--diff")
        assert (keeper.digest(), keeper.stored()) == before
        done = keeper.play(tasks, "--diff")
        assert outline(predicted) == outline(done)
        assert keeper.stored() == stored
        again = keeper.play(tasks, "--diff")
        assert outline(again) == [(False, None)] * len(tasks)


def test_refused_images_leave_nothing(keeper: Controller, disk: Path) -> None:
    craft.make(disk.with_name("backed"), "qcow2", "8M", "-b", str(disk), "-F", "qcow2")
    craft.make(disk.with_name("split"), "qcow2", "8M", "-o", f"data_file={disk.with_name('data')}")
    with serving() as server:
        server.answers["/x"] = gives(b"<html>not found</html>")
        tasks = [
            task("image", name="a", filename="backed"),
            task("image", name="a", filename="split"),
            task("image", name="a", filename="disk.qcow2", disk_format="raw"),
            task("image", name="a", filename="disk.qcow2", checksum="sha256:" + "0" * 64),
            task("image", name="a", uri=f"{server.base}/x"),
            task("image", name="a", uri=f"{server.base}/x", allow_local_uri=True),
        ]
        results = keeper.play([{**each, "ignore_errors": True} for each in tasks] + [task("image_info")])
    assert [result["error"] for result in results[:-1]] == ["ImageRefused"] * len(tasks)
    assert results[-1]["images"] == []
    assert keeper.stored() == []


def test_from_an_address(keeper: Controller, disk: Path) -> None:
    with serving() as server:
        server.answers["/x"] = gives(disk.read_bytes())
        wanted = task("image", name="a", uri=f"{server.base}/x", allow_local_uri=True)
        (first,) = keeper.play([wanted])
        (second,) = keeper.play([wanted])
        assert len(server.asked) == 1
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["image"]["checksum"] == "sha256:" + hashlib.sha256(disk.read_bytes()).hexdigest()
    assert keeper.stored() == stored_as(disk)


# To be killed before an effect is to be killed after the one before it.
FAULTS = {
    "commit": ("killed_after", "reply_lost", "locked"),
    "backend": ("killed_after", "reply_lost", "error"),
    "store": ("command_killed", "disk_full"),
}


def break_each(keeper: Controller, wishes: dict[str, tuple[dict[str, Any], str]]) -> None:
    """Run each task with its fault: a fault that kills the controller in a play of its own, all others in one."""
    together = {}
    for name, (doing, fault) in wishes.items():
        if fault.endswith(":killed_after"):
            keeper.environment = {"AGENTLESS_FAULT": fault}
            keeper.play([doing], fails=True)
        else:
            together[name] = (doing, f"{fault}@image/{name}")
    keeper.environment = {"AGENTLESS_FAULT": ",".join(fault for _doing, fault in together.values())}
    results = keeper.play([{**doing, "ignore_errors": True} for doing, _fault in together.values()])
    keeper.environment = {}
    assert [name for name, result in zip(together, results, strict=True) if not result.get("failed")] == []


@pytest.mark.slow
@pytest.mark.parametrize("state", ["present", "absent"])
def test_broken_anywhere_and_run_again(keeper: Controller, disk: Path, state: str) -> None:
    """P6: after a fault at each numbered effect the next run ends as if nothing had been.

    Each fault has an image of its own, of other bytes than all others; one play runs all of the tasks again.
    """

    def making(name: str) -> dict[str, Any]:
        return task("image", name=name, filename=f"{name}.qcow2")

    def removing(name: str) -> dict[str, Any]:
        return task("image", name=name, state="absent")

    doing, undoing = (making, removing) if state == "present" else (removing, making)
    disk.rename(disk.with_name("a.qcow2"))
    keeper.play([making("a"), removing("a")] if state == "present" else [making("a")])  # host and database meet
    tried = [
        (f"{label}: {fault}", f"{number}:{fault}")
        for number, kind, label in effects_of(keeper, doing("a"), undoing("a"))
        for fault in (*FAULTS[kind], *(FAULTS["store"] if ":store@" in label or ":remove@" in label else ()))
    ]
    names = [f"b{place}" for place in range(len(tried))]
    files = [craft.make(disk.with_name(f"{name}.qcow2"), "qcow2", f"{9 + n}M") for n, name in enumerate(names)]
    if state == "absent":
        keeper.play([removing("a"), *map(making, names)])
    break_each(keeper, {name: (doing(name), fault) for name, (_at, fault) in zip(names, tried, strict=True)})
    *again, listed, found = keeper.play([*map(doing, names), task("image_info", query="[].[name, status]"), FIND])
    assert len(again) == len(tried)
    by_name = dict(listed["images"])
    for name, path, (at, _fault) in zip(names, files, tried, strict=True):
        assert by_name.get(name) == ("active" if state == "present" else None), at
        assert (stored_as(path)[0] in found["msg"]) is (state == "present"), at
    assert len(found["msg"]) == (len(names) if state == "present" else 0), found["msg"]


def test_the_operator_of_the_store_has_to_permit_it(keeper: Controller, disk: Path) -> None:
    assert keeper.host is not None
    told = keeper.host / "etc/image_imports.json"
    with serving() as server:
        server.answers["/x"] = gives(disk.read_bytes())
        wanted = {**task("image", name="a", uri=f"{server.base}/x", allow_local_uri=True), "ignore_errors": True}
        for said in (None, {"allowed": ["0.0.0.0/0"]}, {"allowed": ["127.0.0.1/32"], "denied": ["127.0.0.1/32"]}):
            told.unlink(missing_ok=True)
            if said is not None:
                told.write_text(json.dumps(said))
            (result,) = keeper.play([wanted])
            assert (result["error"], "image_store_import_" in result["msg"]) == ("ImageRefused", True)
        assert server.asked == []
    assert keeper.stored() == []


@pytest.mark.slow
def test_an_import_broken_anywhere_and_run_again(keeper: Controller, disk: Path) -> None:
    """P6 for an image that the store fetches by itself."""
    with serving() as server:

        def doing(name: str) -> dict[str, Any]:
            return task("image", name=name, uri=f"{server.base}/{name}", allow_local_uri=True)

        server.answers["/a"] = gives(disk.read_bytes())
        keeper.play([doing("a"), task("image", name="a", state="absent")])  # host and database meet
        tried = [
            (f"{label}: {fault}", f"{number}:{fault}")
            for number, _kind, label in effects_of(keeper, doing("a"), task("image", name="a", state="absent"))
            for fault in (
                "killed_after",
                "reply_lost",
                *(("command_killed",) if "begin" in label or "keep" in label else ()),
            )
        ]
        names = [f"b{place}" for place in range(len(tried))]
        files = [craft.make(disk.with_name(f"{name}.qcow2"), "qcow2", f"{9 + n}M") for n, name in enumerate(names)]
        for name, path in zip(names, files, strict=True):
            server.answers[f"/{name}"] = gives(path.read_bytes())
        break_each(keeper, {name: (doing(name), fault) for name, (_at, fault) in zip(names, tried, strict=True)})
        for first in range(0, len(names), 5):  # one play would take longer than a play may
            keeper.play([*map(doing, names[first : first + 5])])
        listed, found = keeper.play([task("image_info", query="[].[name, status]"), FIND])
    assert any("import_begin" in at for at, _fault in tried)
    by_name = dict(listed["images"])
    for name, path, (at, _fault) in zip(names, files, tried, strict=True):
        assert (by_name.get(name), stored_as(path)[0] in found["msg"]) == ("active", True), at
    assert len(found["msg"]) == len(names), found["msg"]


def test_a_killed_controller_and_a_store_that_goes_on(keeper: Controller, disk: Path) -> None:
    rest = threading.Event()
    with serving() as server:
        server.answers["/x"] = half_of(disk.read_bytes(), rest)
        wanted = task("image", name="a", uri=f"{server.base}/x", allow_local_uri=True)
        keeper.play([task("image", name="b", filename="disk.qcow2"), task("image", name="b", state="absent")])
        keeper.environment = {"AGENTLESS_FAULT": "2:killed_after"}  # the store was told to begin
        keeper.play([wanted], fails=True)
        keeper.environment = {}
        assert [path.rpartition(".")[2] for path in keeper.stored()] == ["import", "json"]
        rest.set()
        (done,) = keeper.play([wanted])
        assert len(server.asked) == 1
    assert done["image"]["status"] == "active"
    assert keeper.stored() == stored_as(disk)


# Looked at by the controller, in whose view the image host's directories are.
FIND = {
    "name": "find",
    "ansible.builtin.debug": {
        "msg": "{{ lookup('pipe', 'cd /var/lib/agentless/image-store && find * -type f').splitlines() }}"
    },
}


def effects_of(keeper: Controller, doing: dict[str, Any], undoing: dict[str, Any]) -> list[list[str]]:
    """Number, kind and name of each effect of a task; it is undone again."""
    trace = keeper.home / "trace"
    keeper.environment = {"AGENTLESS_FAULT_TRACE": str(trace)}
    keeper.play([doing])
    keeper.environment = {}
    keeper.play([undoing])
    effects = [line.split("\t")[:3] for line in trace.read_text().splitlines()]
    assert len(effects) >= 3
    return effects
