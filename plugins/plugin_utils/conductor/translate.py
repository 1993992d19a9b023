# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of the database drivers, turned into ours at one place.

A constraint that stops a write is the last word on an invariant; its name says which one. Both databases name it:
PostgreSQL in the diagnostics, SQLite in the message, where a unique constraint is told by its columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AddressInUse,
    AlreadyExists,
    BadInput,
    CloudError,
    Conflict,
    DatabaseFailed,
    InUse,
    QuotaExceeded,
)

_KINDS = {"23505": "unique", "23503": "foreign", "23514": "check", "23502": "null"}
_RETRY = frozenset({"40001", "40P01"})  # serialization failure, deadlock

_SINGULAR = {"networks": "network", "addresses": "address", "inventories": "inventory"}


def kind_of(table: sa.Table) -> str:
    """What one row of the table is called in messages: ``flavors`` -> ``flavor``."""
    return _SINGULAR.get(table.name, table.name.removesuffix("s"))


def violated(error: sa.exc.IntegrityError) -> tuple[str, str]:
    """Which constraint stopped a write: its kind (unique, foreign, check, null) and its name where known."""
    origin = error.orig
    state = getattr(origin, "sqlstate", None)
    if state is not None:
        diagnostics = getattr(origin, "diag", None)
        return _KINDS.get(state, ""), getattr(diagnostics, "constraint_name", None) or ""
    text = str(origin)
    kind, _colon, what = text.partition(" constraint failed")
    what = what.removeprefix(": ")
    if kind == "UNIQUE":
        columns = re.findall(r"(\w+)\.(\w+)", what)
        table = columns[0][0] if columns else ""
        return "unique", "_".join(["uq", table, *(column for _table, column in columns)])
    return {"CHECK": "check", "FOREIGN KEY": "foreign", "NOT NULL": "null"}.get(kind, ""), what


def integrity(error: sa.exc.IntegrityError, table: sa.Table, values: Mapping[str, Any]) -> CloudError:
    """What a refused write of ``values`` to ``table`` means to the one who asked."""
    kind, constraint = violated(error)
    what = kind_of(table)
    named = f"{what} {values['name']!r}" if values.get("name") else what
    if constraint == "uq_ports_mac_address":
        return AddressInUse(
            f"The MAC address {values.get('mac_address')} is taken.", mac_address=values.get("mac_address")
        )
    if constraint.startswith(("uq_addresses", "pk_addresses")):
        return AddressInUse(f"The address {values.get('address')} is taken.", address=values.get("address"))
    if kind == "unique":
        return AlreadyExists(f"The {named} exists already ({constraint}).", kind=what, name=values.get("name"))
    if kind == "foreign":
        return InUse(f"The {named} is used by others, or refers to something that is gone.", kind=what)
    if constraint.endswith("_name"):
        return BadInput(f"The name of a {what} has 1 to 255 characters.", kind=what)
    if constraint == "ck_quotas_limit":
        return QuotaExceeded("The project uses more than the limit allows.", **dict(values))
    return BadInput(f"The {named} is refused by the rule {constraint or kind!r} of the database.", kind=what)


@contextmanager
def integrity_of(table: sa.Table, values: Mapping[str, Any]) -> Iterator[None]:
    """Turn a constraint's refusal inside the block into ours.

    :raises AlreadyExists, InUse, AddressInUse, QuotaExceeded, BadInput: by the constraint that refused.
    """
    try:
        yield
    except sa.exc.IntegrityError as exc:
        raise integrity(exc, table, values) from exc


@contextmanager
def database(shown: str) -> Iterator[None]:
    """Turn every driver error that leaves the block into ours. ``shown`` is the address that messages may name.

    :raises DatabaseFailed: the database is unreachable, locked, full or damaged.
    :raises Conflict: two transactions stood in each other's way and this one was undone.
    :raises BadInput: a value cannot be stored (a NUL character, half a surrogate pair, a number past 64 bits).
    """
    try:
        yield
    except sa.exc.IntegrityError as exc:
        kind, constraint = violated(exc)
        raise Conflict(
            f"The database refused a write by its rule {constraint or kind!r}; nothing was written."
        ) from exc
    except sa.exc.DataError as exc:
        raise BadInput(f"The database cannot store a value: {_first_line(exc)}.") from exc
    except sa.exc.DBAPIError as exc:
        raise _operational(exc, shown) from exc
    except sa.exc.TimeoutError as exc:
        raise DatabaseFailed(f"No connection to {shown} became free in time.") from exc
    except (UnicodeEncodeError, OverflowError) as exc:
        raise BadInput(f"The database cannot store a value: {exc}.") from exc


def _operational(error: sa.exc.DBAPIError, shown: str) -> CloudError:
    text = _first_line(error)
    if getattr(error.orig, "sqlstate", None) in _RETRY:
        return Conflict(
            f"Another run changed the same records at the same time; nothing was written ({text}). Run again."
        )
    if "locked" in text or "lock timeout" in text:
        return DatabaseFailed(f"The database {shown} is locked by another run for too long: {text}.")
    return DatabaseFailed(f"The database {shown} failed: {text}.")


def _first_line(error: sa.exc.DBAPIError) -> str:
    # Never str(error): that holds the statement's parameters, and a parameter may be user data.
    lines = str(error.orig).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error.orig).__name__
