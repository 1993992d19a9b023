# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network backend against a real northbound database."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import time
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.network import driver
from tests.functional.network import world
from tests.functional.network.ovn import Ovn

CLOUD = [
    world.secgroup("g", world.rule("ssh", protocol="tcp", port_range_min=22, port_range_max=22), *world.outbound("g")),
    world.network(),
    *(world.port(number, groups=("g",)) for number in range(3)),
]
REMOVAL = [
    *(world.absent("port", f"port{number}") for number in range(3)),
    world.absent("network", "net"),
    world.absent("secgroup", "g"),
]
TABLES = ("Logical_Switch", "Logical_Switch_Port", "DHCP_Options", "DNS", "ACL", "Port_Group")


def call(ovn: Ovn, ctx: Context, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One call, its operations as they come off the wire."""
    return driver.batch(ctx, json.loads(json.dumps(operations)), remote=ovn.remote)


def everything(ovn: Ovn) -> str:
    """The whole northbound database as text."""
    return "".join(ovn.nbctl("--no-headings", "--format=csv", "list", table) for table in TABLES)


def test_all_is_one_transaction_and_the_second_run_none(ovn: Ovn, ctx: Context) -> None:
    before = ovn.transactions()
    assert all(result["ok"] and result["changed"] for result in call(ovn, ctx, CLOUD))
    assert ovn.transactions() - before == 1
    ovn.translated()
    before, text = ovn.transactions(), everything(ovn)
    assert [result["changed"] for result in call(ovn, ctx, CLOUD)] == [False] * len(CLOUD)
    assert (ovn.transactions(), everything(ovn)) == (before, text)


def test_check_mode_predicts_and_writes_nothing(ovn: Ovn, ctx: Context) -> None:
    checking = Context(check_mode=True, state_dir=ctx.state_dir)
    text = everything(ovn)
    predicted = call(ovn, checking, CLOUD)
    assert everything(ovn) == text
    assert predicted == call(ovn, ctx, CLOUD)


def test_removal_leaves_nothing_but_the_shared_drop_group(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    assert all(result["ok"] and result["changed"] for result in call(ovn, ctx, REMOVAL))
    assert [result["changed"] for result in call(ovn, ctx, REMOVAL)] == [False] * len(REMOVAL)
    for table in ("Logical_Switch", "Logical_Switch_Port", "DHCP_Options", "DNS"):
        assert ovn.nbctl("--bare", "list", table) == ""
    assert ovn.nbctl("--bare", "--columns=name", "list", "Port_Group").split() == ["ag_drop"]


def test_what_is_in_use_does_not_go(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    results = call(ovn, ctx, [world.absent("port", "port0"), *REMOVAL[3:]])
    assert [result.get("error") for result in results] == [None, "InUse", "InUse"]


def test_one_bad_operation_does_not_stop_the_others(ovn: Ovn, ctx: Context) -> None:
    bad = [
        world.port(7, net="nowhere"),
        world.port(8, groups=("nobody",)),
        {**world.port(9), "mac_address": "01:00:00:00:00:01"},
        world.network("evil", subnets=[world.subnet("s", "10.9.0.0/24", dns_nameservers=["1.1.1.1}\nrouter=6.6.6.6"])]),
        {"op": "format_disk"},
    ]
    results = call(ovn, ctx, [bad[0], CLOUD[0], bad[1], *CLOUD[1:], *bad[2:]])
    assert [result["ok"] for result in results] == [False, True, False, True, True, True, True, False, False, False]
    assert results[2]["error"] == "NotFound"
    assert len(ovn.nbctl("--bare", "--columns=name", "list", "Logical_Switch_Port").split()) == 3


def test_the_database_refuses_one_and_takes_the_others(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    ovn.nbctl("ls-add", "foreign")
    # a port of the same name on a switch that is not ours: unseen by the plan, refused by the database
    taken = world.port(5, groups=("g",))
    ovn.nbctl("lsp-add", "foreign", taken["id"])
    results = call(ovn, ctx, [world.port(4, groups=("g",)), taken, world.port(6, groups=("g",))])
    assert [result["ok"] for result in results] == [True, False, True]


def test_drift_is_put_right_and_reported(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    text = everything(ovn)
    group = "ag_" + world.uid("g").replace("-", "_")
    ovn.nbctl("acl-add", group, "to-lport", "1500", f"outport == @{group}", "allow")
    ovn.nbctl("lsp-set-port-security", world.uid("port1"))
    port = ovn.nbctl("--bare", "--columns=_uuid", "find", "Logical_Switch_Port", f"name={world.uid('port2')}").strip()
    ovn.nbctl("remove", "Port_Group", "ag_drop", "ports", port)
    assert [result["changed"] for result in call(ovn, ctx, CLOUD)] == [True, False, False, True, True]
    assert sorted(everything(ovn)) == sorted(text)


def test_rules_change_without_touching_ports(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    ports = ovn.nbctl("list", "Logical_Switch_Port")
    kept = ovn.nbctl("--bare", "--columns=_uuid", "find", "ACL", "direction=from-lport", "priority=1002")
    web = world.rule("web", protocol="tcp", port_range_min=80, port_range_max=81)
    results = call(ovn, ctx, [world.secgroup("g", web, *world.outbound("g"), generation=2)])
    assert results == [{"ok": True, "changed": True}]
    assert ovn.nbctl("list", "Logical_Switch_Port") == ports
    assert ovn.nbctl("--bare", "--columns=_uuid", "find", "ACL", "direction=from-lport", "priority=1002") == kept
    assert "tcp.dst >= 80" in everything(ovn)
    assert "tcp.dst == 22" not in everything(ovn)


def test_dhcp_and_names(ovn: Ovn, ctx: Context) -> None:
    routes = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.2"}]
    call(ovn, ctx, CLOUD)
    v4 = world.subnet("net-v4", "10.0.0.0/24", gateway_ip="10.0.0.1", host_routes=routes)
    v6 = world.subnet("net-v6", "fd00::/64", dns_nameservers=["fd00::53"])
    results = call(ovn, ctx, [world.network(generation=2, subnets=[v4, v6])])
    found = call(ovn, ctx, [{"op": "read", "ids": [world.uid("net"), world.uid("port0")]}])[0]["found"]
    assert results[0]["changed"]
    options = found[world.uid("net")]["subnets"]
    assert options[world.uid("net-v4")]["classless_static_route"] == "{10.9.0.0/16,10.0.0.2, 0.0.0.0/0,10.0.0.1}"
    assert "dns_server" not in options[world.uid("net-v4")]
    assert options[world.uid("net-v6")]["dns_server"] == "{fd00::53}"
    renamed = {**world.port(0, groups=("g",)), "hostname": "db", "generation": 2}
    assert call(ovn, ctx, [renamed])[0]["changed"]
    names = ovn.nbctl("--bare", "--columns=records", "list", "DNS")
    assert "db=10.0.0.3 fd00::3" in names.replace('"', "")
    assert "web0" not in names
    assert call(ovn, ctx, [renamed])[0]["changed"] is False


def test_a_name_of_two_ports_answers_with_both(ovn: Ovn, ctx: Context) -> None:
    twins = [{**world.port(number), "hostname": "twin"} for number in (0, 1)]
    call(ovn, ctx, [world.network(), *twins])
    assert [result["changed"] for result in call(ovn, ctx, twins)] == [False, False]
    call(ovn, ctx, [world.absent("port", "port0")])
    assert "twin=10.0.0.4 fd00::4" in ovn.nbctl("--bare", "--columns=records", "list", "DNS").replace('"', "")


def test_ports_up_is_told_by_the_database(ovn: Ovn, ctx: Context) -> None:
    call(ovn, ctx, CLOUD)
    ids = [world.uid(f"port{number}") for number in range(2)]
    waiting = {"op": "ports_up", "ids": [*ids, world.uid("nobody")], "timeout": 20}
    assert call(ovn, ctx, [{**waiting, "timeout": 0}])[0]["down"] == ids
    ovn.translated()
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        answer = other.submit(call, ovn, ctx, [waiting])
        ovn.sbctl("chassis-add", "host1", "geneve", "192.0.2.1")
        for port in ids:
            assert not answer.done()
            ovn.sbctl("lsp-bind", port, "host1", "--", "set", "Port_Binding", port, "up=true")
        done = answer.result(timeout=20)[0]
    assert (done["up"], done["down"], done["missing"]) == (ids, [], [world.uid("nobody")])


def test_sync_says_whether_it_arrived(ovn: Ovn, ctx: Context) -> None:
    assert call(ovn, ctx, [{"op": "sync", "target": "sb", "timeout": 20}])[0]["arrived"] is True


def _killed(remote: str, state: str) -> None:
    context = Context(state_dir=state, fault="command_killed")
    driver.batch(context, json.loads(json.dumps(CLOUD)), remote=remote)


def test_a_killed_call_is_finished_by_the_next(ovn: Ovn, ctx: Context) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(ovn.remote, ctx.state_dir))
    process.start()
    process.join(20)
    assert process.exitcode == -9
    assert ovn.nbctl("--bare", "list", "Logical_Switch") == ""
    assert all(result["changed"] for result in call(ovn, ctx, CLOUD))


def _one_of_many(remote: str, state: str, number: int) -> None:
    results = driver.batch(Context(state_dir=state), [world.network(), world.port(number)], remote=remote)
    os._exit(0 if all(result["ok"] for result in results) else 1)


def test_parallel_calls_make_one_network(ovn: Ovn, ctx: Context) -> None:
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_one_of_many, args=(ovn.remote, ctx.state_dir, n)) for n in range(12)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 12
    assert len(ovn.nbctl("--bare", "--columns=name", "list", "Logical_Switch").split()) == 1
    assert len(ovn.nbctl("--bare", "--columns=name", "list", "Logical_Switch_Port").split()) == 12


@pytest.mark.slow
def test_the_cost_does_not_grow_with_the_cloud(ovn: Ovn, ctx: Context) -> None:
    """Fifty ports beside three thousand others cost about what they cost alone."""
    few = [world.network("small"), *(world.port(n, net="small") for n in range(50))]
    call(ovn, ctx, few)
    alone = min(_seconds(ovn, ctx, few) for _turn in range(3))
    for start in range(100, 3100, 500):
        call(ovn, ctx, [world.network("big"), *(world.port(n, net="big") for n in range(start, start + 500))])
    beside = min(_seconds(ovn, ctx, few) for _turn in range(3))
    print(f"50 ports: {alone:.3f} s alone, {beside:.3f} s beside 3,000")
    # the pure Python parser of the PyPI package is slow; what must not happen is to read all of the cloud
    assert beside < alone + 2


def _seconds(ovn: Ovn, ctx: Context, operations: list[dict[str, Any]]) -> float:
    started = time.monotonic()
    assert not any(result["changed"] for result in call(ovn, ctx, operations))
    return time.monotonic() - started
