# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a new database holds before anyone asks for anything: the default project and the default cell."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import cells, projects
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa


def plant(conn: sa.Connection) -> None:
    """Make them if they are missing. Done with the migration, so that a task which only reads finds them."""
    projects.ensure_default(conn)
    cells.ensure_default(conn)
