# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P2: affinity and anti-affinity under parallel requests, and no failure while a legal host exists.

Figures of every run, on each of the two databases: 2,000 requests by 16 processes. ``AGENTLESS_FIGURES=50`` multiplies
them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import neighbours, placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    claims,
    clock,
    projects,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ClaimLost, NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS
from tests.functional.conductor.world import FIGURES, Record, add_hosts, at_once, audit_claims

pytestmark = pytest.mark.slow

REQUESTS = int(2_000 * FIGURES)
PROCESSES = 16
HOSTS = 8
FLAVOR = {"vcpus": 1, "ram": 512, "disk": 1}
SIZES: dict[str, dict[str, float]] = {
    "VCPU": {"total": 20, "reserved": 0, "allocation_ratio": 1.0},
    "MEMORY_MB": {"total": 12288, "reserved": 2048, "allocation_ratio": 1.0},
    "DISK_GB": {"total": 100, "reserved": 0, "allocation_ratio": 1.0},
}
POLICIES = [("anti-affinity", 1), ("anti-affinity", 1), ("anti-affinity", 2), ("affinity", None)]


def add_groups(opened: Conductor, count: int) -> list[Record]:
    with opened.transaction() as conn:
        project = projects.ensure_default(conn)["id"]
        return [
            records.insert(
                conn,
                cloud.server_groups,
                project_id=project,
                name=f"group{number}",
                policy=POLICIES[number % len(POLICIES)][0],
                max_per_host=POLICIES[number % len(POLICIES)][1],
            )
            for number in range(count)
        ]


def legal_hosts(conn: sa.Connection, group: Record, count: int) -> list[str]:
    """Where so many more members could go together, or one by one, read from the tables and not by the scheduler."""
    room = Counter[str]()
    query = sa.select(cell.hosts.c.name, cell.inventories).join_from(cell.hosts, cell.inventories)
    left: dict[str, int] = {}
    for row in conn.execute(query).mappings():
        need = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}[row["resource_class"]]
        fit = (row["total"] - row["reserved"] - row["used"]) // need
        left[row["name"]] = min(left.get(row["name"], fit), fit)
    members = neighbours.members(conn, [group["id"]])[group["id"]]
    for name, fit in left.items():
        if group["policy"] == "anti-affinity":
            room[name] = min(fit, group["max_per_host"] - members.get(name, 0))
        elif not members or name in members:
            room[name] = fit
    if group["policy"] == "affinity":
        return [name for name, fit in room.items() if fit >= count]
    legal = [name for name, fit in room.items() for _number in range(max(fit, 0))]
    return legal if len(legal) >= count else []


def place_and_remove(address: str, number: int, groups: list[Record], count: int) -> Counter[str]:
    """One process: ``count`` requests for one to three instances in a group at hand; some go away again."""
    dice = random.Random(number)
    held: list[str] = []
    outcome: Counter[str] = Counter()
    with Conductor.open(address) as opened:
        for _request in range(count):
            group = dice.choice(groups)
            ids = [clock.new_id() for _instance in range(dice.choice((1, 1, 1, 2, 3)))]
            leaving = held[:4] if dice.random() < 0.3 else []
            try:
                said = request(opened, group, ids, leaving)
            except ClaimLost:
                said, leaving = "lost", []
            outcome[said] += 1
            held = [key for key in held if key not in leaving] + (ids if said == "placed" else [])
    return outcome


def request(opened: Conductor, group: Record, ids: list[str], leaving: list[str]) -> str:
    """One transaction, and what became of it."""
    with opened.transaction(lock="placement") as conn:
        if leaving:
            claims.release_many(conn, leaving)
            table = cloud.server_group_members
            conn.execute(sa.delete(table).where(table.c.instance_id.in_(leaving)))
        spec = placement.request_spec(conn, flavor=FLAVOR, image=None, group=group)
        try:
            placement.place(conn, [placement.Want(key, spec) for key in ids])
        except NoValidHost:
            return "refused, though a host is legal" if legal_hosts(conn, group, len(ids)) else "full"
    return "placed"


def audit(conn: sa.Connection) -> list[str]:
    """What is wrong with the groups: too many on one host, on several hosts at once, or not where their claim is."""
    groups, members = cloud.server_groups, cloud.server_group_members
    count = sa.func.count()
    wrong = []
    query = sa.select(groups, members.c.host, count.label("there")).join_from(groups, members)
    for row in conn.execute(query.group_by(*groups.c, members.c.host)).mappings():
        if row["policy"] == "anti-affinity" and row["there"] > row["max_per_host"]:
            wrong.append(f"{row['name']} has {row['there']} members on {row['host']}")
    spread = sa.select(groups.c.name, sa.func.count(sa.distinct(members.c.host))).join_from(groups, members)
    for name, hosts in conn.execute(spread.where(groups.c.policy == "affinity").group_by(groups.c.name)):
        if hosts > 1:
            wrong.append(f"{name} is on {hosts} hosts")
    claimed = sa.select(cell.allocations.c.consumer_id, cell.hosts.c.name).join_from(
        cell.allocations, cell.hosts, _same
    )
    where = set(map(tuple, conn.execute(claimed)))
    joined = set(map(tuple, conn.execute(sa.select(members.c.instance_id, members.c.host))))
    return wrong + [f"{key} has its claim or its place in the group alone" for key, _host in sorted(where ^ joined)]


_same = cell.allocations.c.host_id == cell.hosts.c.id


def run(opened: Conductor, address: str, requests: int) -> tuple[Counter[str], list[str]]:
    add_hosts(opened, HOSTS, SIZES)
    groups = add_groups(opened, 8)
    opened.close()
    parts = at_once(lambda number: place_and_remove(address, number, groups, -(-requests // PROCESSES)), PROCESSES)
    with opened.read() as conn:
        return sum(parts, Counter()), audit(conn) + audit_claims(conn)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(pipeline, "FILTERS", tuple(one for one in FILTERS if one.name not in names))


@pytest.fixture
def sqlite(tmp_path: Any) -> Iterator[tuple[Conductor, str]]:
    address = str(tmp_path / "cloud.db")
    with Conductor.open(address) as opened:
        yield opened, address


def test_p2_groups_hold_under_parallel_requests(conductor: Conductor, address: str) -> None:
    outcome, wrong = run(conductor, address, REQUESTS)
    assert not wrong
    assert set(outcome) == {"placed", "full"}
    assert sum(outcome.values()) >= REQUESTS
    # Both sides of the limit were met often.
    assert min(outcome.values()) > REQUESTS / 20


def test_p2_the_schema_stops_a_scheduler_that_does_not_look(
    sqlite: tuple[Conductor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "AntiAffinity")
    outcome, wrong = run(*sqlite, 400)
    assert not wrong, "the slots let too many in"
    assert outcome["lost"], "the test would not see failures"


def test_p2_the_audit_sees_a_build_without_filter_and_slots(
    sqlite: tuple[Conductor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "AntiAffinity", "Affinity")
    monkeypatch.setattr(neighbours, "_HARD", "no such policy")
    _outcome, wrong = run(*sqlite, 400)
    assert any("members on" in text for text in wrong)
    assert any("hosts" in text for text in wrong)


def test_p2_the_audit_sees_a_build_that_decides_before_it_locks(
    sqlite: tuple[Conductor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members read once and never again: affinity, which no constraint guards, is then broken."""
    monkeypatch.setattr(neighbours, "members", lambda _conn, group_ids: {key: {} for key in group_ids})
    _outcome, wrong = run(*sqlite, 400)
    assert any("hosts" in text for text in wrong)
