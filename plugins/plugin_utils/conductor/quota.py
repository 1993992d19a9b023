# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a project may use, and what it uses: one counter a resource, moved in the transaction of what it counts.

The test of the limit is the condition of the UPDATE, and the schema's CHECK repeats it: no order of parallel
transactions can pass the limit, and none is refused while there is room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import translate
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.cloud import quotas
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    Conflict,
    InUse,
    NotFound,
    QuotaExceeded,
)

UNLIMITED = -1

# ram in MiB, gigabytes in GiB; the rest are counts.
DEFAULTS: dict[str, int] = {
    "instances": 100,
    "vcpus": 200,
    "ram": 512_000,
    "keypairs": 100,
    "images": 100,
    "server_groups": 50,
    "networks": 100,
    "subnets": 100,
    "ports": 500,
    "secgroups": 50,
    "secgroup_rules": 500,
    "volumes": 100,
    "volume_snapshots": 100,
    "volume_backups": 100,
    "gigabytes": 10_000,
    "floating_ips": 50,
}


class Usage(TypedDict):
    """A resource's limit (-1: none) and what is used of it."""

    limit: int
    used: int


def take(conn: sa.Connection, project_id: str, **amounts: int) -> None:
    """Count up every resource named, or none of them.

    :raises QuotaExceeded: one of them would pass its limit; carries ``resource``, ``limit``, ``used``, ``requested``.
    :raises BadInput: a resource is not known or an amount is negative.
    """
    _check(amounts)
    with conn.begin_nested():
        # In one order everywhere, so that two transactions never wait for each other.
        for resource in sorted(amounts):
            if amounts[resource] and not _raise(conn, project_id, resource, amounts[resource]):
                _start(conn, project_id, resource)
                if not _raise(conn, project_id, resource, amounts[resource]):
                    raise _exceeded(conn, project_id, resource, amounts[resource])


def give(conn: sa.Connection, project_id: str, **amounts: int) -> None:
    """Count down again what was taken.

    :raises Conflict: more is given back than was taken; nothing is changed.
    """
    _check(amounts)
    with conn.begin_nested():
        for resource in sorted(amounts):
            row = (quotas.c.project_id == project_id) & (quotas.c.resource == resource)
            lowered = sa.update(quotas).where(row, quotas.c.used >= amounts[resource])
            done = conn.execute(lowered.values(used=quotas.c.used - amounts[resource])).rowcount
            if not done and amounts[resource]:
                raise Conflict(f"The project does not use {amounts[resource]} {resource}; they were given back before.")


def usage(conn: sa.Connection, project_id: str) -> dict[str, Usage]:
    """The limit and the use of every resource."""
    found: dict[str, Usage] = {name: {"limit": limit, "used": 0} for name, limit in DEFAULTS.items()}
    for row in conn.execute(sa.select(quotas).where(quotas.c.project_id == project_id)).mappings():
        found[row["resource"]] = {"limit": row["limit"], "used": row["used"]}
    return found


def set_limits(conn: sa.Connection, project_id: str, limits: Mapping[str, int]) -> None:
    """Set the limits named; -1 is no limit.

    :raises InUse: the project uses more than a new limit already.
    :raises BadInput: a resource is not known or a limit is below -1.
    """
    _check(limits, least=UNLIMITED)
    with conn.begin_nested():
        for resource in sorted(limits):
            values = {"project_id": project_id, "resource": resource, "limit": limits[resource]}
            row = (quotas.c.project_id == project_id) & (quotas.c.resource == resource)
            with translate.integrity_of(quotas, values):
                try:
                    changed = conn.execute(sa.update(quotas).where(row).values(limit=limits[resource])).rowcount
                    if not changed:
                        conn.execute(sa.insert(quotas), {**values, "used": 0})
                except sa.exc.IntegrityError as exc:
                    if translate.violated(exc)[1] == "ck_quotas_limit":
                        raise InUse(f"The project uses more {resource} than {limits[resource]} already.") from exc
                    raise


def _raise(conn: sa.Connection, project_id: str, resource: str, amount: int) -> bool:
    after = quotas.c.used + amount
    room = (quotas.c.limit == UNLIMITED) | (after <= quotas.c.limit)
    raised = sa.update(quotas).where(quotas.c.project_id == project_id, quotas.c.resource == resource, room)
    return conn.execute(raised.values(used=after)).rowcount == 1


def _start(conn: sa.Connection, project_id: str, resource: str) -> None:
    """Make the counter of a resource that was not known when the project was made."""
    row = {"project_id": project_id, "resource": resource, "limit": DEFAULTS[resource], "used": 0}
    try:
        with conn.begin_nested():
            conn.execute(sa.insert(quotas), row)
    except sa.exc.IntegrityError as exc:
        if translate.violated(exc)[0] == "foreign":
            raise NotFound.of("project", project_id) from exc


def _exceeded(conn: sa.Connection, project_id: str, resource: str, amount: int) -> QuotaExceeded:
    found = usage(conn, project_id)[resource]
    return QuotaExceeded(
        f"The project's quota of {resource} is {found['limit']}, of which {found['used']} are used: "
        f"{amount} more do not fit. Raise the quota (module project) or remove some.",
        resource=resource,
        requested=amount,
        **found,
    )


def _check(amounts: Mapping[str, int], *, least: int = 0) -> None:
    for resource, amount in amounts.items():
        if resource not in DEFAULTS:
            raise BadInput(f"There is no quota of {resource!r}; there are {', '.join(sorted(DEFAULTS))}.")
        if amount < least:
            raise BadInput(f"{amount} {resource} cannot be meant.")
