# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the database picks is what the pipeline would pick from every host: on random fleets, in both databases.

And P22 for placements: neither the queries nor the rows of a single placement grow with the hosts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import fleet, placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    clock,
    hosts,
    records,
    shortlist,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NotFound, NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import narrowing, pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Group, Placement, RequestSpec
from tests.functional.conductor.world import FIGURES, add_hosts
from tests.functional.placement.test_placement import SIZES

FLEETS = max(1, int(4 * FIGURES))
REQUESTS = int(150 * FIGURES)
SMALL = RequestSpec(vcpus=1, ram=512, disk=1)
POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fleets that would be read as a whole go through the shortlist too, and the shortlist is soon too short."""
    monkeypatch.setattr(shortlist, "SMALL", 0)
    monkeypatch.setattr(shortlist, "MOST", 4)


def size(total: int, reserved: int, ratio: float) -> dict[str, float]:
    return {"total": total, "reserved": reserved, "allocation_ratio": ratio}


def random_fleet(conn: sa.Connection, dice: random.Random, names: list[str], kind_of_fleet: int) -> None:
    """Hosts of a few sizes, so that many are equal, with fractions of room, holes, and other states.

    :param kind_of_fleet: 2: all hosts are equal; 3: aggregates of some set multipliers.
    """
    alike, own_multipliers = kind_of_fleet == 2, kind_of_fleet == 3

    def one_of(options: tuple[Any, ...]) -> Any:
        return options[0] if alike else dice.choice(options)

    for name in names:
        room = {
            "VCPU": size(one_of((32, 2, 7, 7)), 0, one_of((16, 1.0, 1.1))),
            "MEMORY_MB": size(one_of((8192, 0, 4096)), 0, one_of((1, 1.5))),
            "DISK_GB": size(one_of((333, 10)), one_of((0, 10)), 1.3),
        }
        for kind in list(room):
            if one_of((False, *[False] * 18, True)):
                del room[kind]
        key = f"{dice.choice(('ram', 'cpu'))}_weight_multiplier"
        host = hosts.save(
            conn,
            name,
            inventories=room,
            state=dice.choice(("enabled",) * 6 + ("disabled", "maintenance")),
            zone=dice.choice((None, "east", "west")),
            planned=dice.random() < 0.2,
            virt_types=dice.choice((["kvm"], ["qemu"])),
            aggregates={"g": {key: "2.5"}} if own_multipliers and dice.random() < 0.3 else {"h": {"ssd": "true"}},
        )
        for kind, row in room.items():
            used = int((row["total"] - row["reserved"]) * row["allocation_ratio"] * one_of((0, 0, 0.5, 1)))
            where = (cell.inventories.c.host_id == host["id"]) & (cell.inventories.c.resource_class == kind)
            conn.execute(sa.update(cell.inventories).where(where).values(used=used))


def random_request(dice: random.Random, names: list[str]) -> RequestSpec:
    """Any of the questions, most of them not asked."""

    def some(most: int) -> frozenset[str]:
        return frozenset(dice.sample(names, dice.randint(1, min(most, len(names)))))

    def rarely(value: Any, usual: Any = None) -> Any:
        return value if dice.random() < 0.15 else usual

    members = {name: dice.randint(1, 2) for name in some(6)} if dice.random() < 0.7 else {}
    return RequestSpec(
        vcpus=dice.choice((0, 1, 2, 7)),
        ram=dice.choice((0, 512, 4096, 6000)),
        disk=dice.choice((0, 1, 10, 400)),
        zone=rarely("east"),
        same_host=rarely(some(5)),
        different_host=rarely(some(10), frozenset()),
        exclude=rarely(some(3), frozenset()),
        force_host=rarely(dice.choice(names)),
        real=dice.random() < 0.3,
        image_properties=rarely({"img_hv_type": "kvm"}, {}),
        group=rarely(Group("g", dice.choice(POLICIES), max_per_host=dice.choice((1, 2)), hosts=members)),
    )


def outcome(ask: Any) -> Placement | str:
    try:
        return ask()
    except NoValidHost as exc:
        return str(exc.msg)


def differences(conn: sa.Connection, dice: random.Random, names: list[str], count: int) -> tuple[int, list[str]]:
    """How many requests the shortlist answered, and those that the whole fleet answers otherwise."""
    answered, wrong = 0, []
    states = fleet.read(conn)
    for number in range(count):
        request = random_request(dice, names)
        many = dice.choice((1, 1, 1, 2, 4))
        weights = dice.choice((None, None, {"ram_weight_multiplier": -1.5, "disk_weight_multiplier": 0.0}))
        options: Any = {"count": many, "seed": f"web{number}", "weights": weights}
        want = outcome(lambda: pipeline.place(states, request, **options))  # noqa: B023
        found = outcome(lambda: placement._one(conn, request, **options))  # noqa: B023
        if isinstance(found, str) or isinstance(want, str):
            wrong += [] if found == want else [f"{request} x {many}: {found} instead of {want}"]
            continue
        same = found.hosts == want.hosts and found.explanation["seen"] == len(states)
        if "narrowed" in found.explanation:
            answered += 1
            survivors = want.explanation["survivors"]
            same = same and found.explanation["narrowed"]["left"] == survivors[-1]["left"]
            same = same and found.explanation["narrowed"]["filters"] == [step["filter"] for step in survivors]
            listed = found.explanation["candidates"]
            same = same and listed == want.explanation["candidates"][: len(listed)]
        if not same:
            wrong.append(f"{request} x {many}: {found} instead of {want}")
    return answered, wrong


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("seed", range(FLEETS))
def test_the_choice_is_that_of_the_whole_fleet(conductor: Conductor, seed: int) -> None:
    dice = random.Random(seed)
    names = [f"h{number}" for number in range(dice.choice((1, 5, 40, 90)))]
    with conductor.transaction() as conn:
        random_fleet(conn, dice, names, seed % 4)
        answered, wrong = differences(conn, dice, names, REQUESTS)
        assert not wrong, wrong[0]
        # Not all of it is luck: where the shortlist may answer, it does.
        assert answered > REQUESTS / 10 or seed % 4 == 3 or len(names) < 10


@pytest.fixture
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The statement with one part of it wrong."""
    before, after = request.param
    assert before in shortlist._STATEMENT or before == shortlist._LEFT
    name = "_LEFT" if before == shortlist._LEFT else "_STATEMENT"
    monkeypatch.setattr(shortlist, name, getattr(shortlist, name).replace(before, after))
    shortlist._statement.cache_clear()
    yield
    shortlist._statement.cache_clear()


@pytest.mark.parametrize(
    "broken",
    [
        (" DESC,", ","),
        ("substr(id, :digit) < :start, ", ""),
        ("LIKE :override", "LIKE 'no' || :override"),
        ("FROM scaled", "FROM scaled WHERE ram <> 4096"),
        (shortlist._LEFT, "({0}.total - {0}.reserved) - {0}.used"),
    ],
    ids=["worst", "ties", "multipliers", "forgotten", "ratio"],
    indirect=True,
)
@pytest.mark.usefixtures("always", "broken")
def test_a_statement_with_a_mistake_is_found_out(tmp_path: Any) -> None:
    """The property can fail."""
    found: list[str] = []
    with Conductor.open(str(tmp_path / "cloud.db")) as opened:
        for seed in range(12):
            dice = random.Random(seed)
            names = [f"h{seed}-{number}" for number in range(30)]
            with opened.transaction() as conn:
                for name in [row["name"] for row in hosts.states(conn)]:
                    hosts.remove(conn, records.get(conn, cell.hosts, name)["id"])
                random_fleet(conn, dice, names, 1 + seed % 3)
                found += differences(conn, dice, names, 60)[1]
    assert found


@pytest.mark.parametrize(
    "asked",
    [
        {"image_properties": {"img_hv_type": "kvm"}},
        {"extra_specs": {"aggregate_instance_extra_specs:ssd": "true"}},
        {"group": Group("g", "soft-affinity", hosts={"a": 1})},
        {"vcpus": 0, "ram": 0, "disk": 0},
        {"different_host": frozenset(f"h{number}" for number in range(1001))},
    ],
)
def test_what_the_database_cannot_answer_is_left_to_the_pipeline(asked: dict[str, Any]) -> None:
    assert narrowing.of(SMALL) is not None
    # By this ending the database knows a multiplier in an aggregate.
    assert all(one.setting.endswith("_weight_multiplier") for one in narrowing.WEIGHERS)
    assert narrowing.of(replace(SMALL, **asked)) is None


@pytest.mark.usefixtures("always")
def test_a_database_from_before_the_indexes_gets_them(conductor: Conductor, address: str) -> None:
    add_hosts(conductor, 3, SIZES)
    with conductor.transaction() as conn:
        for name in ("ix_hosts_state_planned_id", "ix_hosts_seq", "ix_inventories_room"):
            conn.execute(sa.text(f"DROP INDEX IF EXISTS {name}"))
        conn.execute(sa.text("UPDATE agentless_cell_version SET version_num = 'cell_0001'"))
    conductor.close()
    with Conductor.open(address) as opened, opened.read() as conn:
        assert "narrowed" in placement.decide(conn, SMALL).explanation


@pytest.mark.usefixtures("always")
def test_refusals_and_whole_stories_tell_of_every_host(conductor: Conductor) -> None:
    add_hosts(conductor, 9, SIZES)
    with conductor.read() as conn:
        told = placement.decide(conn, SMALL).explanation
        assert (told["seen"], told["narrowed"]["left"], told["narrowed"]["read"]) == (9, 9, 4)
        whole = placement.decide(conn, SMALL, whole=True).explanation
        assert "narrowed" not in whole
        assert [step["left"] for step in whole["survivors"]] == [9] * 4
        assert told["candidates"] == whole["candidates"][:4]
        with pytest.raises(NoValidHost) as caught:
            placement.decide(conn, replace(SMALL, vcpus=7))
        assert len(caught.value.details["explanation"]["filtered"]) == 9
        with pytest.raises(NotFound):
            placement.decide(conn, replace(SMALL, force_host="nobody"))


def fill(conn: sa.Connection, first: int, end: int) -> None:
    """Hosts in a hurry."""
    now = clock.now()
    ids = {number: clock.new_id() for number in range(first, end)}
    stamps = {"created_at": now, "updated_at": now}
    conn.execute(
        sa.insert(cell.hosts), [{"id": key, "name": f"h{number:05d}", **stamps} for number, key in ids.items()]
    )
    rooms = [{"host_id": key, "resource_class": kind, **SIZES[kind]} for key in ids.values() for kind in SIZES]
    conn.execute(sa.insert(cell.inventories), rooms)


def work(opened: Conductor) -> tuple[int, int]:
    """Statements that one placement sends, and rows that it gets back."""
    sent: list[str] = []
    rows: list[int] = []

    def note(conn: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)
        if conn.dialect.name == "postgresql" and cursor.description:
            rows.append(cursor.rowcount)

    def one(_cursor: Any, row: Any) -> Any:
        rows.append(1)
        return row

    with opened.transaction(lock="placement") as conn:
        driver: Any = conn.connection.driver_connection
        if conn.dialect.name == "sqlite":
            driver.row_factory = one
        sa.event.listen(conn.engine, "after_cursor_execute", note)
        placement.place(conn, [placement.Want(clock.new_id(), SMALL)])
        sa.event.remove(conn.engine, "after_cursor_execute", note)
        if conn.dialect.name == "sqlite":
            driver.row_factory = None
    return len(sent), sum(rows)


def test_p22_the_work_of_one_placement_does_not_grow(conductor: Conductor) -> None:
    seen = {}
    for before, hosts_now in ((0, 10), (10, 100), (100, 10_000)):
        with conductor.transaction() as conn:
            fill(conn, before, hosts_now)
        seen[hosts_now] = work(conductor)
    # A small fleet is read as a whole: the shortlist in vain, and then a row for its host, room and guests each.
    assert {sent for sent, _rows in seen.values()} == {seen[10][0]}
    assert seen[10][0] <= 14
    assert seen[10_000][1] <= seen[100][1] + 3 <= 4 * shortlist.MOST + 6


def test_p22_a_reading_of_the_whole_fleet_is_noticed(conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "SMALL", 1_000)
    with conductor.transaction() as conn:
        fill(conn, 0, 500)
    assert work(conductor)[1] > 1_000
