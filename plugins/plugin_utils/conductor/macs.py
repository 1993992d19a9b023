# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MAC addresses: given by the user, or drawn at random under the prefix that OpenStack made known."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.cloud import ports
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AddressExhausted, AddressInUse, BadInput

PREFIX = "fa:16:3e"

_TRIES = 10
_FORM = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def canonical(address: str) -> str:
    """The address in lower case with colons.

    :raises BadInput: it is no MAC address, or one of a group.
    """
    text = address.strip().lower().replace("-", ":")
    if not _FORM.fullmatch(text) or text == "00:00:00:00:00:00":
        raise BadInput(f"{address!r} is not a MAC address of the form fa:16:3e:12:34:56.", mac_address=address)
    if int(text[:2], 16) & 1:
        raise BadInput(f"The MAC address {address} is a group's (its first byte is odd).", mac_address=address)
    return text


def insert(conn: sa.Connection, rows: list[Record]) -> None:
    """Insert rows of ``ports``; those without ``mac_address`` get one.

    :raises AddressInUse: an address given is taken, or given twice.
    :raises AddressExhausted: no free address was found.
    """
    _check_given(conn, rows)
    drawn = [row for row in rows if row["mac_address"] is None]
    given = [row for row in rows if row["mac_address"] is not None]
    for _try in range(_TRIES):
        _draw(conn, drawn, {row["mac_address"] for row in given})
        try:
            with conn.begin_nested():
                conn.execute(sa.insert(ports), rows)
            return
        except sa.exc.IntegrityError as exc:
            # A parallel transaction may have drawn the same: only then is there a point in drawing again.
            if not drawn or translate.violated(exc)[1] != "uq_ports_mac_address":
                raise translate.integrity(exc, ports, rows[0] if len(rows) == 1 else {}) from exc
            _check_given(conn, given)
    raise AddressExhausted(f"No free MAC address under {PREFIX} was found in {_TRIES} draws.")


def _check_given(conn: sa.Connection, rows: list[Record]) -> None:
    given: set[str] = set()
    for row in rows:
        if row["mac_address"] is not None:
            row["mac_address"] = canonical(row["mac_address"])
            if row["mac_address"] in given:
                raise AddressInUse(
                    f"The MAC address {row['mac_address']} is given twice.", mac_address=row["mac_address"]
                )
            given.add(row["mac_address"])
    for taken in sorted(_taken(conn, given)):
        raise AddressInUse(f"The MAC address {taken} is taken.", mac_address=taken)


def _draw(conn: sa.Connection, drawn: list[Record], used: set[str]) -> None:
    """Fill in addresses that differ from each other and from all that this transaction can see."""
    waiting = list(drawn)
    for _try in range(_TRIES):
        for row in waiting:
            row["mac_address"] = _random()
        taken = used | _taken(conn, [row["mac_address"] for row in waiting])
        again = []
        for row in waiting:
            if row["mac_address"] in taken:
                again.append(row)
            taken.add(row["mac_address"])
            used.add(row["mac_address"])
        waiting = again
        if not waiting:
            return
    raise AddressExhausted(f"No free MAC address under {PREFIX} was found in {_TRIES} draws.")


def _taken(conn: sa.Connection, addresses: Iterable[str]) -> set[str]:
    wanted = sorted(addresses)
    if not wanted:
        return set()
    return set(conn.execute(sa.select(ports.c.mac_address).where(ports.c.mac_address.in_(wanted))).scalars())


def _random() -> str:
    return ":".join([PREFIX, *(f"{byte:02x}" for byte in secrets.token_bytes(3))])
