# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flavors: the sizes that instances come in. Their names are known in the whole cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import flavor
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ChangeRefused
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

SIZES = ("vcpus", "ram", "disk", "ephemeral", "swap")
_SHOWN = ("id", "name", "project_id", *SIZES, "extra_specs", "is_public", "created_at", "updated_at")


def apply(request: Request) -> Outcome:
    """Have the flavor as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """The flavors that the project can use."""
    return engine.info(KIND, request)


def extra_specs(option: str, value: Mapping[str, Any]) -> dict[str, str]:
    """Text by text; what concerns the hardware is refused here rather than when an instance boots.

    :raises BadInput: a value that is not allowed, or a hardware option that does not exist.
    """
    found = values.texts(option, value)
    flavor(found)
    return found


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    return [{**{key: row[key] for key in _SHOWN}, "extra_specs": row["extra_specs"] or {}} for row in rows]


def _allow(conn: sa.Connection, found: Record | None, after: Mapping[str, Any], changes: Sequence[Change]) -> None:
    """An instance keeps the sizes it was booted with, so a flavor in use must not come to mean something else."""
    sizes = [change.what for change in changes if change.what in SIZES]
    if found is None or not sizes:
        return
    users = _instances(conn, found["id"])
    if users:
        raise ChangeRefused(
            f"The {', '.join(sizes)} of flavor {found['name']!r} cannot change while instances have it: "
            f"{', '.join(users)}. They keep what they were booted with; make a flavor of another name instead.",
            option=sizes[0],
            instances=users,
        )


def _instances(conn: sa.Connection, flavor_id: str) -> list[str]:
    instances = cell.instances
    query = sa.select(instances.c.name).where(instances.c.flavor["id"].as_string() == flavor_id)
    return [str(name) for name in conn.execute(query.order_by(instances.c.name).limit(5)).scalars()]


KIND = Kind(
    name="flavor",
    table=cloud.flavors,
    fields=(
        Field("vcpus", values.number(1), required=True),
        Field("ram", values.number(1), required=True),
        Field("disk", values.number(0), required=True),
        Field("ephemeral", values.number(0), default=0),
        Field("swap", values.number(0), default=0),
        Field("extra_specs", extra_specs, default={}),
        Field("is_public", values.flag, default=True),
    ),
    shown=_shown,
    scoped=False,
    allow=_allow,
)
