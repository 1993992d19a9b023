# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts that refuse, hosts that are dead, controllers that are killed and rivals do to volumes of instances."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import entry
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, CloudError, InUse
from tests.unit.instance_volumes.hosts import Hosts, initiator
from tests.unit.instance_volumes.test_volumes import BOOT, guest, left, names
from tests.unit.resources.cloud import Cloud
from tests.unit.volume_flows.looks import one, used
from tests.unit.volume_flows.test_faults import fault

WISH: dict[str, Any] = {**BOOT, "name": "web", "boot_volume": {"size": 5}, "volumes": ["a"]}
GIVEN: dict[str, Any] = {"name": "web", "flavor": "small", "boot_volume": {"volume": "root"}, "volumes": ["a"]}
TASKS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "boot": ([], WISH),
    "boot from a volume that exists": ([], GIVEN),
    "plug and unplug": ([WISH], {"name": "web", "volumes": ["b"]}),
    "unplug all": ([WISH], {"name": "web", "volumes": []}),
    "delete": ([WISH], {"name": "web", "state": "absent"}),
    "delete and keep": ([GIVEN], {"name": "web", "state": "absent"}),
}
MOMENTS = ["call", "reply", "commit", "committed"]


class Killed(BaseException):
    """Nobody catches it, as nobody catches the end of a process."""


def killer(at: int) -> Callable[[str], None]:
    """Kills at the effect of that number."""
    count = iter(range(1_000))

    def kill(name: str) -> None:
        if next(count) == at:
            raise Killed(name)

    return kill


@pytest.fixture(autouse=True)
def _volumes(cloud: Cloud) -> None:
    for name in ("a", "b"):
        cloud.ask("volume", name=name, size=1)
    cloud.ask("volume", name="root", image="debian")


def removed(cloud: Cloud, hosts: Hosts) -> None:
    """Remove the instance, and see that nothing of it is left anywhere."""
    cloud.ask("instance", name="web", state="absent")
    assert left(cloud, hosts) == {}
    assert {row["name"]: row["status"] for row in cloud.ask("volume_info").values["volumes"]} == {
        "a": "available",
        "b": "available",
        "root": "available",
    }
    quota = used(cloud)
    assert (quota["volumes"], quota["gigabytes"]) == (3, 4)


def settled(cloud: Cloud, hosts: Hosts, wish: dict[str, Any]) -> None:
    """The instance has what the wish says, on one host, and nobody else is let in."""
    if wish.get("state") == "absent":
        assert left(cloud, hosts) == {}
        return
    there, shown = guest(hosts), cloud.ask("instance_info", name="web").values["instances"][0]
    assert there.volumes == {row["device"]: row["id"] for row in shown["volumes"]}
    assert [row["name"] for row in shown["volumes"] if row["device"] != "vda"] == wish["volumes"]
    assert set(hosts.exports.values()) == {f'["{initiator(there.host)}"]'}
    assert {key for key, _in in zip(hosts.secrets, hosts.secrets.values(), strict=True)} == {
        (there.host, key) for key in there.volumes.values()
    }
    for row in shown["volumes"]:
        assert one(cloud, row["name"])["status"] == "in-use"


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder that was killed is dead: what it left is taken over at once."""
    monkeypatch.setattr(entry.builder, "alive", lambda found: False)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("task", TASKS)
def test_killed_anywhere_and_run_again(
    cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, task: str, moment: str
) -> None:
    another_process(monkeypatch)
    before, wish = TASKS[task]
    for at in range(40):
        for each in before:
            cloud.ask("instance", **each)
        ended = killed(cloud, hosts, monkeypatch, wish, moment, at)
        cloud.ask("instance", **wish)
        settled(cloud, hosts, wish)
        assert not cloud.ask("instance", **wish).changed
        removed(cloud, hosts)
        if ended:
            break
    assert ended
    assert at > 1, "nothing was killed"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("task", [task for task in TASKS if not task.startswith("delete")])
def test_killed_anywhere_and_removed(
    cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, task: str, moment: str
) -> None:
    another_process(monkeypatch)
    before, wish = TASKS[task]
    for at in range(40):
        for each in before:
            cloud.ask("instance", **each)
        ended = killed(cloud, hosts, monkeypatch, wish, moment, at)
        removed(cloud, hosts)
        if ended:
            break
    assert ended
    assert at > 1, "nothing was killed"


def killed(
    cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any], moment: str, at: int
) -> bool:
    """Whether the task came to its end before it was killed."""
    with monkeypatch.context() as patch:
        fault(patch, hosts, moment, killer(at))
        try:
            cloud.ask("instance", **wish)
        except Killed:
            return False
    return True


def test_a_host_that_fails_is_shut_out_before_the_next_is_let_in(cloud: Cloud, hosts: Hosts) -> None:
    first = "c1" if cloud.ask("instance", **WISH).values["instance"]["compute_host"] == "c1" else "c2"
    removed(cloud, hosts)
    hosts.refuses = {f"spawn@{first}"}
    shown = cloud.ask("instance", **WISH).values["instance"]
    assert shown["compute_host"] != first
    settled(cloud, hosts, WISH)
    trail = [each for each in hosts.done if each.partition("@")[0] in ("spawn", "unexport", "export")]
    assert trail[-1] == f"spawn@{shown['compute_host']}"
    assert any(each.startswith("unexport") for each in trail[trail.index(f"spawn@{first}", -8) :]), trail
    assert {each["host"] for each in one(cloud, "a")["attachments"]} == {shown["compute_host"]}
    removed(cloud, hosts)


@pytest.mark.parametrize("wish", [WISH, GIVEN])
def test_where_no_host_takes_it_everything_is_undone(cloud: Cloud, hosts: Hosts, wish: dict[str, Any]) -> None:
    hosts.refuses = {"spawn@c1", "spawn@c2"}
    with pytest.raises(BackendFailed, match="No other host can take 'web'"):
        cloud.ask("instance", **wish)
    removed(cloud, hosts)


@pytest.mark.parametrize("wish", [WISH, GIVEN])
@pytest.mark.parametrize("op", ["create", "export"])
def test_a_storage_host_that_refuses(cloud: Cloud, hosts: Hosts, op: str, wish: dict[str, Any]) -> None:
    hosts.refuses = {f"{op}@vol1", f"{op}@vol2"}
    if (op, wish) == ("create", GIVEN):
        return
    with pytest.raises(BackendFailed, match=f"{op} does not go"):
        cloud.ask("instance", **wish)
    hosts.refuses = set()
    removed(cloud, hosts)
    cloud.ask("instance", **wish)
    settled(cloud, hosts, wish)


def test_a_dead_storage_host(cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be undone stays on record, and running again mends it."""
    another_process(monkeypatch)
    hosts.dead = {"vol1", "vol2"}
    with pytest.raises(CloudError, match="stays as ERROR, because vol"):
        cloud.ask("instance", **WISH)
    hosts.dead = set()
    cloud.ask("instance", **WISH)
    settled(cloud, hosts, WISH)
    hosts.dead = {"vol1", "vol2"}
    with pytest.raises(CloudError, match="stays in DELETING"):
        cloud.ask("instance", name="web", state="absent")
    hosts.dead = set()
    removed(cloud, hosts)


def test_a_dead_compute_host_is_shut_out(cloud: Cloud, hosts: Hosts) -> None:
    """Its guest may run on, but not write: the other host alone is let in."""
    first = str(cloud.ask("instance", **GIVEN).values["instance"]["compute_host"])
    removed(cloud, hosts)
    hosts.dies_after = f"compute_backend:spawn@{first}"
    shown = cloud.ask("instance", **GIVEN).values["instance"]
    assert shown["compute_host"] != first
    assert len(hosts.domains) == 2, "the first host still runs the guest"
    assert set(hosts.exports.values()) == {f'["{initiator(shown["compute_host"])}"]'}
    with pytest.raises(CloudError, match="stays in DELETING"):
        cloud.ask("instance", name="web", state="absent")
    hosts.dies_after, hosts.dead = "", set()
    removed(cloud, hosts)


def test_a_guest_that_does_not_let_go_keeps_its_volume(cloud: Cloud, hosts: Hosts) -> None:
    cloud.ask("instance", **GIVEN)
    hosts.stubborn = True
    for _turn in range(2):
        with pytest.raises(CloudError, match="did not let go"):
            cloud.ask("instance", name="web", volumes=[])
        assert len(hosts.exports) == 2
        assert one(cloud, "a")["status"] == "detaching"
    with pytest.raises(InUse):
        cloud.ask("instance", name="other", volumes=["a"], **BOOT)
    hosts.stubborn = False
    assert names(cloud.ask("instance", name="web", volumes=["a"]).values["instance"]) == [("root", "vda"), ("a", "vdc")]
    settled(cloud, hosts, GIVEN)


def test_a_rival_takes_the_volume_after_the_plan(cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loser has nothing claimed, and is told who has it."""
    real, rivals = entry.enter, [{"name": "rival", "volumes": ["a"], **BOOT}]

    def enter(conn: Any, *args: Any) -> Any:
        return real(conn, *args)

    def overtaken(*args: Any, **more: Any) -> Any:
        if rivals:
            cloud.ask("instance", **rivals.pop())
        return None

    monkeypatch.setattr(entry, "enter", enter)
    monkeypatch.setattr("ansible_collections.agentless.cloud.plugins.plugin_utils.compute.boot.expect", overtaken)
    with pytest.raises(InUse, match="attached to 'rival'"):
        cloud.ask("instance", **WISH)
    with sqlite3.connect(cloud.path) as db:
        assert db.execute("SELECT name FROM instances").fetchall() == [("rival",)]
        assert db.execute("SELECT count(*) FROM volume_attachments").fetchone() == (1,)
    assert cloud.ask("volume_info", name="web-boot").values["volumes"] == []
    cloud.ask("instance", name="rival", state="absent")
    removed(cloud, hosts)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_volume_that_goes_with_the_instance_is_not_forgotten(
    cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It existed before, so that only the attachment said that it goes."""
    for at in range(20):
        cloud.ask("volume", name="mine", image="debian")
        boot = {"volume": "mine", "delete_on_termination": True}
        cloud.ask("instance", name="web", flavor="small", boot_volume=boot)
        ended = killed(cloud, hosts, monkeypatch, {"name": "web", "state": "absent"}, moment, at)
        removed(cloud, hosts)
        if ended:
            break
    assert at > 1, "nothing was killed"
