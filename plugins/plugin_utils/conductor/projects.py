# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Projects: who owns resources, and within which limits."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.records import Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AlreadyExists, InUse, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal

DEFAULT = "default"


def ensure_default(conn: sa.Connection) -> Record:
    """The project ``default``, made with the default limits if it is missing."""
    found = records.find(conn, cloud.projects, DEFAULT)
    if found is not None:
        return found
    try:
        return create(conn, DEFAULT, description="The project of those who name none")
    except AlreadyExists:  # a parallel transaction was first
        return records.get(conn, cloud.projects, DEFAULT)


def create(conn: sa.Connection, name: str, *, description: str | None = None, enabled: bool = True) -> Record:
    """A new project with the default limits.

    :raises AlreadyExists: the name is taken.
    """
    project = records.insert(conn, cloud.projects, name=name, description=description, enabled=enabled)
    quota.set_limits(conn, project["id"], quota.DEFAULTS)
    return project


def resolve(conn: sa.Connection, name: str, principal: Principal) -> Record:
    """The project of that name or id, for one who has a role in it. Nothing else turns a name into a project.

    The default one is made with the database, so that reading finds it too.

    :raises NotFound: there is no such project, or the principal has no role in it; the two look alike.
    """
    wanted = name or DEFAULT
    if principal.admin:
        return records.get(conn, cloud.projects, wanted)
    found = records.find(conn, cloud.projects, wanted)
    if found is None or principal.role_in(found) is None:
        raise NotFound.of("project", wanted, principal.roles)
    return found


def remove(conn: sa.Connection, project_id: str) -> None:
    """Remove a project that owns nothing.

    :raises InUse: resources of the project are left.
    """
    used = {name: row["used"] for name, row in quota.usage(conn, project_id).items() if row["used"]}
    if used:
        raise InUse(f"The project still uses {used}; remove these first.", used=used)
    records.delete(conn, cloud.projects, project_id)
