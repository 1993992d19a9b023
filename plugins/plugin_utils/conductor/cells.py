# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cells: groups of compute hosts. The default one always exists and lives at the cloud database's own address."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AlreadyExists

DEFAULT = "default"


def ensure_default(conn: sa.Connection) -> Record:
    """The default cell, made if it is missing."""
    found = records.find(conn, cloud.cells, DEFAULT)
    if found is not None:
        return found
    try:
        return records.insert(conn, cloud.cells, name=DEFAULT)
    except AlreadyExists:  # a parallel transaction was first
        return records.get(conn, cloud.cells, DEFAULT)


def resolve(conn: sa.Connection, name: str | None) -> Record:
    """The cell of that name or id; None is the default one.

    :raises NotFound: there is no such cell.
    """
    return records.get(conn, cloud.cells, name or DEFAULT)
