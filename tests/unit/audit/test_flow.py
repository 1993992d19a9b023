# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole audit of storage hosts: it writes nothing, finds nothing in a clean cloud, and finds what is planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import flow
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from tests.unit.resources.cloud import Cloud, new
from tests.unit.volume_flows import conftest as storage_hosts
from tests.unit.volume_flows.bus import Bus
from tests.unit.volume_flows.looks import GIB, one

STRAY = "00000000-0000-4000-8000-00000000abcd"


class Surveyed(Bus):
    """Storage hosts that also say what they have."""

    def _survey(self, host: str, _op: dict[str, Any]) -> dict[str, Any]:
        held: dict[str, dict[str, int]] = {each["name"]: {} for each in self.has[host]}
        for where, name, key in self.volumes:
            if where == host:
                held[name][f"volume-{key}"] = self.volumes[where, name, key]["size"] * GIB
        return {"changed": False, "backends": held, "broken": {}, "targets": [], "backstores": [], "backups": []}


@pytest.fixture
def cloud(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    templates = tmp_path_factory.getbasetemp() / "templates"
    templates.mkdir(exist_ok=True)
    made = new(tmp_path, templates)
    made.rpc = Surveyed({"vol1": [storage_hosts.backend("lvm1")]})
    made.groups = {"cloud_volume": ["vol1"]}
    made.ask("volume", name="data", size=3)
    return made


def audited(cloud: Cloud, *, check: bool = False, **args: Any) -> dict[str, Any]:
    """What an audit returns; the database is the same before and after, and the hosts are only asked."""
    before, cloud.rpc.done[:] = cloud.digest(), []
    with cloud.conductor as conductor:
        options = {"hosts": None, "unfinished_after": 0, **args}
        hosts = {"rpc": cloud.rpc, "groups": cloud.groups, "host": "localhost", "hostvars": {}}
        operator = Principal("root", admin=True)
        outcome = flow.apply(Request(args=options, check=check, conductor=conductor, principal=operator, **hosts))
    assert not outcome.changed
    assert cloud.digest() == before
    assert set(cloud.rpc.done) <= {"survey@vol1"}
    return dict(outcome.values)


def lose(cloud: Cloud) -> None:
    cloud.rpc.volumes.clear()


def leave(cloud: Cloud) -> None:
    cloud.rpc.volumes["vol1", "lvm1", STRAY] = {"size": 1, "from": None}


def shrink(cloud: Cloud) -> None:
    cloud.rpc.volumes["vol1", "lvm1", one(cloud)["id"]]["size"] = 1


def silence(cloud: Cloud) -> None:
    cloud.rpc.dead.add("vol1")


def refuse(cloud: Cloud) -> None:
    cloud.rpc.refuses.add("survey@vol1")


def _set(cloud: Cloud, table: sa.Table, **values: Any) -> None:
    with cloud.conductor as conductor, conductor.transaction() as conn:
        conn.execute(sa.update(table).values(values))


def miscount(cloud: Cloud) -> None:
    _set(cloud, tables.volume_backends, used=7)


def stop_half_way(cloud: Cloud) -> None:
    _set(cloud, tables.volumes, status="deleting")


@pytest.mark.parametrize("check", [False, True])
def test_a_clean_cloud(cloud: Cloud, check: bool) -> None:
    said = audited(cloud, check=check)
    assert said["findings"] == []
    assert (said["seen"]["storage_hosts"], said["seen"]["volumes"], said["seen"]["stored"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("plant", "kind", "what"),
    [
        (lose, "missing", "volume"),
        (leave, "orphan", "volume"),
        (shrink, "different", "volume"),
        (silence, "unknown", "host"),
        (refuse, "unknown", "host"),
        (miscount, "different", "claim"),
        (stop_half_way, "unfinished", "volume"),
    ],
)
def test_what_is_planted_is_found(cloud: Cloud, plant: Callable[[Cloud], None], kind: str, what: str) -> None:
    plant(cloud)
    assert [(each["kind"], each["what"]) for each in audited(cloud)["findings"]] == [(kind, what)]


def test_a_host_that_is_silent_is_not_counted_as_looked_at(cloud: Cloud) -> None:
    silence(cloud)
    assert audited(cloud)["seen"]["storage_hosts"] == 0


def test_a_host_that_nobody_knows_is_refused(cloud: Cloud) -> None:
    with pytest.raises(BadInput, match="on record neither"):
        audited(cloud, hosts=["elsewhere"])
