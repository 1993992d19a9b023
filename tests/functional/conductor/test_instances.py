# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances: create, move, describe, log."""

from __future__ import annotations

import json

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    hosts,
    instances,
    ipam,
    projects,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AlreadyExists, BadInput, Conflict, NotFound
from tests.functional.conductor.world import Record, World, at_once, build, count_queries

SECRET = "#cloud-config canary-5f1c"


@pytest.fixture
def world(conductor: Conductor) -> World:
    return build(conductor)


def boot(conductor: Conductor, world: World, count: int, prefix: str = "vm") -> list[Record]:
    """Instances with a port each, on one host."""
    with conductor.transaction() as conn:
        host = hosts.save(conn, "host", zone="a")
        rows = [
            {
                "project_id": world.project["id"],
                "name": f"{prefix}{number:04d}",
                "host_id": host["id"],
                "flavor": {"id": world.flavor["id"], "name": "small", "vcpus": 1, "ram": 512, "disk": 1},
                "image": {"id": "img", "name": "debian", "checksum": "sha256:0"},
                "userdata": SECRET,
                "metadata": {"role": "web"},
                "tags": ["blue"],
                "key_name": "me",
            }
            for number in range(count)
        ]
        made = instances.create_many(conn, rows)
        wishes = [
            {
                "project_id": world.project["id"],
                "network_id": world.network["id"],
                "instance_id": row["id"],
                "secgroup_ids": [world.secgroup["id"]],
            }
            for row in made
        ]
        ipam.create_ports(conn, wishes)
    return made


def test_an_instance_as_users_see_it(conductor: Conductor, world: World) -> None:
    made = boot(conductor, world, 2)
    with conductor.transaction() as conn:
        instances.move(
            conn, made[0]["id"], {"BUILD"}, status="ACTIVE", power_state="running", launched_at="2026-01-01T00:00:00Z"
        )
        shown = instances.describe(conn, world.project["id"])
        assert [row["name"] for row in shown] == ["vm0000", "vm0001"]
        addresses = shown[0].pop("addresses")
        stamps = {shown[0].pop("created_at"), shown[0].pop("updated_at")}
        assert len(stamps) == 2
        port = records.listing(conn, cloud.ports, instance_id=made[0]["id"])[0]
        shared = {"mac_addr": port["mac_address"], "port_id": port["id"], "type": "fixed"}
        assert addresses == {
            "net": [{"addr": "10.0.0.2", "version": 4, **shared}, {"addr": "fd00::2", "version": 6, **shared}]
        }
        assert shown[0] == {
            "id": made[0]["id"],
            "name": "vm0000",
            "status": "ACTIVE",
            "compute_host": "host",
            "cell": "default",
            "zone": "a",
            "flavor": {"id": world.flavor["id"], "name": "small", "vcpus": 1, "ram": 512, "disk": 1},
            "image": {"id": "img", "name": "debian"},
            "access_ipv4": "10.0.0.2",
            "access_ipv6": "fd00::2",
            "security_groups": ["web"],
            "volumes": [],
            "metadata": {"role": "web"},
            "tags": ["blue"],
            "key_name": "me",
            "launched_at": "2026-01-01T00:00:00Z",
            "power_state": "running",
            "fault": None,
        }
        assert "canary" not in json.dumps(shown)
        for chosen in ({"names": ["vm0001", "nobody"]}, {"names": [made[1]["id"]]}, {"ids": [made[1]["id"]]}):
            found = instances.describe(conn, world.project["id"], **chosen)  # type: ignore[arg-type]
            assert found == [shown[1]]
        assert instances.describe(conn, None)[1] == shown[1]
        assert instances.describe(conn, world.project["id"], names=[]) == []
        other = projects.create(conn, "other")["id"]
        assert instances.describe(conn, other) == []
        assert instances.describe(conn, other, ids=[made[1]["id"]]) == []


def test_describing_many_costs_the_same_queries_as_one(conductor: Conductor, world: World) -> None:
    def read() -> int:
        return count_queries(conductor, lambda conn: instances.describe(conn, world.project["id"]))

    boot(conductor, world, 1, "a")
    one = read()
    boot(conductor, world, 200, "b")
    assert one == read() <= 6


def test_names_are_unique_in_a_project_and_free_again(conductor: Conductor, world: World) -> None:
    boot(conductor, world, 1)
    with conductor.transaction() as conn:
        one = instances.get_by_name(conn, world.project["id"], "vm0000")
        with pytest.raises(AlreadyExists):
            instances.create(conn, {"project_id": world.project["id"], "name": "vm0000"})
        other = projects.create(conn, "other")["id"]
        instances.create(conn, {"project_id": other, "name": "vm0000"})
        instances.create(conn, {"project_id": world.project["id"], "name": "vm1"})
        with pytest.raises(AlreadyExists):
            instances.move(conn, one["id"], {"BUILD"}, name="vm1")
        assert instances.move(conn, one["id"], {"BUILD"}, name="vm2")["name"] == "vm2"
        with pytest.raises(NotFound, match="Nearest: vm2"):
            instances.get_by_name(conn, world.project["id"], "vm0")
        ipam.delete_ports(conn, [row["id"] for row in records.listing(conn, cloud.ports)])
        for _time in range(2):
            instances.remove(conn, one["id"])
        instances.create(conn, {"project_id": world.project["id"], "name": "vm2"})


def test_moves_follow_the_table(conductor: Conductor, world: World) -> None:
    for old, after in instances.MOVES.items():
        for new in instances.MOVES:
            with conductor.transaction() as conn:
                values = {"project_id": world.project["id"], "name": f"{old}-{new}", "status": old}
                made = instances.create(conn, values)
                if new in after or new == old:
                    moved = instances.move(conn, made["id"], {old}, status=new)
                    assert (moved["status"], moved["generation"]) == (new, 2)
                else:
                    with pytest.raises(BadInput, match=f"from {old} to {new}"):
                        instances.move(conn, made["id"], {old}, status=new)


def test_a_move_from_an_unexpected_or_unknown_status(conductor: Conductor, world: World) -> None:
    made = boot(conductor, world, 1)[0]
    with conductor.transaction() as conn:
        with pytest.raises(Conflict, match=r"wanted status one of ACTIVE, SHUTOFF; found .*BUILD"):
            instances.move(conn, made["id"], {"ACTIVE", "SHUTOFF"}, power_state="x")
        with pytest.raises(Conflict, match="gone"):
            instances.move(conn, "nothing", {"ACTIVE"}, power_state="x")
        for wrong in ("active", "DESTROYED"):
            with pytest.raises(BadInput):
                instances.create(conn, {"project_id": world.project["id"], "name": "x", "status": wrong})
            with pytest.raises(BadInput):
                instances.move(conn, made["id"], {"BUILD"}, status=wrong)
        assert instances.get(conn, made["id"])["generation"] == 1


def test_nothing_comes_back_from_deleting(conductor: Conductor, world: World) -> None:
    """Not by the table alone: a slower run that still believes in the instance is refused."""
    (made,) = boot(conductor, world, 1)
    with conductor.transaction() as conn:
        instances.move(conn, made["id"], {"BUILD"}, status="DELETING")
        for status in set(instances.MOVES) - {"DELETING"}:
            with pytest.raises(BadInput, match=f"from DELETING to {status}"):
                instances.move(conn, made["id"], {"DELETING"}, status=status)
        assert records.get(conn, cell.instances, made["id"])["status"] == "DELETING"


def test_verbs_at_once_are_some_verbs_in_turn(conductor: Conductor, address: str, world: World) -> None:
    """P13: each move that succeeds starts where the one before it ended, and no update is lost."""
    made = boot(conductor, world, 1)[0]
    with conductor.transaction() as conn:
        instances.move(conn, made["id"], {"BUILD"}, status="ACTIVE")
    verbs = [
        ("ACTIVE", "SHUTOFF"),
        ("SHUTOFF", "ACTIVE"),
        ("ACTIVE", "PAUSED"),
        ("PAUSED", "ACTIVE"),
        ("ACTIVE", "REBOOT"),
    ]
    verbs.append(("REBOOT", "ACTIVE"))

    def work(number: int) -> list[tuple[int, str, str]]:
        opened = Conductor.open(address)
        done = []
        for turn in range(30):
            old, new = verbs[(number + turn) % len(verbs)]
            try:
                with opened.transaction() as conn:
                    moved = instances.move(conn, made["id"], {old}, status=new)
            except Conflict:
                continue
            done.append((moved["generation"], old, new))
        return done

    steps = sorted(step for part in at_once(work, 8) for step in part)
    assert [generation for generation, _old, _new in steps] == list(range(3, len(steps) + 3))
    states = ["ACTIVE"]
    for _generation, old, new in steps:
        assert old == states[-1]
        states.append(new)
    with conductor.read() as conn:
        assert instances.get(conn, made["id"])["status"] == states[-1]
    assert len(steps) > 10


def test_the_log_says_who_and_outlives_the_instance(conductor: Conductor, world: World) -> None:
    with conductor.transaction() as conn:
        made = instances.create(conn, {"project_id": world.project["id"], "name": "vm"})
        first = instances.begin_action(conn, made["id"], "create", conductor.actor, request_id="job 7")
        assert instances.actions(conn, made["id"])[0]["finished_at"] is None
        instances.finish_action(conn, first, "error", {"error": "BackendFailed"})
        instances.finish_action(conn, first, "success")
        instances.begin_actions(conn, [made["id"], "other"], "delete", conductor.actor)
        instances.remove(conn, made["id"])
        log = instances.actions(conn, made["id"])
    assert [(row["action"], row["actor"], row["result"]) for row in log] == [
        ("create", "tester", "error"),
        ("delete", "tester", None),
    ]
    assert log[0]["detail"] == {"error": "BackendFailed"}
    assert log[0]["started_at"] <= log[0]["finished_at"]
