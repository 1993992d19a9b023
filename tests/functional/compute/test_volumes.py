# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes over iSCSI with CHAP on a real libvirtd: plugged in, written, grown, copied, unplugged, nothing left."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import VolumeDisk
from tests.functional.compute.machine import TREE, Machine

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SECRET = "canary-secret-7Qx"
WHERE = "/srv/test-volumes"


class Target:
    """tgt on the test host: one target with CHAP for each volume."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.made = 0

    def export(self, volume_id: str, place: str = "a", mib: int = 64) -> dict[str, Any]:
        """A volume's export on a backend named ``place``."""
        self.made += 1
        iqn, path = f"iqn.2026-01.cloud.agentless:{place}-volume-{volume_id}", f"{WHERE}/{place}-{volume_id}"
        tgt, tid = "tgtadm --lld iscsi", self.made
        user = f"{volume_id}{place}"
        self.machine.shell(
            f"mkdir -p {WHERE}; truncate -s {mib}M {path} && {tgt} --op new --mode target --tid {tid} -T {iqn} && "
            f"{tgt} --op new --mode logicalunit --tid {tid} --lun 1 -b {path} && "
            f"{tgt} --op bind --mode target --tid {tid} -I ALL && "
            f"{tgt} --op new --mode account --user {user} --password {SECRET} && "
            f"{tgt} --op bind --mode account --tid {tid} --user {user}"
        )
        return {"protocol": "iscsi", "portal": "127.0.0.1:3260", "iqn": iqn, "lun": 1, "user": user}


@pytest.fixture(scope="module")
def target(machine: Machine) -> Iterator[Target]:
    """tgt, running."""
    machine.shell("systemctl start tgt; for n in $(seq 50); do tgtadm --op show --mode sys && break; sleep 0.1; done")
    yield Target(machine)
    machine.shell(f"systemctl stop tgt; rm -rf {WHERE}", check=False)


@pytest.fixture
def guest(machine: Machine) -> str:
    """A guest that is ready: that of the test before, if it runs and has neither volumes nor secrets."""
    found = machine.kept
    if (
        found is None
        or machine.shell(f"virsh domstate {found}", check=False).strip() != "running"
        or has(machine, found)
    ):
        machine.kept = None
        machine.tidy()
        spec = machine.spec("vol")
        machine.run([machine.spawn(spec)])
        machine.ready(spec.id)
        machine.kept = found = spec.id
    return found


def has(machine: Machine, guest: str) -> str:
    """What there is of volumes in the guest and for it, in one text."""
    names = "; ".join(
        f"virsh -q domblklist {flag} {guest} | grep -v -e ' vda ' -e ' vdb '" for flag in ("", "--inactive")
    )
    return machine.shell(f"{names}; virsh -q secret-list; true").strip()


def volume(source: dict[str, Any], volume_id: str, secret: str = SECRET, device: str = "vdc") -> dict[str, Any]:
    """What the operations carry."""
    made: dict[str, Any] = {"id": volume_id, "serial": volume_id, "device": device, "source": source, "secret": secret}
    return {**made, "user": source.get("user")}


def places(machine: Machine, instance_id: str) -> list[list[str]]:
    """The volumes' sources in the running domain and in its definition."""
    texts = [machine.shell(f"virsh dumpxml {flag} {instance_id}") for flag in ("", "--inactive")]
    return [re.findall(r"<source (?:protocol='iscsi' name|file)='([^']*volume-[^']*)'", text) for text in texts]


def secrets(machine: Machine) -> str:
    """libvirt's secrets."""
    return machine.shell("virsh -q secret-list").strip()


def foreseen(machine: Machine, op: str, instance_id: str, described: dict[str, Any]) -> bool:
    """Whether the operation would change anything, asked in check mode."""
    call = json.loads(machine.command([{"op": op, "id": instance_id, "volume": described}]))
    call["ANSIBLE_MODULE_ARGS"]["_ansible_check_mode"] = True
    reply = json.loads(machine.shell(f"PYTHONPATH={TREE} python3 {TREE}/driver.py", stdin=json.dumps(call).encode()))
    assert reply["results"][0]["ok"], reply
    return bool(reply["results"][0]["changed"])


def test_spawned_with_a_volume_and_destroyed(machine: Machine, target: Target) -> None:
    """The secret is there before the domain, and goes with it, also when the spawn was killed before the domain."""
    key = str(uuid.uuid4())
    source = target.export(key)
    disk = VolumeDisk(key, "vdb", source, user=source["user"], secret=SECRET, iotune={"total_iops_sec": 500})
    spec = machine.spec("vol", volumes=(disk,))
    assert machine.run([machine.spawn(spec)], "define") == []
    assert key in secrets(machine)
    machine.one("destroy", spec.id)
    assert secrets(machine) == ""
    assert machine.run([machine.spawn(spec)])[0]["ok"] is True
    machine.ready(spec.id)
    assert key[:20] in machine.talk(spec.id, "cat /sys/block/vdb/serial")
    machine.one("destroy", spec.id)
    assert (secrets(machine), machine.remains()) == ("", "")


def test_a_volume_comes_and_goes(machine: Machine, target: Target, guest: str) -> None:
    """Plugged in, written by the guest, copied to another place under it, unplugged; twice is once; nothing left."""
    key = str(uuid.uuid4())
    first = volume(target.export(key), key)
    assert machine.run([{"op": "attach_volume", "id": guest, "volume": {**first, "secret": "wrong"}}])[0]["ok"] is False
    assert (secrets(machine), places(machine, guest)) == ("", [[], []])
    assert foreseen(machine, "attach_volume", guest, first) is True
    assert (secrets(machine), places(machine, guest)) == ("", [[], []])
    results = [machine.one("attach_volume", guest, volume=first) for _turn in range(2)]
    assert [result["changed"] for result in results] == [True, False]
    live, kept = places(machine, guest)
    assert live == kept == [f"{first['source']['iqn']}/1"]
    other = str(uuid.uuid4())
    stranger = {**first, "id": other, "serial": other}
    for wrong in (stranger, volume({"protocol": "file", "path": f"{WHERE}/volume-{other}"}, other)):
        assert machine.run([{"op": "attach_volume", "id": guest, "volume": wrong}])[0]["ok"] is False
    assert machine.one("detach_volume", guest, volume={"id": other, "device": "vdc"})["changed"] is False
    assert foreseen(machine, "detach_volume", guest, {"id": key}) is True
    assert key[:20] in machine.talk(guest, "cat /sys/block/vdc/serial")
    machine.talk(guest, "echo written-before | dd of=/dev/vdc bs=512 conv=sync 2>/dev/null; sync")
    assert SECRET not in machine.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /etc/libvirt/qemu/*.xml")
    assert SECRET not in machine.shell("cat /var/log/libvirt/qemu/*.log; journalctl --no-pager")

    second = volume(target.export(key, "b"), key)
    assert machine.run([{"op": "copy_volume", "id": guest, "volume": second}], "pivot") == []
    results = [machine.one("copy_volume", guest, volume=second) for _turn in range(2)]
    assert [result["changed"] for result in results] == [True, False]
    live, kept = places(machine, guest)
    assert live == kept == [f"{second['source']['iqn']}/1"]
    machine.talk(guest, "echo written-after | dd of=/dev/vdc bs=512 seek=1 conv=sync 2>/dev/null; sync")
    assert "written-after" in machine.shell(f"head -c 1024 {WHERE}/b-{key} | tr -d '\\0'")
    assert "written-before" in machine.shell(f"head -c 1024 {WHERE}/b-{key} | tr -d '\\0'")

    results = [machine.one("detach_volume", guest, volume={"id": key}) for _turn in range(2)]
    assert [(result["changed"], result["released"]) for result in results] == [(True, True), (False, True)]
    assert (secrets(machine), places(machine, guest)) == ("", [[], []])
    assert "vdc" not in machine.talk(guest, "ls /sys/block")


def test_a_running_guest_sees_its_volume_grow(machine: Machine, guest: str) -> None:
    """And it is never made smaller."""
    key = str(uuid.uuid4())
    path = f"{WHERE}/volume-{key}"
    machine.shell(f"mkdir -p {WHERE}; truncate -s 1G {path}")
    made = volume({"protocol": "file", "path": path}, key)
    machine.one("attach_volume", guest, volume=made)
    for size, changed in ((1, False), (2, True), (2, False)):
        assert machine.one("resize_volume", guest, volume={"id": key, "size": size})["changed"] is changed
    assert "4194304" in machine.talk(guest, "cat /sys/block/vdc/size")
    assert machine.run([{"op": "resize_volume", "id": guest, "volume": {"id": key, "size": 1}}])[0]["ok"] is False
    machine.one("detach_volume", guest, volume={"id": key})


@pytest.mark.parametrize("effect", ["secret", "plug"])
def test_killed_on_the_way_in_and_out(machine: Machine, target: Target, guest: str, effect: str) -> None:
    """The next run ends where an undisturbed one does."""
    key = str(uuid.uuid4())
    made = volume(target.export(key), key)
    assert machine.run([{"op": "attach_volume", "id": guest, "volume": made}], effect) == []
    machine.one("attach_volume", guest, volume=made)
    live, kept = places(machine, guest)
    assert live == kept != []
    for out in ("unplug", "release"):
        assert machine.run([{"op": "detach_volume", "id": guest, "volume": {"id": key}}], out) == []
    machine.one("detach_volume", guest, volume={"id": key})
    assert (secrets(machine), places(machine, guest)) == ("", [[], []])


def test_limits_io_threads_and_a_stopped_guest(machine: Machine, guest: str) -> None:
    """Limits with bursts and an io thread are in both places; a stopped guest's definition is changed alone."""
    key = str(uuid.uuid4())
    machine.shell(f"mkdir -p {WHERE}; truncate -s 64M {WHERE}/volume-{key}")
    limits = {"total_iops_sec": 500, "total_iops_sec_max": 1000, "total_iops_sec_max_length": 5}
    made = {**volume({"protocol": "file", "path": f"{WHERE}/volume-{key}"}, key), "iotune": limits, "iothread": 1}
    machine.one("attach_volume", guest, volume=made)
    for place in ("--live", "--config"):
        said = machine.shell(f"virsh blkdeviotune {guest} vdc {place}")
        assert {name: int(re.findall(rf"^{name}\s*: (\d+)", said, re.MULTILINE)[0]) for name in limits} == limits
    assert machine.shell(f"virsh dumpxml {guest}").count("iothread='1'") == 1
    machine.one("detach_volume", guest, volume={"id": key})
    machine.one("stop", guest, hard=True)
    results = [machine.one("attach_volume", guest, volume=made) for _turn in range(2)]
    assert [result["changed"] for result in results] == [True, False]
    assert machine.one("resize_volume", guest, volume={"id": key, "size": 1})["changed"] is False
    machine.one("start", guest)
    machine.ready(guest)
    assert key[:20] in machine.talk(guest, "cat /sys/block/vdc/serial")
    assert machine.one("detach_volume", guest, volume={"id": key})["released"] is True
    assert places(machine, guest) == [[], []]


TOTALS = {"total_bytes_sec": 1 << 30, "total_bytes_sec_max": 1 << 31, "total_bytes_sec_max_length": 7}
PARTS = {
    **{f"{which}_{unit}_sec": 1 << 20 for which in ("read", "write") for unit in ("bytes", "iops")},
    **{f"{which}_{unit}_sec_max": 1 << 21 for which in ("read", "write") for unit in ("bytes", "iops")},
    **{f"{which}_{unit}_sec_max_length": 9 for which in ("read", "write") for unit in ("bytes", "iops")},
    "size_iops_sec": 4096,
}


def in_force(machine: Machine, guest: str, place: str) -> dict[str, int]:
    """The limits of the volume, without those that are not set."""
    said = machine.shell(f"virsh blkdeviotune {guest} vdc {place}")
    found = {name: int(value) for name, value in re.findall(r"^(\w+)\s*: (\d+)", said, re.MULTILINE)}
    return {name: value for name, value in found.items() if value and found.get(name.partition("_length")[0])}


def driver(machine: Machine, guest: str, flag: str = "") -> dict[str, str]:
    """What the volume's driver says, running or as it is defined."""
    text = machine.shell(f"virsh dumpxml {flag} {guest}")
    (disk,) = re.findall(r"<driver[^>]*>(?=(?:(?!</disk>).)*<target dev='vdc')", text.replace("\n", " "))[-1:]
    return {name: value for name, value in re.findall(r"(\w+)='(\w+)'", disk) if name in volume_xml.TUNING}


def test_each_key_reaches_the_guest_and_changes_under_it(machine: Machine, guest: str) -> None:
    """Limits at once, the rest at the next start; twice is once, and what a type no longer says is taken away."""
    key = str(uuid.uuid4())
    machine.shell(f"mkdir -p {WHERE}; truncate -s 64M {WHERE}/volume-{key}")
    first = {"cache": "writethrough", "discard": "unmap", "detect_zeroes": "unmap", "iothread": 2}
    made = volume({"protocol": "file", "path": f"{WHERE}/volume-{key}"}, key)
    machine.one("attach_volume", guest, volume={**made, **first, "iotune": PARTS})
    for place, flag in (("--live", ""), ("--config", "--inactive")):
        assert in_force(machine, guest, place) == PARTS
        assert driver(machine, guest, flag) == {name: str(value) for name, value in first.items()}

    second = {"cache": "directsync", "discard": "ignore", "iothread": 3}
    for tuned, limits in ((second, TOTALS), ({}, {})):
        about = {"id": key, **tuned, "iotune": limits}
        assert foreseen(machine, "tune_volume", guest, about) is True
        results = [machine.one("tune_volume", guest, volume=about) for _turn in range(2)]
        assert [result["changed"] for result in results] == [True, False]
        assert in_force(machine, guest, "--live") == in_force(machine, guest, "--config") == limits
        assert driver(machine, guest) == {name: str(value) for name, value in first.items()}
        wanted = {name: str(value) for name, value in {"cache": "none", "discard": "unmap", **tuned}.items()}
        assert driver(machine, guest, "--inactive") == wanted
    machine.one("tune_volume", guest, volume={"id": key, **second, "iotune": TOTALS})
    machine.one("stop", guest, hard=True)
    machine.one("start", guest)
    assert driver(machine, guest) == {name: str(value) for name, value in second.items()}
    assert in_force(machine, guest, "--live") == TOTALS
    machine.ready(guest)
    assert machine.one("detach_volume", guest, volume={"id": key})["released"] is True
    for gone in (key, str(uuid.uuid4())):
        assert machine.one("tune_volume", guest, volume={"id": gone, **second})["changed"] is False
    wrong = {"id": key, "cache": "unsafe"}
    assert "cache is one of" in machine.run([{"op": "tune_volume", "id": guest, "volume": wrong}])[0]["msg"]


def test_limits_of_a_flavor(machine: Machine) -> None:
    """They are those of the instance's own disk."""
    spec = machine.spec(
        "tuned", halts=True, extra_specs={f"quota:disk_{name}": str(value) for name, value in PARTS.items()}
    )
    assert machine.run([machine.spawn(spec)])[0]["ok"] is True
    said = machine.shell(f"virsh blkdeviotune {spec.id} vda")
    assert {name: int(re.findall(rf"^{name}\s*: (\d+)", said, re.MULTILINE)[0]) for name in PARTS} == PARTS
    machine.one("destroy", spec.id)


def test_a_scsi_disk_in_a_guest_without_scsi(machine: Machine, guest: str) -> None:
    """The controller that guests have a driver for comes with it, once."""
    key = str(uuid.uuid4())
    machine.shell(f"mkdir -p {WHERE}; truncate -s 64M {WHERE}/volume-{key}")
    made = volume({"protocol": "file", "path": f"{WHERE}/volume-{key}"}, key, device="sda")
    results = [machine.one("attach_volume", guest, volume=made) for _turn in range(2)]
    assert [result["changed"] for result in results] == [True, False]
    for flag in ("", "--inactive"):
        assert machine.shell(f"virsh dumpxml {flag} {guest}").count("model='virtio-scsi'") == 1
    assert machine.one("detach_volume", guest, volume={"id": key})["released"] is True
    assert places(machine, guest) == [[], []]
