# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses a subnet can give, as numbers. Pure: knows no database.

An address is handled as an integer and stored twice: as canonical text, and as 32 hexadecimal digits, which sort as
the addresses do for both versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import netaddr
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AddressInUse, BadInput

# First and last number of a run of addresses, both included.
Span = tuple[int, int]


@dataclass(frozen=True)
class Subnet:
    """A subnet's row, with its addresses as numbers.

    :ivar pools: what may be given without being asked for: the allocation pools, or the whole range, without the
        network's and the broadcast address and the gateway; sorted and apart from each other.
    :ivar last: the number given out last; the search goes on behind it.
    """

    id: str
    name: str
    network_id: str
    version: int
    cidr: Span
    gateway: int | None
    pools: tuple[Span, ...]
    last: int | None

    @property
    def size(self) -> int:
        """How many addresses the pools hold."""
        return sum(end - start + 1 for start, end in self.pools)

    def holds(self, number: int) -> bool:
        """Whether the number lies in the subnet's range."""
        return self.cidr[0] <= number <= self.cidr[1]

    def text(self, number: int) -> str:
        """The number as a canonical address."""
        return str(netaddr.IPAddress(number, self.version))


def parse(row: Mapping[str, Any]) -> Subnet:
    """Read a row of ``subnets``."""
    network = netaddr.IPNetwork(row["cidr"])
    cidr = (int(network.first), int(network.last))
    gateway = int(netaddr.IPAddress(row["gateway_ip"])) if row["gateway_ip"] else None
    return Subnet(
        id=row["id"],
        name=row["name"] or row["cidr"],
        network_id=row["network_id"],
        version=row["ip_version"],
        cidr=cidr,
        gateway=gateway,
        pools=_pools(_usable(cidr, row["ip_version"]), row["allocation_pools"] or [], gateway),
        last=int(row["last_number"], 16) if row["last_number"] else None,
    )


def key(number: int) -> str:
    """The number in the form of ``addresses.number``."""
    return f"{number:032x}"


def fixed(subnet: Subnet, address: str) -> int:
    """The number of an address that was asked for. It may lie outside the pools, not outside the subnet.

    :raises BadInput: it is no address, or not one that a port of this subnet can have.
    :raises AddressInUse: it is the gateway's.
    """
    number = number_of(address)
    start, end = _usable(subnet.cidr, subnet.version)
    if version_of(address) != subnet.version or not subnet.holds(number):
        raise BadInput(
            f"The address {address} is outside the subnet {subnet.name!r} ({_range(subnet)}).", address=address
        )
    if not start <= number <= end:
        raise BadInput(f"The address {address} is the network's or the broadcast address of {subnet.name!r}.")
    if number == subnet.gateway:
        raise AddressInUse(f"The address {address} is the gateway of the subnet {subnet.name!r}.", address=address)
    return number


def number_of(address: str) -> int:
    """An address as a number.

    :raises BadInput: it is none.
    """
    try:
        return int(netaddr.IPAddress(address))
    except (netaddr.AddrFormatError, ValueError, TypeError) as exc:
        raise BadInput(f"{address!r} is not an IP address.") from exc


def version_of(address: str) -> int:
    """4 or 6.

    :raises BadInput: the text is no address.
    """
    number_of(address)
    return int(netaddr.IPAddress(address).version)


def windows(subnet: Subnet, first_size: int) -> Iterator[list[Span]]:
    """The pools in pieces, from behind the number given last, once around; each piece twice as large as the one before.

    An address given back is therefore the last to be given again, and the search does not start over the used part.
    """
    size = first_size
    piece: list[Span] = []
    room = size
    for start, end in _rotated(subnet):
        while start <= end:
            stop = min(end, start + room - 1)
            piece.append((start, stop))
            room -= stop - start + 1
            start = stop + 1
            if room == 0:
                yield piece
                size *= 2
                piece, room = [], size
    if piece:
        yield piece


def _rotated(subnet: Subnet) -> Sequence[Span]:
    if subnet.last is None:
        return subnet.pools
    after = [(max(start, subnet.last + 1), end) for start, end in subnet.pools if end > subnet.last]
    before = [(start, min(end, subnet.last)) for start, end in subnet.pools if start <= subnet.last]
    return after + before


def _usable(cidr: Span, version: int) -> Span:
    """Without the network's address and, in IPv4, the broadcast address; a range of one or two uses them all."""
    first, last = cidr
    if last - first < 2:
        return cidr
    return (first + 1, last - 1) if version == 4 else (first + 1, last)


def _pools(usable: Span, pools: Sequence[Mapping[str, str]], gateway: int | None) -> tuple[Span, ...]:
    wanted = [(number_of(pool["start"]), number_of(pool["end"])) for pool in pools] or [usable]
    spans: list[Span] = []
    for start, end in sorted((max(start, usable[0]), min(end, usable[1])) for start, end in wanted):
        if spans:  # pools may overlap: an address counts once
            start = max(start, spans[-1][1] + 1)
        if start <= end:
            spans.append((start, end))
    if gateway is None:
        return tuple(spans)
    parts = [part for start, end in spans for part in _without(start, end, gateway)]
    return tuple(parts)


def _without(start: int, end: int, number: int) -> list[Span]:
    if not start <= number <= end:
        return [(start, end)]
    return [span for span in ((start, number - 1), (number + 1, end)) if span[0] <= span[1]]


def _range(subnet: Subnet) -> str:
    return f"{subnet.text(subnet.cidr[0])} to {subnet.text(subnet.cidr[1])}"
