# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports of instances after they were made: where they are plugged, how far that is, and their security groups.

Making and removing them is :mod:`ipam`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud, network


def move(conn: sa.Connection, instance_id: str, host: str) -> None:
    """The ports of an instance are on another host now."""
    mine = network.ports.c.instance_id == instance_id
    conn.execute(sa.update(network.ports).where(mine).values(host=host))


def settle(conn: sa.Connection, instance_ids: Sequence[str]) -> None:
    """The ports of these instances are plugged, and the network has them."""
    plugged = network.ports.c.instance_id.in_(sorted(instance_ids))
    conn.execute(sa.update(network.ports).where(plugged).values(status="ACTIVE"))


def mark(conn: sa.Connection, port_id: str, status: str) -> None:
    """One port has something before it, or behind it.

    :raises Conflict: the port is gone.
    """
    records.update(conn, network.ports, port_id, status=status)


def regroup(conn: sa.Connection, port_id: str, secgroup_ids: Sequence[str]) -> None:
    """The port is in these security groups, and in no other."""
    links = network.port_secgroups
    conn.execute(sa.delete(links).where(links.c.port_id == port_id))
    rows = [{"port_id": port_id, "secgroup_id": group} for group in sorted(set(secgroup_ids))]
    if rows:
        conn.execute(sa.insert(links), rows)


def holders(conn: sa.Connection, which: sa.ColumnElement[bool], *, most: int = 5) -> list[str]:
    """The names of instances that have such ports, or the port's own name where it has no instance; not all of many."""
    called = cloud.instance_mappings.c.name
    name = sa.func.coalesce(called, network.ports.c.name, network.ports.c.id).label("name")
    mapped = cloud.instance_mappings.c.instance_id == network.ports.c.instance_id
    joined = network.ports.outerjoin(cloud.instance_mappings, mapped)
    query = sa.select(name).select_from(joined).where(which).distinct().order_by(name).limit(most)
    return list(conn.execute(query).scalars())
