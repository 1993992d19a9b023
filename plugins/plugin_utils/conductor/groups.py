# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members of server groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud


def join(conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write members down.

    :param rows: each ``group_id``, ``instance_id``, ``host`` and ``slot``; a slot that is not None is taken by one
        member alone, which the schema sees to.
    """
    if rows:
        conn.execute(sa.insert(cloud.server_group_members), [dict(row) for row in rows])


def leave(conn: sa.Connection, instance_id: str) -> None:
    """The instance is in no group any more."""
    members = cloud.server_group_members
    conn.execute(sa.delete(members).where(members.c.instance_id == instance_id))
