# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a whole call on rows in memory: what is written, what is not, and who is told that it changed."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network import driver, sight
from ansible_collections.agentless.cloud.plugins.module_utils.network.model import Model
from tests.functional.network import world

GROUP = world.secgroup("g", world.rule("r", protocol="tcp"))
EMPTY: dict[str, dict[str, Any]] = {
    table: {} for table in ("Logical_Switch", "Logical_Switch_Port", "DHCP_Options", "DNS", "Port_Group", "ACL")
}


def tables_of(model: Model) -> dict[str, dict[str, Any]]:
    """The rows that the model wants, as the database would give them back."""
    tables: dict[str, dict[str, Any]] = {table: {} for table in EMPTY}
    for (table, row_uuid), row in model.inserts.items():
        tables[table][row_uuid] = row
    return tables


def test_a_call_may_name_things_in_any_order() -> None:
    results, model = driver.plan(EMPTY, [world.port(0, groups=("g",)), world.network(), GROUP])
    assert [result["ok"] for result in results] == [True, True, True]
    assert sorted({table for table, _uuid in model.inserts}) == sorted(EMPTY)


def test_what_is_as_wanted_is_not_written() -> None:
    operations = [GROUP, world.network(), world.port(0, groups=("g",))]
    _results, model = driver.plan(EMPTY, operations)
    results, again = driver.plan(tables_of(model), operations)
    assert again.empty
    assert not any(result["changed"] for result in results)


def test_a_failed_operation_leaves_no_trace() -> None:
    good = [world.network(), GROUP]
    _results, alone = driver.plan(EMPTY, good)
    results, model = driver.plan(EMPTY, [*good, world.port(0, groups=("g", "nobody"))])
    assert [result["ok"] for result in results] == [True, True, False]
    assert results[2]["error"] == "NotFound"
    assert len(model.inserts) == len(alone.inserts)


def test_a_newer_generation_is_written_and_is_no_change() -> None:
    _results, model = driver.plan(EMPTY, [world.network()])
    results, again = driver.plan(tables_of(model), [world.network(generation=2)])
    assert results == [{"ok": True, "changed": False}]
    assert [list(columns) for columns in again.updates.values()] == [["external_ids"]]


def test_a_port_without_security_is_in_no_group() -> None:
    _results, model = driver.plan(EMPTY, [world.network(), world.port(0, port_security=False)])
    assert not [row for (table, _uuid), row in model.inserts.items() if table == "Port_Group"]


def test_groups_on_a_port_without_security_are_refused() -> None:
    results, _model = driver.plan(EMPTY, [GROUP, world.network(), world.port(0, groups=("g",), port_security=False)])
    assert [result["ok"] for result in results] == [True, True, False]


def test_a_group_leaves_the_port_that_no_longer_has_it() -> None:
    _results, model = driver.plan(EMPTY, [GROUP, world.network(), world.port(0, groups=("g",))])
    results, again = driver.plan(tables_of(model), [world.port(0)])
    assert results == [{"ok": True, "changed": True}]
    assert [mutation[0] for mutation in again.mutations] == ["remove"]


def test_a_rule_that_is_taken_away_leaves_its_group() -> None:
    two = world.secgroup("g", world.rule("r", protocol="tcp"), world.rule("s", protocol="udp"))
    _results, model = driver.plan(EMPTY, [two])
    results, again = driver.plan(tables_of(model), [GROUP])
    assert results == [{"ok": True, "changed": True}]
    assert [(verb, table, column) for verb, table, _uuid, column, _value in again.mutations] == [
        ("remove", "Port_Group", "acls")
    ]
    assert not again.inserts


def test_a_new_port_in_a_large_group_writes_only_itself() -> None:
    first = [GROUP, world.network(), *(world.port(number, groups=("g",)) for number in range(100))]
    _results, model = driver.plan(EMPTY, first)
    _results, again = driver.plan(tables_of(model), [world.port(100, groups=("g",))])
    assert len(again.inserts) == 1
    assert not again.updates
    assert sorted((verb, column) for verb, _table, _uuid, column, _value in again.mutations) == [
        ("add", "ports"),
        ("add", "ports"),
        ("add", "ports"),
        ("setkey", "records"),
    ]


def test_names_of_a_physical_network_are_not_ours() -> None:
    provider = {"network_type": "flat", "physical_network": "phys"}
    results, model = driver.plan(EMPTY, [world.network(provider=provider), world.port(0)])
    assert [result["ok"] for result in results] == [True, True]
    assert "DNS" not in {table for table, _uuid in model.inserts}


def test_only_rows_of_the_call_are_asked_for() -> None:
    needed = sight.conditions([world.port(0, groups=("g",))])
    assert needed["Logical_Switch_Port"] == [["name", "==", world.uid("port0")]]
    assert needed["Logical_Switch"] == [["name", "==", world.uid("net")]]
    assert {clause[2] for clause in needed["Port_Group"]} == {"ag_drop", "ag_" + world.uid("g").replace("-", "_")}
