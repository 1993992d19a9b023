# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Room on hosts, claimed and given back.

The room is tested in the UPDATE that takes it, against the row and not against what was read before: two claims that
both fit both succeed, and the third that does not fit fails, in whatever order they come. The schema's CHECK says the
same once more, for code paths that do not exist yet.

One call takes its rows in one order, so calls never wait for each other in a circle. A transaction that makes several
calls names a lock (``transaction(lock="placement")``); else PostgreSQL may have to undo it as a deadlock (Conflict).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.cell import (
    allocations,
    hosts,
    inventories,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ClaimLost, Conflict

# A consumer (an instance's id), a host's id, and how much of each resource class (VCPU, MEMORY_MB, DISK_GB).
Claim = tuple[str, str, Mapping[str, int]]

_Room = tuple[str, str]  # host id, resource class


def claim(conn: sa.Connection, *, consumer_id: str, host_id: str, amounts: Mapping[str, int]) -> None:
    """Claim room for one consumer; the same claim made again is the same claim.

    :raises ClaimLost: the host has not that much room (any more); nothing is claimed.
    :raises Conflict: the consumer holds a different claim on this host.
    """
    claim_many(conn, [(consumer_id, host_id, amounts)])


def claim_many(conn: sa.Connection, claims: Sequence[Claim]) -> None:
    """Claim room for many consumers, all or nothing: one UPDATE for each host and resource class.

    :raises ClaimLost: a host has not that much room (any more); nothing is claimed.
    :raises Conflict: a consumer holds a different claim on its host.
    """
    wanted = _rows(claims)
    held = _held(conn, claims)
    new = [row for key, row in wanted.items() if (key[0], key[1]) not in held]
    for consumer_id, host_id in held:
        mine = {key[2]: row["amount"] for key, row in wanted.items() if key[:2] == (consumer_id, host_id)}
        if mine != held[consumer_id, host_id]:
            raise Conflict(f"{consumer_id} holds another claim on this host already: {held[consumer_id, host_id]}.")
    if not new:
        return
    sums: Counter[_Room] = Counter()
    for row in new:
        sums[row["host_id"], row["resource_class"]] += row["amount"]
    with conn.begin_nested() as savepoint:
        if _take(conn, sums):
            conn.execute(sa.insert(allocations), new)
            return
        savepoint.rollback()
    raise _lost(conn, sums)


def release(conn: sa.Connection, consumer_id: str, host_id: str | None = None) -> None:
    """Give back what a consumer holds, on one host or on all; nothing held is no error."""
    release_many(conn, [consumer_id], host_id)


def release_many(conn: sa.Connection, consumer_ids: Sequence[str], host_id: str | None = None) -> None:
    """Give back what many consumers hold, on one host or on all."""
    mine: list[sa.ColumnElement[bool]] = [allocations.c.consumer_id.in_(consumer_ids)]
    if host_id is not None:
        mine.append(allocations.c.host_id == host_id)
    # The rows are locked before they are summed, so that two who release the same claim do not both give it back.
    rows = (
        conn.execute(sa.select(allocations).where(*mine).order_by(*allocations.primary_key).with_for_update())
        .mappings()
        .all()
    )
    if not rows:
        return
    sums: Counter[_Room] = Counter()
    for row in rows:
        sums[row["host_id"], row["resource_class"]] += row["amount"]
    conn.execute(sa.delete(allocations).where(*mine))
    lowered = sa.update(inventories).where(*_bound_room()).values(used=inventories.c.used - sa.bindparam("amount"))
    conn.execute(lowered, _parameters(sums))


def held_by(conn: sa.Connection, consumer_id: str) -> dict[str, dict[str, int]]:
    """What a consumer holds: host id -> resource class -> amount."""
    found: dict[str, dict[str, int]] = {}
    for row in conn.execute(sa.select(allocations).where(allocations.c.consumer_id == consumer_id)).mappings():
        found.setdefault(row["host_id"], {})[row["resource_class"]] = row["amount"]
    return found


def _take(conn: sa.Connection, sums: Mapping[_Room, int]) -> bool:
    """Raise every sum; whether all of them found room."""
    after = inventories.c.used + sa.bindparam("amount")
    room = (inventories.c.total - inventories.c.reserved) * inventories.c.allocation_ratio
    raised = sa.update(inventories).where(*_bound_room(), after <= room).values(used=after)
    parameters = _parameters(sums)
    # One statement for all rows; the driver sums the rows that each set of parameters met.
    return conn.execute(raised, parameters).rowcount == len(parameters)


def _bound_room() -> list[sa.ColumnElement[bool]]:
    return [inventories.c.host_id == sa.bindparam("host"), inventories.c.resource_class == sa.bindparam("class")]


def _parameters(sums: Mapping[_Room, int]) -> list[dict[str, Any]]:
    # In one order everywhere, so that two transactions never wait for each other.
    return [{"host": host, "class": name, "amount": sums[host, name]} for host, name in sorted(sums)]


def _rows(claims: Sequence[Claim]) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for consumer_id, host_id, amounts in claims:
        for name, amount in amounts.items():
            if amount < 0 or (consumer_id, host_id, name) in rows:
                raise BadInput(f"A claim of {amount} {name} for {consumer_id} cannot be meant.")
            if amount:
                rows[consumer_id, host_id, name] = {
                    "consumer_id": consumer_id,
                    "host_id": host_id,
                    "resource_class": name,
                    "amount": amount,
                }
    return rows


def _held(conn: sa.Connection, claims: Sequence[Claim]) -> dict[tuple[str, str], dict[str, int]]:
    """What the consumers of these claims hold already on the hosts of these claims."""
    asked = {(consumer_id, host_id) for consumer_id, host_id, _amounts in claims}
    consumers = sorted({consumer_id for consumer_id, _host in asked})
    held: dict[tuple[str, str], dict[str, int]] = {}
    query = sa.select(allocations).where(allocations.c.consumer_id.in_(consumers))
    for row in conn.execute(query).mappings():
        if (row["consumer_id"], row["host_id"]) in asked:
            held.setdefault((row["consumer_id"], row["host_id"]), {})[row["resource_class"]] = row["amount"]
    return held


def _lost(conn: sa.Connection, sums: Mapping[_Room, int]) -> ClaimLost:
    """Say which host had no room."""
    ids = sorted({host for host, _name in sums})
    query = sa.select(inventories, hosts.c.name.label("host")).join(hosts).where(inventories.c.host_id.in_(ids))
    found = {(row["host_id"], row["resource_class"]): row for row in conn.execute(query).mappings()}
    for key, amount in sorted(sums.items()):
        row = found.get(key)
        if row is None:
            return ClaimLost(f"The host {key[0]} offers no {key[1]}.", host=key[0], resource_class=key[1])
        if row["used"] + amount > (row["total"] - row["reserved"]) * row["allocation_ratio"]:
            text = f"The host {row['host']} has no room for {amount} {key[1]} any more."
            return ClaimLost(text, host=row["host"], resource_class=key[1])
    return ClaimLost("A host has no room any more.")
