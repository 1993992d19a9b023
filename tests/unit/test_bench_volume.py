# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `scripts/bench volume` reads and adds up; the measuring itself needs hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import volume as bench
import volume_by_hand
import volume_fio

DISK = """<disk type='network' device='disk'>
  <driver name='qemu' type='raw' cache='none'/>
  <auth username='a'><secret type='iscsi' uuid='b'/></auth>
  <source protocol='iscsi' name='iqn.2026-01.cloud.agentless:lvm1.volume-c/0'>
    <host name='10.0.0.5' port='3260'/><initiator><iqn name='iqn.2026-01.cloud.agentless:k1'/></initiator>
  </source>
  <target dev='sdc' bus='scsi'/><serial>c</serial>
</disk>"""
HAND = volume_by_hand.Hand("vol1", "k1", "guest", DISK, "10.0.0.5")


@pytest.mark.parametrize(
    ("words", "numbers", "fio"),
    [
        ([], [1, 20], False),
        (["1"], [1], False),
        (["1", "5", "--fio"], [1, 5], True),
        (["--fio"], [], True),
    ],
)
def test_what_is_asked_for(words: list[str], numbers: list[int], fio: bool) -> None:
    """Numbers, fio or both."""
    options = bench.arguments(words)
    assert (options.numbers, options.fio) == (numbers, fio)


@pytest.mark.parametrize("words", [["0"], ["25"], ["one"], ["1", "--rounds", "0"], ["--fio", "--seconds", "0"]])
def test_what_cannot_be_measured(words: list[str]) -> None:
    """Told before any host is made."""
    with pytest.raises(SystemExit):
        bench.arguments(words)


def test_medians_and_ratios() -> None:
    """Each column for itself; whole is the sum of the steps of one round."""

    def times(create: float, attach: float, more: float = 0) -> bench.Times:
        return {"create": create, "attach": attach, "detach": 1.0, "delete": 1.0, "command": create + attach + 2 + more}

    hands = [times(1, 2), times(2, 4), times(3, 9)]
    ours = [times(4, 4, 1), times(2, 2, 1), times(6, 6, 1)]
    assert [line.split() for line in bench.rows(20, hands, ours)] == [
        ["20", "hand", "2.00", "4.00", "1.00", "1.00", "8.00", "8.00"],
        ["20", "us", "4.00", "4.00", "1.00", "1.00", "10.00", "11.00"],
        ["20", "ratio", "2.00", "1.00", "1.00", "1.00", "1.25", "1.38"],
    ]


def test_by_hand_is_shell_and_names_every_volume() -> None:
    """Each step is a script that bash can read, and none leaves a volume out."""
    ids = ["11111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-666666666666"]
    steps = HAND.scripts(ids)
    assert tuple(steps) == bench.STEPS
    for text in [HAND.files(ids), *(lines for parts in steps.values() for _host, lines in parts)]:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert all(key in text for key in ids)
    other = HAND.xml(ids[1], 1)
    assert "dev='sdd'" in other
    assert f"<serial>{ids[1]}<" in other
    assert "volume-c" not in other


def test_fio_is_read_from_between_other_lines() -> None:
    """Terse lines, each with the direction that its job has."""

    def line(name: str, read: int, write: int) -> str:
        fields = ["0"] * 130
        fields[0:3] = ["3", "fio-3.33", name]
        fields[6:8] = [str(read * 1024), str(read)]
        fields[47:49] = [str(write * 1024), str(write)]
        return ";".join(fields)

    said = [line("fill", 0, 9), line("write", 0, 8), "noise;1", line("read", 7, 0)]
    said += [line("randwrite", 0, 6), line("randread", 5, 0)]
    found = volume_fio.parsed("\r\n".join(said))
    assert found == {"fill": (9, 9), "write": (8, 8), "read": (7, 7), "randwrite": (6, 6), "randread": (5, 5)}
    with pytest.raises(SystemExit):
        volume_fio.parsed("\n".join(said[:3]))
    slower = {name: (one / 2, often / 2) for name, (one, often) in found.items()}
    assert all(text.split()[-1] == "2.0" for text in volume_fio.table((found, slower))[1:])
