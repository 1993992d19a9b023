# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims, hosts and what the scheduler reads of them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    claims,
    hosts,
    instances,
    projects,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    ClaimLost,
    Conflict,
    HostMismatch,
    InUse,
)
from tests.functional.conductor.world import add_hosts, audit_claims, count_queries

SIZES: dict[str, dict[str, float]] = {
    "VCPU": {"total": 4, "allocation_ratio": 16.0},
    "MEMORY_MB": {"total": 1000, "reserved": 100, "allocation_ratio": 1.5},
    "DISK_GB": {"total": 10},
}


@pytest.mark.parametrize(
    ("ratio", "total", "reserved", "most"),
    [
        (1.0, 10, 0, 10),
        (1.5, 3, 0, 4),
        (1.5, 5, 1, 6),
        (16.0, 4, 0, 64),
        (0.9, 10, 0, 9),
        (0.5, 3, 0, 1),
        (1.1, 10, 0, 11),
    ],
)
def test_the_last_unit_fits_and_the_next_does_not(
    conductor: Conductor, ratio: float, total: int, reserved: int, most: int
) -> None:
    size = {"VCPU": {"total": total, "reserved": reserved, "allocation_ratio": ratio}}
    host = add_hosts(conductor, 1, size)[0]["id"]
    with conductor.transaction() as conn:
        for number in range(most):
            claims.claim(conn, consumer_id=str(number), host_id=host, amounts={"VCPU": 1})
        with pytest.raises(ClaimLost):
            claims.claim(conn, consumer_id="more", host_id=host, amounts={"VCPU": 1})
        assert audit_claims(conn) == []
        assert hosts.states(conn)[0]["inventories"]["VCPU"]["used"] == most


def test_a_claim_is_all_or_nothing_and_names_the_host(conductor: Conductor) -> None:
    first, second = (host["id"] for host in add_hosts(conductor, 2, SIZES))
    with conductor.transaction() as conn:
        batch: list[claims.Claim] = [("a", first, {"VCPU": 1, "DISK_GB": 6}), ("b", second, {"VCPU": 1, "DISK_GB": 11})]
        with pytest.raises(ClaimLost) as caught:
            claims.claim_many(conn, batch)
        assert caught.value.details == {"host": "host00001", "resource_class": "DISK_GB"}
        assert claims.held_by(conn, "a") == {}
        with pytest.raises(ClaimLost):  # each would fit alone, not both
            claims.claim_many(conn, [("a", first, {"DISK_GB": 6}), ("b", first, {"DISK_GB": 6})])
        with pytest.raises(ClaimLost, match="offers no PGPU"):
            claims.claim(conn, consumer_id="a", host_id=first, amounts={"PGPU": 1})
        assert audit_claims(conn) == []
        assert all(row["used"] == 0 for host in hosts.states(conn) for row in host["inventories"].values())


def test_the_same_claim_again_is_the_same_claim(conductor: Conductor) -> None:
    first, second = (host["id"] for host in add_hosts(conductor, 2, SIZES))
    amounts = {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 0}
    with conductor.transaction() as conn:
        for _time in range(2):
            claims.claim_many(conn, [("a", first, amounts), ("b", first, amounts)])
        claims.claim(conn, consumer_id="a", host_id=second, amounts=amounts)
        assert claims.held_by(conn, "a") == {
            first: {"VCPU": 2, "MEMORY_MB": 512},
            second: {"VCPU": 2, "MEMORY_MB": 512},
        }
        with pytest.raises(Conflict):
            claims.claim(conn, consumer_id="a", host_id=first, amounts={"VCPU": 1})
        for wrong in ([("c", first, {"VCPU": -1})], [("c", first, {"VCPU": 1}), ("c", first, {"VCPU": 1})]):
            with pytest.raises(BadInput):
                claims.claim_many(conn, wrong)
        claims.release(conn, "a", first)
        assert claims.held_by(conn, "a") == {second: {"VCPU": 2, "MEMORY_MB": 512}}
        for _time in range(2):
            claims.release_many(conn, ["a", "b", "never seen"])
        assert audit_claims(conn) == []
        assert all(row["used"] == 0 for host in hosts.states(conn) for row in host["inventories"].values())


def test_a_batch_costs_the_same_queries_as_one(conductor: Conductor) -> None:
    ids = [host["id"] for host in add_hosts(conductor, 20, SIZES)]

    def batch(count: int, prefix: str) -> int:
        rows: list[claims.Claim] = [(f"{prefix}{number}", ids[number % 20], {"VCPU": 1}) for number in range(count)]
        return count_queries(conductor, lambda conn: claims.claim_many(conn, rows))

    assert batch(1, "a") == batch(100, "b") <= 3


def test_what_the_scheduler_reads(conductor: Conductor) -> None:
    cpu = {"arch": "x86_64", "features": ["avx2"]}
    with conductor.transaction() as conn:
        aggregates = {"ssd": {"disk": "fast"}, "zone-a": {}}
        host = hosts.save(conn, "one", inventories=SIZES, aggregates=aggregates, cpu=cpu, zone="a", virt_types=["kvm"])
        hosts.save(conn, "two", inventories=SIZES, zone="b", state="maintenance", reason="fan")
        project = projects.ensure_default(conn)["id"]
        guest = instances.create(conn, {"project_id": project, "name": "vm", "host_id": host["id"]})
        claims.claim(conn, consumer_id=guest["id"], host_id=host["id"], amounts={"VCPU": 60})
        found = hosts.states(conn)
        assert [row["name"] for row in found] == ["one", "two"]
        expected: dict[str, Any] = {
            "cpu": cpu,
            "virt_types": ["kvm"],
            "zone": "a",
            "aggregates": aggregates,
            "instances": [guest["id"]],
            "instance_count": 1,
            "building": 1,
        }
        assert {key: found[0][key] for key in expected} == expected
        assert found[0]["inventories"]["VCPU"] == {"total": 4, "reserved": 0, "allocation_ratio": 16.0, "used": 60}
        for chosen, names in (
            ({"needs": {"vcpus": 5, "ram": 1350, "disk": 10}}, ["two"]),
            ({"needs": {"vcpus": 4, "ram": 1350, "disk": 0}}, ["one", "two"]),
            ({"needs": {"vcpus": 1, "ram": 1351, "disk": 0}}, []),
            ({"zone": "b"}, ["two"]),
            ({"names": ["one", "three"]}, ["one"]),
        ):
            assert [row["name"] for row in hosts.states(conn, **chosen)] == names  # type: ignore[arg-type]


def test_hosts_are_read_in_a_number_of_queries_that_does_not_grow(conductor: Conductor) -> None:
    def read() -> int:
        return count_queries(conductor, lambda conn: hosts.states(conn, needs={"vcpus": 1}))

    add_hosts(conductor, 1, SIZES)
    few = read()
    add_hosts(conductor, 200, SIZES)
    assert few == read() <= 4


def test_saving_a_host_again_changes_what_is_given(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        first = hosts.save(conn, "one", inventories=SIZES, aggregates={"a": {}}, identity="i1", zone="z")
        claims.claim(conn, consumer_id="c", host_id=first["id"], amounts={"DISK_GB": 8})
        second = hosts.save(conn, "one", inventories={"DISK_GB": {"total": 8}}, state="disabled")
        assert (second["id"], second["zone"], second["generation"]) == (first["id"], "z", 2)
        assert second["seq"] > first["seq"]
        state = hosts.states(conn)[0]
        assert state["aggregates"] == {"a": {}}
        assert state["inventories"]["MEMORY_MB"]["total"] == 1000
        with pytest.raises(InUse, match="use 8 DISK_GB"):
            hosts.save(conn, "one", inventories={"DISK_GB": {"total": 7}})
        with pytest.raises(BadInput):
            hosts.save(conn, "one", inventories={"VCPU": {"total": 1, "reserved": 2}})
        with pytest.raises(AlreadyExists):
            hosts.save(conn, "two", identity="i1")
        with pytest.raises(InUse):
            hosts.remove(conn, first["id"])
        claims.release(conn, "c")
        hosts.remove(conn, first["id"])
        assert hosts.states(conn) == []


def test_a_machine_keeps_its_name(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        assert hosts.endpoint(conn, "one") is None
        hosts.remember_endpoint(conn, "one", "network", None)
        hosts.remember_endpoint(conn, "one", "compute", "i1", address="192.0.2.1")
        again = hosts.remember_endpoint(conn, "one", "network", "i1")
        assert (again["kind"], again["identity"], again["address"]) == ("compute,network", "i1", "192.0.2.1")
        assert hosts.endpoint(conn, "one") == again
        with pytest.raises(HostMismatch, match="another machine"):
            hosts.remember_endpoint(conn, "one", "compute", "i2")
        with pytest.raises(HostMismatch, match="known as one"):
            hosts.remember_endpoint(conn, "renamed", "compute", "i1")
        hosts.forget_endpoint(conn, "one")
        assert hosts.remember_endpoint(conn, "renamed", "compute", "i1")["identity"] == "i1"
