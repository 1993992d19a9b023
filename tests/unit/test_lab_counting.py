# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What test hosts tell of what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentless_lab import cgroups, counting

LOG = "2026-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4\nelse\n"


def test_each_count_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(counting.VARIABLE, str(tmp_path / "counts"))
    for what, number in (("host", 1), ("cpu_ms", 1234), ("guest", 0), ("machine", 1)):
        counting.count(what, number)
    assert (tmp_path / "counts").read_text() == "host 1\ncpu_ms 1234\nmachine 1\n"


def test_a_count_that_cannot_be_told_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(counting.VARIABLE, str(tmp_path / "nowhere" / "counts"))
    with pytest.raises(FileNotFoundError):
        counting.count("host")


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_file_nobody_counts(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv(counting.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(counting.VARIABLE, value)
    counting.count("host")
    assert not counting.wanted()


@pytest.mark.parametrize(("logs", "want"), [({}, 0), ({"a": LOG}, 1), ({"a": LOG * 2, "b": LOG, "c": "else\n"}, 3)])
def test_guests_are_counted_by_their_starts(tmp_path: Path, logs: dict[str, str], want: int) -> None:
    place = tmp_path / "var/log/libvirt/qemu"
    place.mkdir(parents=True)
    for name, text in logs.items():
        (place / f"{name}.log").write_text(text)
    assert counting.guests(tmp_path) == want


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({}, 0),
        ({"cpuacct/g/cpuacct.usage": "2500999999\n", "unified/g/cpu.stat": "usage_usec 9\n"}, 2500),
        ({"cpu/g/cpu.stat": "nr_periods 0\n", "unified/g/cpu.stat": "usage_usec 1500000\nuser_usec 1\n"}, 1500),
    ],
)
def test_time_is_read_from_either_version(tmp_path: Path, files: dict[str, str], want: int) -> None:
    tops = [tmp_path / name for name in ("cpu", "cpuacct", "unified")]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert counting.processor_time("g", tops) == want


@pytest.mark.parametrize(
    ("begun", "want"),
    [({}, None), ({700: 5}, 700), ({300: 900, 30000: 20, 30001: 20}, 30000), ({300: None, 700: 5}, 700)],
)
def test_the_oldest_process_is_not_the_one_with_the_lowest_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: dict[int, int | None], want: int | None
) -> None:
    """None is a process that has ended meanwhile."""
    for pid, when in begun.items():
        (tmp_path / str(pid)).mkdir()
        if when is not None:
            (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) name) S {' '.join('0' * 18)} {when} 0 0\n")
    monkeypatch.setattr(cgroups, "PROC", tmp_path)
    monkeypatch.setattr(cgroups, "processes", lambda _group: set(begun))
    assert cgroups.oldest("any") == want
