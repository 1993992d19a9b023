# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PostgreSQL writes to its log: with the settings of the role conductor, never a value of somebody's row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError
from tests.functional.conductor.cluster import Cluster

pytestmark = pytest.mark.postgresql

TEMPLATE = Path(__file__).parents[3] / "roles/conductor/templates/agentless.conf.j2"
CANARY = "canary-4f1d77"
# What an operator may have set, which writes parameters to the log by itself.
TALKATIVE = {"log_min_duration_statement": "0", "log_parameter_max_length_on_error": "-1"}


def of_the_role() -> dict[str, str]:
    """The settings of the log that the role writes."""
    return dict(re.findall(r"^(log_\w+) = (\S+)$", TEMPLATE.read_text(), re.MULTILINE))


def refused_by_a_check(conn: sa.Connection) -> None:
    sizes = {"vcpus": 0, "ram": 1, "disk": 1, "ephemeral": 0, "swap": 0}
    records.insert(conn, cloud.flavors, name="f", extra_specs={"note": CANARY}, is_public=True, **sizes)


def refused_as_a_second(conn: sa.Connection) -> None:
    records.insert_many(conn, cloud.projects, [{"name": CANARY, "enabled": True}] * 2)


def refused_as_an_orphan(conn: sa.Connection) -> None:
    conn.execute(sa.insert(cloud.quotas).values(project_id=CANARY, resource="ram", limit=1, used=0))


REFUSALS: list[tuple[Callable[[sa.Connection], None], str]] = [
    (refused_by_a_check, "violates check constraint"),
    (refused_as_a_second, "violates unique constraint"),
    (refused_as_an_orphan, "violates foreign key constraint"),
]


@pytest.mark.parametrize("address", [pytest.param("postgresql")], indirect=True)
@pytest.mark.parametrize(("refusal", "reason"), REFUSALS, ids=[reason for _refusal, reason in REFUSALS])
@pytest.mark.parametrize(
    ("settings", "leaks"),
    [
        pytest.param({}, True, id="as PostgreSQL comes"),
        pytest.param(of_the_role(), False, id="with the role"),
        pytest.param(TALKATIVE, True, id="talkative"),
        pytest.param(TALKATIVE | of_the_role(), False, id="talkative, with the role"),
    ],
)
def test_a_refused_row_is_logged_without_its_values(
    address: str,
    cluster: Cluster,
    refusal: Callable[[sa.Connection], None],
    reason: str,
    settings: dict[str, str],
    leaks: bool,
) -> None:
    database = address.split("/")[3].partition("?")[0]
    for name, value in settings.items():
        cluster.sql(f"ALTER DATABASE {database} SET {name} = '{value}'")
    log = cluster.directory / "log"
    start = log.stat().st_size
    opened = Conductor.open(address)
    try:
        with pytest.raises(CloudError), opened.transaction() as conn:
            refusal(conn)
    finally:
        opened.close()
    said = log.read_bytes()[start:].decode()
    assert reason in said
    assert (CANARY in said) is leaks
