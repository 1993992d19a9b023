# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quota: all or nothing, never past the limit, never below zero."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, projects, quota
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.cloud import quotas
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    Conflict,
    InUse,
    NotFound,
    QuotaExceeded,
)


@pytest.fixture
def project(conductor: Conductor) -> str:
    with conductor.transaction() as conn:
        found = str(projects.create(conn, "p")["id"])
        quota.set_limits(conn, found, {"instances": 3, "vcpus": 4, "ram": -1})
        return found


def used(conn: sa.Connection, project: str) -> dict[str, int]:
    return {name: row["used"] for name, row in quota.usage(conn, project).items() if row["used"]}


def test_take_and_give(conductor: Conductor, project: str) -> None:
    with conductor.transaction() as conn:
        quota.take(conn, project, instances=2, vcpus=4, ram=10**9)
        assert used(conn, project) == {"instances": 2, "vcpus": 4, "ram": 10**9}
        with pytest.raises(QuotaExceeded) as caught:
            quota.take(conn, project, instances=1, vcpus=1)
        assert caught.value.details == {"resource": "vcpus", "limit": 4, "used": 4, "requested": 1}
        assert used(conn, project) == {"instances": 2, "vcpus": 4, "ram": 10**9}
        quota.give(conn, project, instances=2, vcpus=4, ram=10**9)
        with pytest.raises(Conflict):
            quota.give(conn, project, ram=0, instances=1)
        assert used(conn, project) == {}


def test_limits(conductor: Conductor, project: str) -> None:
    with conductor.transaction() as conn:
        quota.take(conn, project, instances=3)
        with pytest.raises(InUse):
            quota.set_limits(conn, project, {"vcpus": 1, "instances": 2})
        assert quota.usage(conn, project)["vcpus"]["limit"] == 4
        quota.set_limits(conn, project, {"instances": -1})
        quota.take(conn, project, instances=10_000)
        for wrong in ({"instances": -2}, {"elephants": 1}):
            with pytest.raises(BadInput):
                quota.set_limits(conn, project, wrong)
        with pytest.raises(BadInput):
            quota.take(conn, project, instances=-1)


def test_a_resource_younger_than_the_project_starts_with_its_default(conductor: Conductor, project: str) -> None:
    with conductor.transaction() as conn:
        conn.execute(sa.delete(quotas).where(quotas.c.resource == "ports"))
        quota.take(conn, project, ports=2)
        assert quota.usage(conn, project)["ports"] == {"limit": quota.DEFAULTS["ports"], "used": 2}
        with pytest.raises(NotFound):
            quota.take(conn, "nobody", ports=1)
