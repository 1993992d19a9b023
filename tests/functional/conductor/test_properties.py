# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold whatever runs in parallel, each proved able to fail on a build that is broken on purpose.

Figures of every run, on each of the two databases: P1 10,000 claims by 16 processes, P3 5,000 takes by 16, P4 20,000
addresses (IPv4, IPv6 and MACs counted each) given and taken back by 8. ``AGENTLESS_FIGURES=100`` multiplies them.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    choice,
    claims,
    clock,
    ipam,
    quota,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AddressExhausted, ClaimLost, QuotaExceeded
from tests.functional.conductor.world import FIGURES, World, add_hosts, at_once, audit_claims, audit_ports, build

pytestmark = pytest.mark.slow

CLAIMS = int(10_000 * FIGURES)
TAKES = int(5_000 * FIGURES)
ADDRESSES = int(20_000 * FIGURES)


# P1: no host over its ratio in any resource class


def claim_and_release(address: str, number: int, host_ids: list[str], count: int) -> Counter[str]:
    """One process: ``count`` claims, alone and in batches, on few hosts; some are released again."""
    dice = random.Random(number)
    held: list[str] = []
    outcome: Counter[str] = Counter()
    done = 0
    with Conductor.open(address) as opened:
        while done < count:
            size = min(dice.choice((1, 1, 1, 10, 25, 50)), count - done)
            rows = [(clock.new_id(), dice.choice(host_ids), _amounts(dice)) for _claim in range(size)]
            done += size
            try:
                with opened.transaction(label="claim") as conn:
                    claims.claim_many(conn, rows)
            except ClaimLost:
                outcome["lost"] += size
            else:
                outcome["won"] += size
                held += [consumer for consumer, _host, _amounts in rows]
            if held and dice.random() < 0.3:
                gone = [held.pop() for _release in range(min(len(held), dice.choice((1, 5, 20))))]
                with opened.transaction(label="release") as conn:
                    claims.release_many(conn, gone)
                outcome["released"] += len(gone)
    return outcome


def _amounts(dice: random.Random) -> dict[str, int]:
    return {"VCPU": dice.choice((1, 2, 4)), "MEMORY_MB": dice.choice((64, 512)), "DISK_GB": dice.choice((0, 1, 3))}


def run_claims(conductor: Conductor, address: str, count: int, sizes: dict[str, dict[str, float]]) -> Counter[str]:
    ids = [host["id"] for host in add_hosts(conductor, 20, sizes)]
    conductor.close()
    parts = at_once(lambda number: claim_and_release(address, number, ids, count // 16), 16)
    return sum(parts, Counter())


def sized(count: int) -> dict[str, dict[str, float]]:
    """Twenty hosts of this size hold about two thirds of what ``count`` claims ask for: it is tight to the last."""
    share = max(count // 20, 8)
    return {
        "VCPU": {"total": share // 8, "allocation_ratio": 16.0},
        "MEMORY_MB": {"total": share * 130 + 3, "reserved": 3, "allocation_ratio": 1.5},
        "DISK_GB": {"total": share, "allocation_ratio": 1.0},
    }


def test_p1_no_host_is_ever_over_its_ratio(conductor: Conductor, address: str) -> None:
    outcome = run_claims(conductor, address, CLAIMS, sized(CLAIMS))
    with conductor.read() as conn:
        assert audit_claims(conn) == []
    assert outcome["won"] + outcome["lost"] == CLAIMS // 16 * 16
    assert min(outcome["won"], outcome["lost"], outcome["released"]) > CLAIMS // 100, "the run proved nothing"


def take_without_looking(conn: sa.Connection, sums: dict[tuple[str, str], int]) -> bool:
    """A claim that forgets to test the room."""
    table = cell.inventories
    for (host, name), amount in sorted(sums.items()):
        row = (table.c.host_id == host) & (table.c.resource_class == name)
        conn.execute(sa.update(table).where(row).values(used=table.c.used + amount))
    return True


def without_checks(conn: sa.Connection) -> None:
    """Turn off the constraints of the schema that forbid what the broken build does."""
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        return
    for table, rule in (("inventories", "ck_inventories_room"), ("quotas", "ck_quotas_limit")):
        conn.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {rule}")


def break_checks(conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process and its forks: on SQLite the switch is the connection's, on PostgreSQL the table's."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import engine

    prepare = engine._prepare_sqlite

    def prepared(connection: Any, record: Any) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA ignore_check_constraints = ON")

    monkeypatch.setattr(engine, "_prepare_sqlite", prepared)
    with conductor.transaction() as conn:
        without_checks(conn)


def test_p1_the_audit_sees_a_build_that_does_not_look(
    conductor: Conductor, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_checks(conductor, monkeypatch)
    monkeypatch.setattr(claims, "_take", take_without_looking)
    run_claims(conductor, address, 800, sized(800))
    with conductor.read() as conn:
        assert any("more than there is" in wrong for wrong in audit_claims(conn))


def test_p1_the_schema_stops_a_build_that_does_not_look(conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import Conflict

    monkeypatch.setattr(claims, "_take", take_without_looking)
    host = add_hosts(conductor, 1, sized(160))[0]["id"]
    with pytest.raises(Conflict, match="ck_inventories_room"), conductor.transaction() as conn:
        claims.claim(conn, consumer_id="c", host_id=host, amounts={"DISK_GB": 10**6})
    with conductor.read() as conn:
        assert audit_claims(conn) == []
        assert claims.held_by(conn, "c") == {}


# P3: quota never exceeded, never refused while room exists


def run_quota(conductor: Conductor, address: str, count: int, limit: int) -> tuple[str, Counter[str]]:
    """Sixteen processes take one at a time, ``count`` times in all; the limit is below that."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects

    with conductor.transaction() as conn:
        project = str(projects.create(conn, f"p{limit}")["id"])
        quota.set_limits(conn, project, {"instances": limit, "vcpus": -1})
    conductor.close()

    def work(_number: int) -> Counter[str]:
        outcome: Counter[str] = Counter()
        with Conductor.open(address) as opened:
            left = count // 16
            while left:
                turns = min(left, random.choice((1, 1, 5, 10)))
                left -= turns
                with opened.transaction(label="take") as conn:
                    for _turn in range(turns):
                        try:
                            quota.take(conn, project, vcpus=2, instances=1)
                        except QuotaExceeded:
                            outcome["refused"] += 1
                        else:
                            outcome["taken"] += 1
        return outcome

    return project, sum(at_once(work, 16), Counter())


def test_p3_quota_is_used_to_the_last_and_not_beyond(conductor: Conductor, address: str) -> None:
    limit = TAKES // 16 * 16 - TAKES // 4
    project, outcome = run_quota(conductor, address, TAKES, limit)
    assert outcome == {"taken": limit, "refused": TAKES // 16 * 16 - limit}
    with conductor.transaction() as conn:
        found = quota.usage(conn, project)
        # What was refused left nothing behind in the resource that has no limit.
        assert (found["instances"]["used"], found["vcpus"]["used"]) == (limit, 2 * limit)
        quota.give(conn, project, instances=limit, vcpus=2 * limit)
        quota.take(conn, project, instances=limit)


def test_p3_the_count_sees_a_build_that_does_not_look(
    conductor: Conductor, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_without_looking(conn: sa.Connection, project_id: str, resource: str, amount: int) -> bool:
        row = (cloud.quotas.c.project_id == project_id) & (cloud.quotas.c.resource == resource)
        conn.execute(sa.update(cloud.quotas).where(row).values(used=cloud.quotas.c.used + amount))
        return True

    break_checks(conductor, monkeypatch)
    monkeypatch.setattr(quota, "_raise", raise_without_looking)
    project, outcome = run_quota(conductor, address, 320, 200)
    assert outcome["taken"] > 200
    with conductor.read() as conn:
        assert quota.usage(conn, project)["instances"]["used"] > 200


# P4: no address and no MAC given twice; pools refill


def churn(address: str, number: int, world: World, count: int) -> tuple[int, list[str]]:
    """One process: ports made and removed in batches. Returns how many it got, and those that it still holds."""
    dice = random.Random(number)
    held: list[str] = []
    given = 0
    one = {"project_id": world.project["id"], "network_id": world.network["id"]}
    with Conductor.open(address) as opened:
        while given < count:
            size = dice.choice((1, 4, 12, 30))
            gone = dice.sample(held, min(len(held), dice.choice((0, size, 2 * size))))
            try:
                with opened.transaction(label="ports") as conn:
                    ipam.delete_ports(conn, gone)
                    made = ipam.create_ports(conn, [one] * size)
            except AddressExhausted:
                size = 0
                with opened.transaction(label="free") as conn:
                    ipam.delete_ports(conn, held)
                held = []
                continue
            held = [port for port in held if port not in gone] + [port["id"] for port in made]
            given += size * 3
    return given, held


def run_churn(conductor: Conductor, address: str, count: int) -> tuple[World, int, list[str]]:
    world = build(conductor, cidr="10.0.0.0/22")  # 1,021 addresses: eight processes come to its end again and again
    conductor.close()
    parts = at_once(lambda number: churn(address, number, world, count // 8), 8)
    return world, sum(given for given, _held in parts), [port for _given, held in parts for port in held]


def test_p4_nothing_is_given_twice_and_pools_refill(conductor: Conductor, address: str) -> None:
    world, given, held = run_churn(conductor, address, ADDRESSES)
    assert given >= ADDRESSES // 8 * 8
    with conductor.transaction() as conn:
        assert audit_ports(conn) == []
        rows = records.listing(conn, cloud.ports)
        assert {row["id"] for row in rows} == set(held)
        assert len(conn.execute(sa.select(cloud.addresses.c.address)).all()) == 2 * len(held)
        ipam.delete_ports(conn, held)
        one = {"project_id": world.project["id"], "network_id": world.network["id"]}
        full = ipam.create_ports(conn, [one] * 1021)
        assert len({port["addresses"][0]["address"] for port in full}) == 1021
        assert audit_ports(conn) == []
        with pytest.raises(AddressExhausted):
            ipam.create_port(conn, **one)


def test_p4_the_audit_sees_a_build_that_does_not_look(
    conductor: Conductor, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conductor.transaction() as conn:
        conn.exec_driver_sql("DROP TABLE addresses")
        conn.exec_driver_sql(
            "CREATE TABLE addresses (subnet_id VARCHAR(36), address VARCHAR(45), number VARCHAR(32), "
            "port_id VARCHAR(36), is_fixed BOOLEAN)"
        )

    def first_numbers(_conn: sa.Connection, subnet: Any, count: int, _excluded: set[int]) -> list[int]:
        start = subnet.pools[0][0]
        return list(range(start, start + count))

    monkeypatch.setattr(choice, "_search", first_numbers)
    run_churn(conductor, address, 800)
    with conductor.read() as conn:
        assert any("is given twice" in wrong for wrong in audit_ports(conn))


@pytest.mark.postgresql
def test_p4_the_audit_sees_a_build_that_does_not_lock(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where transactions run side by side, a choice without the lock on the subnet is no choice."""
    cluster.sql("CREATE DATABASE unlocked")
    address = cluster.address("unlocked")
    conductor = Conductor.open(address)
    with conductor.transaction() as conn:
        conn.exec_driver_sql("ALTER TABLE addresses DROP CONSTRAINT pk_addresses")
        conn.exec_driver_sql("ALTER TABLE addresses DROP CONSTRAINT uq_addresses_subnet_id_number")
    monkeypatch.setattr(sa.Select, "with_for_update", lambda query: query)
    run_churn(conductor, address, 4_000)
    with conductor.read() as conn:
        assert any("address" in wrong for wrong in audit_ports(conn))
    conductor.close()
