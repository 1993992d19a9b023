# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Indexes by which one host is found among thousands without reading their rows."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cell_0002"
down_revision = "cell_0001"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("ix_hosts_state_planned_id", "hosts", ["state", "planned", "id"])
    op.create_index("ix_hosts_seq", "hosts", ["seq"])
    # What a placement asks of every host (conductor/shortlist.py). PostgreSQL reads the whole table faster than this,
    # and would have to write the index with every claim.
    if op.get_bind().dialect.name == "sqlite":
        room = sa.text("((total - reserved) * allocation_ratio - used)")
        op.create_index("ix_inventories_room", "inventories", ["resource_class", "host_id", room])
