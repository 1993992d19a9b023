# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for of whole machines among the test hosts, and what is remembered of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agentless_lab import cli, lab, machine
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


@pytest.mark.parametrize(
    ("recorded", "accelerator"),
    [
        ({"accelerator": "kvm"}, "kvm"),
        ({}, "tcg"),  # as it was recorded before machines could run by anything else
    ],
)
def test_a_machine_boots_again_as_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: dict[str, str], accelerator: str
) -> None:
    """Not from the image that a newer recipe makes: its kernel has no modules on the disk of this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    content = {"number": 7, "hosts": ["a", "m"], "machines": {"m": ["1G"]}, "machine_image": "/then", **recorded}
    place = lab.directory("one")
    place.mkdir(parents=True)
    (place / "lab.json").write_text(json.dumps(content))
    container, made = lab.hosts_of("one")
    assert container.machine is None
    assert made.machine == machine.Machine(Path("/then"), accelerator, ("1G",))
