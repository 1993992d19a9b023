# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of a placement: records to requests, batches, claims, and a number of queries that does not grow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import fleet, placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.placement import Want, request_spec
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    clock,
    hosts,
    instances,
    projects,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ClaimLost, NotFound, NoValidHost
from tests.functional.conductor.world import Record, add_hosts, count_queries

SIZES: dict[str, dict[str, float]] = {
    "VCPU": {"total": 4, "reserved": 1, "allocation_ratio": 2.0},
    "MEMORY_MB": {"total": 8192, "reserved": 1024, "allocation_ratio": 1.0},
    "DISK_GB": {"total": 100, "reserved": 0, "allocation_ratio": 1.0},
}
SMALL = {"vcpus": 1, "ram": 512, "disk": 1}


def add_group(conn: sa.Connection, policy: str, most: int | None = None) -> Record:
    project = projects.ensure_default(conn)["id"]
    return records.insert(conn, cloud.server_groups, project_id=project, name=policy, policy=policy, max_per_host=most)


def wants(spec: Any, count: int) -> list[Want]:
    return [Want(clock.new_id(), spec) for _number in range(count)]


def test_hosts_are_read_as_the_conductor_has_them(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        cpu = {"arch": "x86_64", "model": "EPYC", "features": ["aes"]}
        aggregates = {"fast": {"ssd": "true"}, "plain": {}}
        saved = hosts.save(
            conn, "b", inventories=SIZES, aggregates=aggregates, cpu=cpu, virt_types=["kvm", "qemu"], zone="east"
        )
        hosts.save(conn, "a", state="maintenance", reason="fan", planned=True)
        project = projects.ensure_default(conn)["id"]
        instances.create(conn, {"project_id": project, "name": "i", "host_id": saved["id"]})
        placement.place(conn, [Want("i", request_spec(conn, flavor=SMALL, image=None))])
    with conductor.read() as conn:
        bare, full = fleet.read(conn)
    assert (bare.name, bare.state, bare.reason, bare.planned) == ("a", "maintenance", "fan", True)
    assert (bare.vcpus, bare.ram, bare.disk, bare.virt_types, bare.cpu) == (0, 0, 0, (), {})
    assert (full.id, full.name, full.zone, full.planned) == (saved["id"], "b", "east", False)
    assert (full.vcpus, full.ram, full.disk) == (5, 6656, 99)
    assert full.virt_types == ("kvm", "qemu")
    assert full.cpu == cpu
    assert full.aggregates == aggregates
    assert full.instances == 1


def test_a_request_takes_all_kinds_of_disk(conductor: Conductor) -> None:
    flavor = {**SMALL, "disk": 10, "ephemeral": 5, "swap": 1025, "extra_specs": {"hw:cpu_policy": "shared"}}
    with conductor.read() as conn:
        spec = request_spec(conn, flavor=flavor, image={"properties": {"hw_disk_bus": "scsi"}}, zone="east")
    assert spec.needs == {"vcpus": 1, "ram": 512, "disk": 17}
    assert spec.extra_specs == {"hw:cpu_policy": "shared"}
    assert spec.image_properties == {"hw_disk_bus": "scsi"}


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ({"force": "x"}, "There is no scheduler hint 'force'; there are different_host, same_host."),
        ({"query": '[">=","$free_ram_mb",1]'}, "There is no scheduler hint 'query'"),
        ({"same_host": {"a": 1}}, "name of an instance, or a list"),
        ({"same_host": [1]}, "name of an instance, or a list"),
    ],
)
def test_unknown_hints_are_refused(conductor: Conductor, hints: dict[str, Any], said: str) -> None:
    with conductor.read() as conn, pytest.raises(BadInput, match=said.replace("[", r"\[")):
        request_spec(conn, flavor=SMALL, image=None, hints=hints)


def test_a_trait_is_required_or_forbidden(conductor: Conductor) -> None:
    flavor = {**SMALL, "extra_specs": {"trait:HW_CPU_X86_AVX": "maybe"}}
    with conductor.read() as conn, pytest.raises(BadInput, match="HW_CPU_X86_AVX is 'maybe'"):
        request_spec(conn, flavor=flavor, image=None)


def test_hints_name_instances(conductor: Conductor) -> None:
    add_hosts(conductor, 3, SIZES)
    with conductor.transaction(lock="placement") as conn:
        project = projects.ensure_default(conn)["id"]
        where = {}
        for name, host in (("one", "host00000"), ("two", "host00001")):
            host_id = records.get(conn, cell.hosts, host)["id"]
            where[name] = instances.create(conn, {"project_id": project, "name": name, "host_id": host_id})["id"]

        def chosen(hints: dict[str, Any]) -> set[str]:
            spec = request_spec(conn, flavor=SMALL, image=None, hints=hints, project_id=project)
            return {placement.decide(conn, spec, seed=str(number)).hosts[0].name for number in range(20)}

        assert chosen({"same_host": "one"}) == {"host00000"}
        assert chosen({"same_host": ["one", where["two"]]}) == {"host00000", "host00001"}
        assert chosen({"different_host": ["one", "two"]}) == {"host00002"}
        assert chosen({"same_host": ["one", "two"], "different_host": where["one"]}) == {"host00001"}
        with pytest.raises(NotFound, match="names instance 'three'"):
            chosen({"same_host": ["one", "three"]})
        with pytest.raises(NotFound):
            request_spec(conn, flavor=SMALL, image=None, hints={"same_host": "one"}, project_id="another")


def test_all_or_none(conductor: Conductor) -> None:
    add_hosts(conductor, 2, SIZES)  # six vCPUs each
    with conductor.transaction(lock="placement") as conn:
        spec = request_spec(conn, flavor=SMALL, image=None)
        with pytest.raises(NoValidHost) as caught:
            placement.place(conn, wants(spec, 13))
        assert conn.execute(sa.select(sa.func.count()).select_from(cell.allocations)).scalar() == 0
        assert caught.value.details["explanation"]["seen"] == 2
        placed = placement.place(conn, wants(spec, 12))
        assert Counter(one.host for one in placed) == {"host00000": 6, "host00001": 6}


def test_big_ones_go_first_and_answers_keep_the_order(conductor: Conductor) -> None:
    add_hosts(conductor, 2, SIZES)  # 7168 MiB each
    with conductor.transaction(lock="placement") as conn:
        little = request_spec(conn, flavor={**SMALL, "ram": 1024}, image=None)
        large = request_spec(conn, flavor={**SMALL, "ram": 6144}, image=None)
        # Placed in this order, the little ones would be spread and no host could take a large one.
        asked = [*wants(little, 2), *wants(large, 2)]
        placed = placement.place(conn, asked)
        assert [one.instance_id for one in placed] == [want.instance_id for want in asked]
        assert {one.host for one in placed[2:]} == {"host00000", "host00001"}
        assert fleet.read(conn)[0].ram == 0


def test_batches_of_one_call_know_of_each_other(conductor: Conductor) -> None:
    add_hosts(conductor, 3, SIZES)
    with conductor.transaction(lock="placement") as conn:
        group = add_group(conn, "anti-affinity")
        one = request_spec(conn, flavor=SMALL, image=None, group=group)
        other = request_spec(conn, flavor={**SMALL, "ram": 1024}, image=None, group=group)
        placed = placement.place(conn, [*wants(one, 1), *wants(other, 2)])
        assert len({one.host for one in placed}) == 3
        together = add_group(conn, "affinity")
        one = request_spec(conn, flavor=SMALL, image=None, group=together)
        other = request_spec(conn, flavor={**SMALL, "ram": 1024}, image=None, group=together)
        placed = placement.place(conn, [*wants(one, 2), *wants(other, 1)])
        assert len({one.host for one in placed}) == 1


def test_a_forced_host_must_exist(conductor: Conductor) -> None:
    add_hosts(conductor, 2, SIZES)
    with conductor.transaction(lock="placement") as conn:
        spec = request_spec(conn, flavor=SMALL, image=None, force_host="host0000")
        for ask in (lambda: placement.decide(conn, spec), lambda: placement.place(conn, wants(spec, 1))):
            with pytest.raises(NotFound, match="Nearest: host0000"):
                ask()


def test_a_stale_choice_loses_the_place_in_the_group(conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    add_hosts(conductor, 1, SIZES)
    with conductor.transaction(lock="placement") as conn:
        spec = request_spec(conn, flavor=SMALL, image=None, group=add_group(conn, "anti-affinity"))
        placement.place(conn, wants(spec, 1))
    monkeypatch.setattr(placement, "_with_members", lambda _conn, specs: list(specs))
    with pytest.raises(ClaimLost, match="1 of the server group"), conductor.transaction(lock="placement") as conn:
        placement.place(conn, wants(spec, 1))
    with conductor.read() as conn:
        assert fleet.read(conn)[0].vcpus == 5  # the claim went with the transaction


def test_queries_do_not_grow(conductor: Conductor) -> None:
    add_hosts(conductor, 2, SIZES)

    def queries(count: int) -> int:
        def work(conn: sa.Connection) -> None:
            group = records.find(conn, cloud.server_groups, "soft-affinity") or add_group(conn, "soft-affinity")
            spec = request_spec(conn, flavor={"vcpus": 0, "ram": 1, "disk": 0}, image=None, group=group)
            placement.place(conn, wants(spec, count))

        return count_queries(conductor, work)

    queries(1)
    few = queries(1)
    with conductor.transaction() as conn:
        for number in range(50):
            hosts.save(conn, f"more{number}", inventories=SIZES)
    assert queries(100) == few
