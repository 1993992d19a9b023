# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P6: killed anywhere and run again, an instance is there once; deleted, nothing is left.

The effects of a boot and of a deletion are numbered (see :mod:`effects`). Each fault happens at each point where it
means something; then the same tasks run again without it, all in one play: what one fault left stands in the way of
none of the others.
"""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from .cloud import Cloud

pytestmark = pytest.mark.lab

FAULTS = {
    "commit": ("killed", "killed_after", "locked"),
    "backend": ("killed", "killed_after", "reply_lost", "command_killed", "disk_full"),
}
KILLS = ("killed", "killed_after", "worker_killed")  # the play does not go on
KINDS = ["commit", "backend", "backend", "commit"]  # of a boot: place, network, spawn, commit; of a deletion alike
ONCE = {1: ("worker_killed",), 3: ("error",)}  # what differs too little from the others to be tried everywhere

Case = tuple[int, str, str]  # number of the effect, its label, the fault


def cases(cloud: Cloud, folder: pathlib.Path, **wish: str) -> list[Case]:
    """Every fault at every effect of one task, which is carried out once to see its effects."""
    trace = folder / "trace"
    trace.unlink(missing_ok=True)
    played = cloud.instance(**wish, environ={"AGENTLESS_FAULT_TRACE": str(trace)})
    assert played.returncode == 0, played.output
    effects = [line.split("\t") for line in trace.read_text().splitlines()]
    assert [kind for _number, kind, _label, _task in effects] == KINDS, effects
    return [
        (int(number), label, fault)
        for number, kind, label, _task in effects
        for fault in FAULTS[kind] + ONCE.get(int(number), ())
    ]


def break_each(cloud: Cloud, wishes: list[dict[str, Any]], tried: list[Case]) -> list[bool]:
    """Run each task with its fault and say which failed: a fault that kills has a play of its own, all others one."""
    failed, together = {}, {}
    for wish, (number, _label, fault) in zip(wishes, tried, strict=True):
        where = f"{number}:{fault}@instance/{wish['name']}"
        if fault in KILLS:
            failed[wish["name"]] = cloud.instance(**wish, environ={"AGENTLESS_FAULT": where}).returncode != 0
        else:
            together[where] = wish
    played = cloud.instances(list(together.values()), AGENTLESS_FAULT=",".join(together))
    for wish, result in zip(together.values(), played.results, strict=True):
        failed[wish["name"]] = "error" in result
    return [failed[wish["name"]] for wish in wishes]


def test_a_boot_is_finished_or_undone_wherever_it_breaks_off(clean: Cloud, tmp_path: pathlib.Path) -> None:
    cloud = clean
    tried = cases(cloud, tmp_path, name="p6-0")
    wishes = [{"name": f"p6-{place}"} for place in range(1, len(tried) + 1)]
    broken = break_each(cloud, wishes, tried)
    again = cloud.instances(wishes)
    for failed, result, (number, label, fault) in zip(broken, again.results, tried, strict=True):
        where = f"{fault} at {number} ({label}): {result.get('msg')}"
        assert result.get("instance", {}).get("status") == "ACTIVE", where
        # Without a failure another host took it in the same run, or the fault had nothing to meet.
        if not failed:
            assert result["changed"] is False, where
    everyone = {row[0] for row in cloud.ask("SELECT id FROM instances")}
    running = [key for _host, key in cloud.domains()]
    assert len(everyone) == len(tried) + 1
    assert sorted(running) == sorted(everyone), "an instance runs twice, or not at all"
    assert len(cloud.ask("SELECT address FROM addresses")) == len(everyone)
    assert cloud.instance(name="p6-0", state="absent").returncode == 0
    gone = cloud.instance(name="p6", count=len(tried), state="absent")
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_a_deletion_is_finished_wherever_it_breaks_off(clean: Cloud, tmp_path: pathlib.Path) -> None:
    cloud = clean
    most = 2 * sum(len(faults) for faults in FAULTS.values()) + len(ONCE)
    assert cloud.instance(name="p6", count=most + 1).returncode == 0
    tried = cases(cloud, tmp_path, name=f"p6-{most + 1}", state="absent")
    assert len(tried) == most
    wishes = [{"name": f"p6-{place}", "state": "absent"} for place in range(1, most + 1)]
    for failed, (number, label, fault) in zip(break_each(cloud, wishes, tried), tried, strict=True):
        if not failed:
            # OVN's database writes to a disk of its own; only what writes files meets a full one.
            assert fault in ("disk_full", "command_killed"), f"{fault} at {number} ({label})"
    gone = cloud.instances(wishes)
    for result, (number, label, fault) in zip(gone.results, tried, strict=True):
        assert "error" not in result, f"{fault} at {number} ({label}): {result}"
    assert cloud.left_over() == {}


def test_the_check_for_left_overs_sees_what_is_left(clean: Cloud) -> None:
    """The tests above can fail: a deletion that forgets something is seen."""
    assert clean.instance(name="p12").returncode == 0
    seen = clean.left_over()
    for part in ("domains on", "files on", "processes on", "taps on", "ports on"):
        assert any(key.startswith(part) for key in seen), part
    assert {"ports", "instances", "addresses", "allocations", "used", "quota"} <= set(seen)
