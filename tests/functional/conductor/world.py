# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the conductor share: a small cloud to act on, processes to act at once, and the audits."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, hosts, projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud

Record = dict[str, Any]

# The figures of the property tests; 1 is what every run of the tests does. A long run: AGENTLESS_FIGURES=50.
FIGURES = float(os.environ.get("AGENTLESS_FIGURES", "1"))


@dataclass(frozen=True)
class World:
    """A project with one network of both versions, a security group and a flavor."""

    project: Record
    network: Record
    four: Record
    six: Record
    secgroup: Record
    flavor: Record


def build(conductor: Conductor, *, cidr: str = "10.0.0.0/16", six: str = "fd00::/64") -> World:
    """Make the world."""
    with conductor.transaction() as conn:
        project = projects.ensure_default(conn)
        network = records.insert(conn, cloud.networks, project_id=project["id"], name="net")
        return World(
            project=project,
            network=network,
            four=add_subnet(conn, network, "four", cidr, gateway=cidr.split("/", maxsplit=1)[0][:-1] + "1"),
            six=add_subnet(conn, network, "six", six, gateway=six.split("/", maxsplit=1)[0] + "1"),
            secgroup=records.insert(conn, cloud.secgroups, project_id=project["id"], name="web"),
            flavor=records.insert(conn, cloud.flavors, name="small", vcpus=1, ram=512, disk=1),
        )


def add_subnet(
    conn: sa.Connection,
    network: Record,
    name: str,
    cidr: str,
    *,
    gateway: str | None = None,
    pools: Sequence[tuple[str, str]] = (),
) -> Record:
    """A subnet of that range."""
    return records.insert(
        conn,
        cloud.subnets,
        network_id=network["id"],
        name=name,
        cidr=cidr,
        ip_version=6 if ":" in cidr else 4,
        gateway_ip=gateway,
        allocation_pools=[{"start": start, "end": end} for start, end in pools],
    )


def add_hosts(conductor: Conductor, count: int, sizes: dict[str, dict[str, float]]) -> list[Record]:
    """Hosts of that size."""
    with conductor.transaction() as conn:
        return [hosts.save(conn, f"host{number:05d}", inventories=sizes) for number in range(count)]


def at_once(work: Callable[[int], Any], processes: int) -> list[Any]:
    """Run ``work(number)`` in as many processes at once; what they return, in order. Any failure fails the caller."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(processes)
    pipes = []
    running = []
    for number in range(processes):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(work, number, start, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        running.append(process)
    try:
        answers = [pipe.recv() for pipe in pipes]
    finally:
        for process in running:
            process.join(timeout=30)
            process.kill()
    failures = [answer for fine, answer in answers if not fine]
    if failures:
        raise AssertionError(f"{len(failures)} of {processes} processes failed; the first:\n{failures[0]}")
    return [answer for _fine, answer in answers]


def _serve(work: Callable[[int], Any], number: int, start: Any, answer: Any) -> None:
    try:
        start.wait(timeout=60)
        answer.send((True, work(number)))
    except BaseException:
        answer.send((False, traceback.format_exc()))
    os._exit(0)  # no clean-up of the parent's fixtures in a child


def audit_claims(conn: sa.Connection) -> list[str]:
    """P1: what is wrong with the claims, summed from the allocations and not from the counters."""
    total = sa.func.coalesce(sa.func.sum(cell.allocations.c.amount), 0)
    joined = cell.inventories.outerjoin(cell.allocations)
    query = sa.select(cell.inventories, total.label("claimed")).select_from(joined)
    wrong = []
    for row in conn.execute(query.group_by(*cell.inventories.primary_key, *cell.inventories.c)).mappings():
        where = f"{row['resource_class']} of {row['host_id']}"
        if row["claimed"] > (row["total"] - row["reserved"]) * row["allocation_ratio"]:
            wrong.append(f"{where}: {row['claimed']} claimed, more than there is")
        if row["claimed"] != row["used"]:
            wrong.append(f"{where}: {row['claimed']} claimed, {row['used']} counted")
    return wrong


def audit_ports(conn: sa.Connection) -> list[str]:
    """P4: addresses and MACs that two ports have."""
    addresses, ports = cloud.addresses, cloud.ports
    columns = (addresses.c.subnet_id, addresses.c.address)
    twice = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1)
    wrong = [f"address {address} is given twice" for _subnet, address in conn.execute(twice)]
    macs = sa.select(ports.c.mac_address).group_by(ports.c.mac_address).having(sa.func.count() > 1)
    return wrong + [f"MAC {mac} is given twice" for mac in conn.execute(macs).scalars()]


def count_queries(conductor: Conductor, work: Callable[[sa.Connection], Any]) -> int:
    """How many statements ``work`` sends."""
    sent: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    with conductor.transaction() as conn:
        sa.event.listen(conn.engine, "before_cursor_execute", note)
        work(conn)
        sa.event.remove(conn.engine, "before_cursor_execute", note)
    return len([statement for statement in sent if "SAVEPOINT" not in statement])
