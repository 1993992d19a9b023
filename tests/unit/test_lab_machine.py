# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for of whole machines among the test hosts, and what is remembered of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from agentless_lab import cli, host, inventory, lab, machine, qemu, uml
from agentless_lab.system import LabError


@pytest.mark.parametrize(
    ("names", "disks", "want"),
    [
        ([], [], {}),
        (["m"], [], {"m": ()}),
        (["m", "n"], ["n=2G", "m=512M", "n=1G"], {"m": ("512M",), "n": ("2G", "1G")}),
    ],
)
def test_disks_go_to_their_machines_in_the_order_given(
    names: list[str], disks: list[str], want: dict[str, tuple[str, ...]]
) -> None:
    assert cli._machines(names, disks) == want


@pytest.mark.parametrize(
    ("disks", "complaint"),
    [(["m"], "MACHINE=SIZE"), (["=1G"], "MACHINE=SIZE"), (["other=1G"], "named by --machine")],
)
def test_disks_of_nobody_are_refused(disks: list[str], complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        cli._machines(["m"], disks)


@pytest.mark.parametrize("disks", [("",), ("0G",), ("4",), ("4T",), ("-1G",), ("1G,readonly=on",), ("1G",) * 9])
def test_sizes_that_cannot_be_meant_are_refused(disks: tuple[str, ...]) -> None:
    with pytest.raises(LabError, match="at most 8 disks"):
        lab.Plan(name="x", hosts=("m",), machines={"m": disks}).check()


IMAGE = Path("/then")


@pytest.mark.parametrize(
    ("recorded", "want"),
    [
        ({"machine_kind": "uml", "processors": {"m": 1}}, machine.Machine(IMAGE, "uml", ("1G",), 1)),
        ({"machine_kind": "kvm", "processors": {}}, machine.Machine(IMAGE, "kvm", ("1G",))),
        ({"accelerator": "kvm"}, machine.Machine(IMAGE, "kvm", ("1G",))),  # as it was called when all were of QEMU
        ({}, machine.Machine(IMAGE, "tcg", ("1G",))),  # as it was recorded before machines could run by anything else
    ],
)
def test_a_machine_boots_again_as_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: dict[str, Any], want: machine.Machine
) -> None:
    """Not from the image that a newer recipe makes: its kernel has no modules on the disk of this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    content = {"number": 7, "hosts": ["a", "m"], "machines": {"m": ["1G"]}, "machine_image": str(IMAGE), **recorded}
    place = lab.directory("one")
    place.mkdir(parents=True)
    (place / "lab.json").write_text(json.dumps(content))
    container, made = lab.hosts_of("one")
    assert container.machine is None
    assert made.machine == want


@pytest.mark.parametrize(
    ("asked", "environment", "works", "want"),
    [
        (None, None, {"uml", "kvm"}, "uml"),
        (None, "", {"uml", "kvm"}, "uml"),
        (None, None, {"kvm"}, "kvm"),
        (None, None, set(), "tcg"),
        (None, "tcg", {"uml", "kvm"}, "tcg"),
        (None, "qemu", {"uml", "kvm"}, "kvm"),
        (None, "qemu", {"uml"}, "tcg"),
        ("kvm", "tcg", {"uml", "kvm"}, "kvm"),
        ("uml", "tcg", {"uml"}, "uml"),
    ],
)
def test_the_quickest_kind_that_works_unless_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, environment: str | None, works: set[str], want: str
) -> None:
    monkeypatch.delenv(machine.VARIABLE, raising=False)
    if environment is not None:
        monkeypatch.setenv(machine.VARIABLE, environment)
    monkeypatch.setattr(machine, "image", lambda _flavor: IMAGE)
    monkeypatch.setattr(machine, "starts", lambda kind, _kept: kind in works)
    assert machine.choose("full", asked).kind == want


@pytest.mark.parametrize(
    ("asked", "complaint"), [("uml", "kind uml do not start here"), ("kvm", "kind kvm do not"), ("xen", "not xen")]
)
def test_a_kind_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str, complaint: str) -> None:
    monkeypatch.setenv(machine.VARIABLE, asked)
    monkeypatch.setattr(machine, "image", lambda _flavor: IMAGE)
    monkeypatch.setattr(machine, "starts", lambda _kind, _kept: False)
    with pytest.raises(LabError, match=complaint):
        machine.choose()


@pytest.mark.parametrize(
    ("asked", "recorded", "want"),
    [
        (None, "uml", True),
        ("uml", "uml", True),
        ("uml", "tcg", False),
        ("qemu", "tcg", True),
        ("qemu", "kvm", True),
        ("qemu", "uml", False),
        ("tcg", "kvm", False),
    ],
)
def test_a_lab_with_machines_of_another_kind_is_another_lab(asked: str | None, recorded: str, want: bool) -> None:
    plan = lab.Plan(name="x", hosts=("m",), machines={"m": ("1G",)}, machine_kind=asked)
    content = {"hosts": ["m"], "flavor": "full", "machines": {"m": ["1G"]}, "machine_kind": recorded}
    assert lab._same(content, plan) is want


@pytest.mark.parametrize(
    ("taken", "allowed", "want"),
    [
        ([], {0, 1}, 1),
        ([1], {0, 1}, 0),
        ([1, 0], {0, 1}, 1),
        ([1, 1, 0], {0, 1}, 0),
        ([1, 9], {4, 7}, 7),
        ([3], {3}, 3),
    ],
)
def test_machines_spread_over_the_processors_that_are_allowed(taken: list[int], allowed: set[int], want: int) -> None:
    assert uml.processor(taken, allowed) == want


DISKS = [Path("/lab/m/root"), Path("/lab/m/data0.raw"), Path("/lab/m/data1.raw"), Path("/lab/m/seed.tar")]


@pytest.mark.parametrize(
    ("argv", "want"),
    [
        (
            uml.command(IMAGE, memory=64, mac="52:54:00:00:00:01", descriptor=10, disks=DISKS),
            [
                "ubd0=/lab/m/root,/then/disk.raw",
                "ubd1d=/lab/m/data0.raw",
                "ubd2d=/lab/m/data1.raw",
                "ubd3rd=/lab/m/seed.tar",
                "root=/dev/ubda",
                "vec0:transport=fd,fd=10,vec=0,mac=52:54:00:00:00:01",
                "lab.seed=ubdd",
            ],
        ),
        (
            qemu.command("tcg", IMAGE, memory=64, mac="52:54:00:00:00:01", descriptor=10, disks=DISKS),
            [
                "virtio-blk-pci,drive=data0,serial=lab-data0",
                "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01",
                "q35,accel=tcg",
                "root=/dev/vda",
                "lab.seed=vdd",
            ],
        ),
    ],
)
def test_every_kind_is_told_of_its_disks_and_its_cable(argv: list[str], want: list[str]) -> None:
    said = [word for words in argv for word in words.split()]
    assert [word for word in want if word not in said] == []


@pytest.mark.parametrize(
    ("kind", "given", "want"),
    [("uml", {}, False), ("uml", {"volume_firewall": True}, True), ("tcg", {}, None), (None, {}, None)],
)
def test_the_inventory_says_what_a_kernel_lacks(
    tmp_path: Path, kind: str | None, given: dict[str, Any], want: bool | None
) -> None:
    made = machine.Machine(IMAGE, kind) if kind else None
    one = host.Host(lab="x", name="m", number=7, index=0, directory=tmp_path, machine=made)
    said = yaml.safe_load(inventory.render(tmp_path, [one], groups={}, variables={"m": given}))
    assert said["all"]["hosts"]["m"].get("volume_firewall") is want
