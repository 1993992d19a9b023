# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances with volumes on the kernel's target: what the guest sees, who is let in, and what is left of it."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.conductor.world import FIGURES

from .cloud import LAB, Played
from .volumes import Site

pytestmark = [pytest.mark.lab, pytest.mark.slow]

LONG = pytest.mark.skipif(FIGURES < 2, reason="the same operations have tests of hosts: AGENTLESS_FIGURES=2")
BOOT = {"flavor": "small", "image": "tiny", "networks": ["front"]}


@pytest.fixture
def clean(site: Site) -> Iterator[Site]:
    """The cloud with neither instances nor volumes, before and after."""
    cloud = site
    yield cloud
    for module, table in (("instance", "instances"), ("volume", "volumes")):
        names = [row[0] for row in cloud.ask(f"SELECT name FROM {table}")]
        if names:
            cloud.tasks(*({f"agentless.cloud.{module}": {"name": name, "state": "absent"}} for name in names))


def volume(cloud: Site, *names: str, **wish: Any) -> None:
    """Have empty volumes."""
    tasks = [{"agentless.cloud.volume": {"name": name, "size": 1, "volume_type": "fast", **wish}} for name in names]
    played = cloud.tasks(*tasks)
    assert played.returncode == 0, played.output


def had(cloud: Site, **wish: Any) -> dict[str, Any]:
    """The instance, when check mode has said what the real run changes and a second run changes nothing."""
    task = {"agentless.cloud.instance": {"timeout": 120, **wish}}
    played = cloud.tasks(*({**task, "diff": True, "check_mode": check} for check in (True, False, False)))
    assert played.returncode == 0, played.output
    check, done, again = played.results
    assert (check["changed"], done["changed"], again["changed"]) == (True, True, False), wish
    assert check["diff"] == done["diff"]
    return dict(done["instance"])


def by_name(instance: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["id"] for row in instance["volumes"]}


def gone(cloud: Site, name: str) -> None:
    played = cloud.tasks({"agentless.cloud.instance": {"name": name, "state": "absent"}})
    assert played.returncode == 0, played.output


def test_the_life_of_volumes(clean: Site) -> None:
    """Booted from, plugged in and out of a guest that runs, taken to another host with what was written there."""
    cloud = clean
    volume(cloud, "data")
    volume(cloud, "more", volume_type="slow")
    boot = {"size": 1, "volume_type": "fast", "delete_on_termination": False}
    box = had(cloud, name="box", boot_volume=boot, volumes=["data"], host="k1", **BOOT)
    assert [(row["name"], row["device"]) for row in box["volumes"]] == [("box-boot", "vda"), ("data", "vdc")]
    assert cloud.let_in() == {key: [cloud.initiator("k1")] for key in by_name(box).values()}
    assert cloud.ask("SELECT used FROM inventories WHERE resource_class = 'DISK_GB' AND used > 0") == []
    cloud.ready(box)
    serials = cloud.guest(box, "cat /sys/block/vd*/serial")
    assert {key[:20] in serials for key in by_name(box).values()} == {True}
    mark = (
        "for d in vda vdb vdc; do grep -q {} /sys/block/$d/serial && echo {} | dd of=/dev/$d bs=1M seek=900; done; sync"
    )
    for name, key in by_name(box).items():
        cloud.guest(box, mark.format(key[:20], f"kept-{name}"))

    both = had(cloud, name="box", volumes=["data", "more"])
    assert "2097152" in cloud.guest(
        both, f"cat $(dirname $(grep -l {by_name(both)['more'][:20]} /sys/block/*/serial))/size"
    )
    limits = cloud.host("k1", f"virsh blkdeviotune {box['id']} vdd")
    assert "total_iops_sec : 2000" in limits
    less = had(cloud, name="box", volumes=["data"])
    assert by_name(both)["more"][:20] not in cloud.guest(less, "cat /sys/block/vd*/serial")
    assert set(cloud.let_in()) == set(by_name(less).values())
    assert cloud.volumes() == {"box-boot": "in-use", "data": "in-use", "more": "available"}

    gone(cloud, "box")
    assert cloud.left_over() == {}
    there = {"boot_volume": {"volume": "box-boot", "delete_on_termination": True}, "volumes": ["data"], "host": "k2"}
    moved = had(cloud, name="other", flavor="small", networks=["front"], **there)
    assert cloud.let_in() == {key: [cloud.initiator("k2")] for key in by_name(box).values()}
    cloud.ready(moved)
    kept = cloud.guest(
        moved, "for d in vda vdb vdc; do dd if=/dev/$d bs=1M skip=900 count=1 2>/dev/null | head -c 13; done"
    )
    assert "kept-box-boot" in kept
    assert "kept-data" in kept
    gone(cloud, "other")
    assert cloud.left_over() == {}
    assert cloud.volumes() == {"data": "available", "more": "available"}


@LONG
def test_two_guests_share_a_volume(clean: Site) -> None:
    """On two hosts, each let in by its own name; each reads what the other wrote, and one may leave."""
    cloud = clean
    volume(cloud, "both", multiattach=True)
    volume(cloud, "alone")
    one = had(cloud, name="one", volumes=["both", "alone"], host="k1", **BOOT)
    two = had(cloud, name="two", volumes=["both"], host="k2", **BOOT)
    key = by_name(two)["both"]
    assert cloud.let_in()[key] == sorted(cloud.initiator(host) for host in ("k1", "k2"))
    refused = cloud.instance(name="two", volumes=["both", "alone"], **BOOT)
    assert (refused.last["error"], "alone" in refused.last["msg"]) == ("InUse", True)
    for guest in (one, two):
        text = cloud.host(guest["compute_host"], f"virsh dumpxml {guest['id']}")
        assert text.count("<shareable/>") == 1
        cloud.ready(guest)
    disk = f"d=/dev/$(basename $(dirname $(grep -l {key[:20]} /sys/block/*/serial)))"
    write = f"{disk}; echo {{0}} | dd of=$d bs=512 seek={{1}} conv=sync,fsync 2>/dev/null"
    read = f"{disk}; echo 3 > /proc/sys/vm/drop_caches; dd if=$d bs=512 skip={{0}} count=1 2>/dev/null | head -c 4"
    for word, place, writer, reader in (("abcd", 8, one, two), ("efgh", 8, two, one), ("ijkl", 16, one, two)):
        cloud.guest(writer, write.format(word, place))
        assert word in cloud.guest(reader, read.format(place))
    had(cloud, name="two", volumes=[])
    assert cloud.let_in()[key] == [cloud.initiator("k1")]
    cloud.guest(one, write.format("mnop", 8))
    assert "mnop" in cloud.guest(one, read.format(8))
    assert cloud.volumes() == {"alone": "in-use", "both": "in-use"}


@LONG
def test_another_type_and_a_host_that_was_restarted(clean: Site) -> None:
    """A guest that runs gets the limits of its volume's new type; the next start, after a power cut, all of it."""
    cloud = clean
    volume(cloud, "data")
    web = had(cloud, name="web", volumes=["data"], host="k2", **BOOT)
    cloud.ready(web)
    (device,) = [row["device"] for row in web["volumes"]]
    cloud.guest(web, f"echo kept-data | dd of=/dev/{device} bs=512 conv=sync,fsync 2>/dev/null")
    kind = {"name": "quick", "backend": "lvm1", "qos": {"total_iops_sec": 700, "total_iops_sec_max": 900}}
    turn = {"agentless.cloud.volume": {"name": "data", "volume_type": "quick"}}
    played = cloud.tasks({"agentless.cloud.volume_type": kind}, turn, turn)
    assert [result["changed"] for result in played.results] == [True, True, False], played.output
    limits = f"virsh blkdeviotune {web['id']} {device}"
    assert "total_iops_sec : 700" in cloud.host("k2", limits)
    kind["qos"] = {"total_bytes_sec": 1 << 26, "cache": "directsync", "iothread": 1}
    assert cloud.tasks({"agentless.cloud.volume_type": kind}).returncode == 0
    assert "total_iops_sec : 700" in cloud.host("k2", limits), "guests that run keep what they have"

    for verb in ("kill", "start"):
        subprocess.run([LAB, verb, cloud.name, "k2"], check=True, capture_output=True)
    assert [row.split()[-1] for row in cloud.host("k2", "virsh -q secret-list").splitlines()] == list(
        by_name(web).values()
    )
    assert [cloud.instance(name="web", **BOOT).last["changed"] for _turn in range(2)] == [True, False]
    text = cloud.host("k2", f"virsh dumpxml {web['id']}")
    assert "cache='directsync'" in text
    assert text.count("iothread='1'") == 1
    said = cloud.host("k2", limits)
    assert ("total_iops_sec : 0" in said, f"total_bytes_sec: {1 << 26}" in said) == (True, True)
    cloud.ready(web)
    assert "kept-data" in cloud.guest(web, f"head -c 9 /dev/{device}")
    gone(cloud, "web")
    assert cloud.left_over() == {}


def test_two_ask_for_one_volume_at_the_same_moment(clean: Site) -> None:
    """One gets it; the other is told who has it, and has nothing claimed."""
    cloud = clean
    volume(cloud, "data")
    results: dict[str, Played] = {}

    def ask(name: str) -> None:
        results[name] = cloud.instance(name=name, volumes=["data"])

    rivals = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    lost = [result.last for result in results.values() if result.returncode != 0]
    assert [each["error"] for each in lost] == ["InUse"]
    assert len(cloud.ask("SELECT id FROM instances")) == len(cloud.ask("SELECT id FROM volume_attachments")) == 1
    assert [len(who) for who in cloud.let_in().values()] == [1]


def test_a_host_that_fails_is_shut_out(clean: Site, tmp_path: Any) -> None:
    """The next host gets an export for its own name, and the failed one has none."""
    cloud = clean
    volume(cloud, "data")
    number = next(int(n) for n, label in effects(cloud, tmp_path, name="probe") if "spawn" in label)
    gone(cloud, "probe")
    played = cloud.instance(name="web", volumes=["data"], environ={"AGENTLESS_FAULT": f"{number}:error@instance"})
    assert played.returncode == 0, played.output
    web = played.last["instance"]
    ((spec,),) = cloud.ask("SELECT spec FROM instances")
    assert {*json.loads(spec)["tried"], web["compute_host"]} == {"k1", "k2"}
    assert cloud.let_in() == {by_name(web)["data"]: [cloud.initiator(web["compute_host"])]}
    gone(cloud, "web")
    assert cloud.left_over() == {}


def effects(cloud: Site, folder: Any, **wish: Any) -> list[tuple[str, str]]:
    """The numbered effects of one task, which is carried out once to see them."""
    trace = folder / "trace"
    played = cloud.instance(volumes=["data"], **wish, environ={"AGENTLESS_FAULT_TRACE": str(trace)})
    assert played.returncode == 0, played.output
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    return [(number, label) for number, _kind, label, _task in lines]


def test_killed_anywhere(clean: Site, tmp_path: Any) -> None:
    """P6: run again, the instance has its volumes; removed, nothing is left. A long run (FIGURES) tries every call."""
    cloud = clean
    volume(cloud, "data")
    boot = {"size": 1, "volume_type": "fast"}
    # What the database alone sees is tried without hosts, in the unit tests.
    traced = [each for each in effects(cloud, tmp_path, name="web", boot_volume=boot) if "_backend" in each[1]]
    gone(cloud, "web")
    for number, label in traced if FIGURES > 1 else traced[1::3]:
        wish: dict[str, Any] = {"name": "web", "boot_volume": boot, "volumes": ["data"]}
        cloud.instance(**wish, environ={"AGENTLESS_FAULT": f"{number}:killed_after@instance"})
        again = cloud.instance(**wish)
        assert again.returncode == 0, f"killed after {label}: {again.output}"
        web = again.last["instance"]
        assert cloud.let_in() == {key: [cloud.initiator(web["compute_host"])] for key in by_name(web).values()}
        assert len(cloud.domains()) == 1
        cloud.instance(name="web", state="absent", environ={"AGENTLESS_FAULT": f"{number}:killed_after@instance"})
        gone(cloud, "web")
        assert cloud.left_over() == {}, f"killed after {label}"
        assert cloud.volumes() == {"data": "available"}
