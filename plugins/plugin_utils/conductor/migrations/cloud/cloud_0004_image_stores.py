# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images in several stores; one without the new column is in its ``store_host`` alone."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cloud_0004"
down_revision = "cloud_0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("images", sa.Column("stores", sa.JSON(none_as_null=True)))
