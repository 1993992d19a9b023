# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P6: killed anywhere and run again, an instance is there once; deleted, nothing is left.

The effects of a boot and of a deletion are numbered (see :mod:`effects`). Each fault happens at each point where it
means something; then the same task runs again without it.
"""

from __future__ import annotations

import pathlib

import pytest

from .conftest import Cloud

pytestmark = pytest.mark.lab

AT_ANY = ("killed", "killed_after", "worker_killed")
AT_COMMIT = ("error", "locked")
AT_BACKEND = ("reply_lost", "error", "command_killed", "disk_full")


def effects(cloud: Cloud, folder: pathlib.Path, **wish: str) -> list[tuple[int, str, str]]:
    """The effects of one task as (number, kind, label)."""
    trace = folder / "trace"
    trace.unlink(missing_ok=True)
    played = cloud.instance(**wish, environ={"AGENTLESS_FAULT_TRACE": str(trace)})
    assert played.returncode == 0, played.output
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    return [(int(number), kind, label) for number, kind, label, _task in lines]


def faults(kind: str) -> tuple[str, ...]:
    return AT_ANY + (AT_COMMIT if kind == "commit" else AT_BACKEND)


def test_a_boot_is_finished_or_undone_wherever_it_breaks_off(clean: Cloud, tmp_path: pathlib.Path) -> None:
    cloud = clean
    points = effects(cloud, tmp_path, name="p6")
    assert [kind for _number, kind, _label in points] == ["commit", "backend", "backend", "commit"], points
    cloud.instance(name="p6", state="absent")
    assert cloud.left_over() == {}
    for number, kind, label in points:
        for fault in faults(kind):
            where = f"{fault} at {number} ({label})"
            broken = cloud.instance(name="p6", environ={"AGENTLESS_FAULT": f"{number}:{fault}@instance"})
            again = cloud.instance(name="p6")
            assert again.returncode == 0, f"{where}: {again.output}"
            assert again.last["instance"]["status"] == "ACTIVE", where
            if broken.returncode == 0:  # another host took it: the fault was mended in the same run
                assert fault in AT_BACKEND, where
                assert again.last["changed"] is False, where
            assert len(cloud.domains()) == 1, where
            assert len(cloud.ask("SELECT * FROM addresses")) == 1, where
            gone = cloud.instance(name="p6", state="absent")
            assert gone.returncode == 0, f"{where}: {gone.output}"
            assert cloud.left_over() == {}, where


def test_a_deletion_is_finished_wherever_it_breaks_off(clean: Cloud, tmp_path: pathlib.Path) -> None:
    cloud = clean
    assert cloud.instance(name="p6").returncode == 0
    points = effects(cloud, tmp_path, name="p6", state="absent")
    assert [kind for _number, kind, _label in points] == ["commit", "backend", "backend", "commit"], points
    for number, kind, label in points:
        for fault in faults(kind):
            where = f"{fault} at {number} ({label})"
            assert cloud.instance(name="p6").returncode == 0, where
            broken = cloud.instance(
                name="p6", state="absent", environ={"AGENTLESS_FAULT": f"{number}:{fault}@instance"}
            )
            # OVN writes to its own disk, not to ours: a full one is met only by what writes files.
            if fault != "disk_full":
                assert broken.returncode != 0, where
            gone = cloud.instance(name="p6", state="absent")
            assert gone.returncode == 0, f"{where}: {gone.output}"
            assert cloud.left_over() == {}, where


def test_the_check_for_left_overs_sees_what_is_left(clean: Cloud) -> None:
    """The test above can fail: a deletion that forgets the hosts is seen."""
    assert clean.instance(name="p12").returncode == 0
    seen = clean.left_over()
    for part in ("domains on", "files on", "processes on", "taps on"):
        assert any(key.startswith(part) for key in seen), part
    assert {"ports", "instances", "addresses", "allocations", "used", "quota"} <= set(seen)
