# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host that refuses, a host that is dead and a controller that is killed leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    HostUnreachable,
)
from tests.unit.resources.cloud import Cloud
from tests.unit.volume_flows.bus import Bus, Gone
from tests.unit.volume_flows.looks import empty, one, used


def test_a_backend_that_refuses_is_left_for_another(cloud: Cloud, bus: Bus) -> None:
    bus.refuses = {"create@vol1"}
    assert cloud.ask("volume", name="data", size=3).values["volume"]["backend"] == "lvm2"
    assert used(cloud) == {"volumes": 1, "gigabytes": 3, "lvm2": 3}
    with pytest.raises(BackendFailed, match=r"'it' could not be made: vol1: create does not go"):
        cloud.ask("volume", name="it", size=3, volume_type="lvm1")
    cloud.ask("volume", name="data", state="absent")
    assert empty(cloud, bus)


def test_a_host_that_refuses_leaves_all_as_it_was(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    bus.refuses = {"extend@vol1", "create@vol2", "snapshot@vol1"}
    tasks: list[tuple[str, dict[str, Any]]] = [
        ("volume", {"name": "data", "size": 4}),
        ("volume", {"name": "data", "volume_type": "lvm2"}),
        ("volume_snapshot", {"name": "it", "volume": "data"}),
    ]
    for module, args in tasks:
        with pytest.raises(BackendFailed, match="does not go"):
            cloud.ask(module, **args)
        assert (one(cloud)["status"], one(cloud)["size"], one(cloud)["volume_type"]) == ("available", 3, "lvm1")
        assert used(cloud) == {"volumes": 1, "gigabytes": 3, "lvm1": 3}
        assert not bus.exports
        assert not bus.snapshots


def test_a_dead_host(cloud: Cloud, bus: Bus) -> None:
    cloud.ask("volume", name="old", size=1, volume_type="lvm1")
    bus.dead = {"vol1"}
    with pytest.raises(HostUnreachable, match="stays as error with its claim"):
        cloud.ask("volume", name="data", size=3, volume_type="lvm1")
    assert used(cloud)["lvm1"] == 4
    bus.dead = set()
    assert cloud.ask("volume", name="data", size=3, volume_type="lvm1").values["volume"]["status"] == "available"
    for name in ("old", "data"):
        cloud.ask("volume", name=name, state="absent")
    assert empty(cloud, bus)


FLOW: list[tuple[str, dict[str, Any]]] = [
    ("volume", {"name": "data", "size": 3, "volume_type": "lvm1"}),
    ("volume", {"name": "data", "size": 4}),
    ("volume", {"name": "data", "volume_type": "lvm2"}),
    ("volume", {"name": "data", "volume_type": "files"}),
    ("volume_snapshot", {"name": "monday", "volume": "data"}),
    ("volume", {"name": "copy", "snapshot": "monday"}),
    ("volume", {"name": "copy", "state": "absent"}),
    ("volume_snapshot", {"name": "monday", "state": "absent"}),
    ("volume_backup", {"name": "sunday", "volume": "data"}),
    ("volume", {"name": "back", "backup": "sunday"}),
    ("volume_backup", {"name": "sunday", "state": "absent"}),
    ("volume", {"name": "data", "state": "absent", "delete_snapshots": True}),
]


def killer(at: int) -> Callable[[str], None]:
    count = iter(range(1_000))

    def kill(name: str) -> None:
        if next(count) == at:
            raise Gone(f"killed at {name}")

    return kill


@pytest.mark.parametrize("moment", ["call", "reply", "commit", "committed"])
@pytest.mark.parametrize("task", range(len(FLOW)))
def test_killed_anywhere_and_run_again(
    cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch, task: int, moment: str
) -> None:
    """P6: before every call to a host and every commit, and after each of them, so that its answer is lost."""
    for module, args in FLOW[:task]:
        cloud.ask(module, **args)
    module, args = FLOW[task]
    for at in range(20):
        with monkeypatch.context() as patch:
            fault(patch, bus, moment, killer(at))
            try:
                cloud.ask(module, **args)
            except Gone:
                pass
            else:
                break
        left = cloud.ask(module, check=True, **args).changed
        assert cloud.ask(module, **args).changed == left, "what is left undone is foreseen"
        assert not cloud.ask(module, **args).changed
        break_down(cloud, bus, task)
    else:
        pytest.fail("no end")
    assert at > 0, "nothing was killed"


def fault(patch: pytest.MonkeyPatch, bus: Bus, moment: str, kill: Callable[[str], None]) -> None:
    """Have the controller killed at the choke point of that kind."""
    if moment in ("call", "reply"):
        patch.setattr(bus, "before" if moment == "call" else "after", kill)
        return

    def commit(label: str, do: Callable[[], None]) -> None:
        if moment == "commit":
            kill(label)
        do()
        if moment == "committed":
            kill(label)

    patch.setattr(effects, "commit", commit)


def break_down(cloud: Cloud, bus: Bus, task: int) -> None:
    """Look at what is there, remove it all, and be again where the task begins."""
    for row in cloud.ask("volume_info").values["volumes"]:
        assert row["status"] == "available"
        cloud.ask("volume", name=row["name"], state="absent", delete_snapshots=True)
    for row in cloud.ask("volume_backup_info").values["volume_backups"]:
        cloud.ask("volume_backup", name=row["name"], state="absent")
    assert empty(cloud, bus)
    for module, args in FLOW[:task]:
        cloud.ask(module, **args)


@pytest.mark.parametrize("moment", ["call", "reply", "commit", "committed"])
@pytest.mark.parametrize("task", [0, 1, 2, 3])
def test_killed_anywhere_and_removed(
    cloud: Cloud, bus: Bus, monkeypatch: pytest.MonkeyPatch, task: int, moment: str
) -> None:
    """P12: what was begun goes with the volume, from every host that may have some of it."""
    for at in range(20):
        for module, args in FLOW[:task]:
            cloud.ask(module, **args)
        with monkeypatch.context() as patch:
            fault(patch, bus, moment, killer(at))
            try:
                cloud.ask("volume", **FLOW[task][1])
            except Gone:
                ended = False
            else:
                ended = True
        cloud.ask("volume", name="data", state="absent")
        assert empty(cloud, bus)
        if ended:
            break
    assert at > 0, "nothing was killed"


def test_a_run_that_was_overtaken_leaves_the_next_move_alone(cloud: Cloud, bus: Bus) -> None:
    """While the first run clears the old backend, a second one ends that move, and a third begins another."""
    cloud.ask("volume", name="data", size=2, volume_type="lvm1")

    def overtaken(_label: str) -> None:
        if bus.done[-1] != "delete@vol1":
            return
        bus.after = lambda _label: None
        assert cloud.ask("volume", name="data", volume_type="lvm2").changed  # the move is ended
        bus.before = killed
        with pytest.raises(Gone):
            cloud.ask("volume", name="data", volume_type="files")
        bus.before = lambda _label: None

    def killed(label: str) -> None:
        raise Gone(f"killed at {label}")

    bus.after = overtaken
    cloud.ask("volume", name="data", volume_type="lvm2")
    assert one(cloud)["status"] == "retyping"
    assert used(cloud) == {"volumes": 1, "gigabytes": 2, "lvm2": 2, "files": 2}
    cloud.ask("volume", name="data", volume_type="files")
    assert (one(cloud)["status"], one(cloud)["backend"]) == ("available", "files")
    assert used(cloud) == {"volumes": 1, "gigabytes": 2, "files": 2}
