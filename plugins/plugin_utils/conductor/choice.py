# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of addresses for ports, under the lock on their subnets."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import subnets
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.subnets import Subnet
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AddressExhausted,
    AddressInUse,
    BadInput,
    NotFound,
)

# A network's id and the addresses asked for in it.
Wish = tuple[str, Sequence[Mapping[str, str]]]

_LEAST_WINDOW = 64


@dataclass(frozen=True)
class Picked:
    """One address for one port."""

    subnet_id: str
    address: str
    number: str
    version: int
    is_fixed: bool

    def shown(self) -> dict[str, Any]:
        """As a port's record carries it."""
        return {"subnet_id": self.subnet_id, "address": self.address, "version": self.version}


@dataclass
class _Pool:
    """One subnet during one call: what was asked of it and what was found free.

    :ivar fixed: the numbers that were named.
    :ivar demand: how many of any number it is the first to serve.
    :ivar last: the number picked last.
    """

    subnet: Subnet
    fixed: set[int] = field(default_factory=set)
    demand: int = 0
    last: int | None = None
    _free: deque[int] = field(default_factory=deque)
    _given: set[int] = field(default_factory=set)
    _dry: bool = False

    def next(self, conn: sa.Connection) -> int | None:
        """A number that is free and was not returned before; None: there is none left."""
        if not self._free and not self._dry:
            count = max(self.demand - len(self._given), 1)
            self._free.extend(_search(conn, self.subnet, count, self.fixed | self._given))
            self._dry = not self._free
        if not self._free:
            return None
        self.last = self._free.popleft()
        self._given.add(self.last)
        return self.last


# The subnets that may serve, in order, and the number if it was named.
_Slot = tuple[list[_Pool], int | None]


def choose(conn: sa.Connection, wishes: Sequence[Wish]) -> list[list[Picked]]:
    """Addresses for each wish, which stay free until this transaction ends.

    :raises AddressExhausted, AddressInUse, BadInput, NotFound: as ``ipam.create_ports``.
    """
    by_network = _locked(conn, sorted({network_id for network_id, _fixed in wishes}))
    slots = [_slots(by_network[network_id], fixed) for network_id, fixed in wishes]
    pools = [pool for group in by_network.values() for pool in group]
    for pool in pools:
        _refuse_taken(conn, pool)
    picked = [[_pick(conn, options, number) for options, number in port] for port in slots]
    for pool in pools:
        if pool.last is not None:
            row = cloud.subnets.c.id == pool.subnet.id
            conn.execute(sa.update(cloud.subnets).where(row).values(last_number=subnets.key(pool.last)))
    return picked


def _locked(conn: sa.Connection, network_ids: list[str]) -> dict[str, list[_Pool]]:
    table = cloud.subnets
    query = sa.select(table).where(table.c.network_id.in_(network_ids)).with_for_update()
    # Locked in the order of ids, so that two transactions never wait for each other; used in the order of creation.
    rows = conn.execute(query.order_by(table.c.id)).mappings().all()
    found: dict[str, list[_Pool]] = {network_id: [] for network_id in network_ids}
    for row in sorted(rows, key=lambda row: (row["created_at"], row["id"])):
        found[row["network_id"]].append(_Pool(subnets.parse(dict(row))))
    return found


def _slots(group: list[_Pool], fixed: Sequence[Mapping[str, str]]) -> list[_Slot]:
    slots: list[_Slot] = []
    if not fixed:
        fours = [pool for pool in group if pool.subnet.version == 4]
        slots = [(fours, None)] if fours else []
        slots += [([pool], None) for pool in group if pool.subnet.version == 6]
    for entry in fixed:
        pool, number = _asked(group, entry)
        if number is not None and number in pool.fixed:
            address = pool.subnet.text(number)
            raise AddressInUse(f"The address {address} is asked for twice.", address=address)
        if number is not None:
            pool.fixed.add(number)
        slots.append(([pool], number))
    for options, number in slots:
        options[0].demand += number is None
    return slots


def _asked(group: list[_Pool], entry: Mapping[str, str]) -> tuple[_Pool, int | None]:
    name, address = entry.get("subnet"), entry.get("address")
    if not name and not address:
        raise BadInput("A fixed address names an address, a subnet or both.")
    if name:
        fitting = [pool for pool in group if name in (pool.subnet.id, pool.subnet.name)]
        if not fitting:
            raise NotFound.of("subnet", name, [pool.subnet.name for pool in group])
    else:
        number, version = subnets.number_of(address or ""), subnets.version_of(address or "")
        fitting = [pool for pool in group if pool.subnet.version == version and pool.subnet.holds(number)]
        if not fitting:
            raise BadInput(f"The address {address} is in no subnet of the network.", address=address)
    if not address:
        return fitting[0], None
    return fitting[0], subnets.fixed(fitting[0].subnet, address)


def _refuse_taken(conn: sa.Connection, pool: _Pool) -> None:
    table = cloud.addresses
    numbers = [subnets.key(number) for number in sorted(pool.fixed)]
    if not numbers:
        return
    taken = sa.select(table.c.address).where(table.c.subnet_id == pool.subnet.id, table.c.number.in_(numbers))
    for address in conn.execute(taken.limit(1)).scalars():
        raise AddressInUse(f"The address {address} of the subnet {pool.subnet.name!r} is taken.", address=address)


def _search(conn: sa.Connection, subnet: Subnet, count: int, excluded: set[int]) -> list[int]:
    """Up to ``count`` free numbers of the subnet, outside those excluded."""
    table = cloud.addresses
    found: list[int] = []
    for turn, spans in enumerate(subnets.windows(subnet, max(_LEAST_WINDOW, 2 * count))):
        if turn == 1 and not found and _full(conn, subnet):
            break
        ranges = [table.c.number.between(subnets.key(start), subnets.key(end)) for start, end in spans]
        query = sa.select(table.c.number).where(table.c.subnet_id == subnet.id, sa.or_(*ranges))
        used = {int(number, 16) for number in conn.execute(query).scalars()} | excluded
        free = (number for start, end in spans for number in range(start, end + 1) if number not in used)
        found.extend(islice(free, count - len(found)))
        if len(found) == count:
            break
    return found


def _full(conn: sa.Connection, subnet: Subnet) -> bool:
    """Whether every address of the pools is given: one count, before an exhausted subnet is read to its end."""
    table = cloud.addresses
    ranges = [table.c.number.between(subnets.key(start), subnets.key(end)) for start, end in subnet.pools]
    query = sa.select(sa.func.count()).where(table.c.subnet_id == subnet.id, sa.or_(*ranges))
    return bool(conn.execute(query).scalar_one() >= subnet.size)


def _pick(conn: sa.Connection, options: list[_Pool], number: int | None) -> Picked:
    if number is not None:
        return _picked(options[0].subnet, number, is_fixed=True)
    for pool in options:
        free = pool.next(conn)
        if free is not None:
            return _picked(pool.subnet, free, is_fixed=False)
    names = ", ".join(repr(pool.subnet.name) for pool in options)
    network_id = options[0].subnet.network_id
    raise AddressExhausted(
        f"The subnet {names} has no free address left (network {network_id}); remove ports or add a subnet.",
        subnets=[pool.subnet.id for pool in options],
    )


def _picked(subnet: Subnet, number: int, *, is_fixed: bool) -> Picked:
    return Picked(subnet.id, subnet.text(number), subnets.key(number), subnet.version, is_fixed)
