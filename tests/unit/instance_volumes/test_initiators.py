# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names by which hosts log in to volumes: one host's answer never has another one let in or shut out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.initiator import INITIATOR_PREFIX
from ansible_collections.agentless.cloud.plugins.plugin_utils import initiators
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as machines
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, CloudError, HostMismatch, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from tests.unit.instance_volumes.hosts import Hosts
from tests.unit.resources.cloud import Cloud

BOOT = {"flavor": "small", "image": "debian"}
OWN, THEIRS = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", "0b6f2f9b-7a10-4c8e-9d6b-7a3d5c1e52b0"
FREE = "iqn.1993-08.org.debian:01:abc"


class Said(dict[str, Any]):
    """What hosts say that their initiator is called, by host."""


@pytest.fixture
def said(cloud: Cloud, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> Said:
    found, discover = Said(), hosts._discover

    def answer(host: str, op: dict[str, Any]) -> dict[str, Any]:
        told = discover(host, op)
        return {**told, "initiator": found[host]} if host in found else told

    monkeypatch.setattr(hosts, "_discover", answer)
    with cloud.conductor as conductor, conductor.transaction() as conn:
        machines.remember_endpoint(conn, "vol1", "volume", OWN)
        machines.remember_endpoint(conn, "store1", "image", THEIRS)
    return found


def forget(cloud: Cloud, *names: str) -> None:
    """The record of a host as it was before initiators were recorded."""
    with cloud.conductor as conductor, conductor.transaction() as conn:
        for row in records.listing(conn, cell.hosts, name=list(names)):
            records.update(conn, cell.hosts, row["id"], facts={**row["facts"], "initiator": None})


def recorded(cloud: Cloud, name: str) -> str | None:
    with cloud.conductor as conductor, conductor.read() as conn:
        return cast("str | None", records.get(conn, cell.hosts, name)["facts"]["initiator"])


def ask(cloud: Cloud, *names: str, module: str = "compute_backend") -> tuple[dict[str, str], dict[str, CloudError]]:
    with cloud.conductor as conductor:
        request = cast(Request, type("R", (), {"conductor": conductor, "rpc": cloud.rpc}))
        return initiators.names(request, names, module)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (f"{INITIATOR_PREFIX}{OWN}", None),
        (FREE, None),
        (f"{INITIATOR_PREFIX}c", None),
        (f"{INITIATOR_PREFIX}c1", HostMismatch),
        (f"{INITIATOR_PREFIX}{THEIRS}", HostMismatch),
        (f"{INITIATOR_PREFIX}{THEIRS.upper()}", HostMismatch),
        ("iqn.2026-01.x:a b", BadReply),
        (["iqn.2026-01.x:a"], BadReply),
        ("", CloudError),
        (None, CloudError),
    ],
)
def test_a_storage_host_that_reads_from_another(cloud: Cloud, said: Said, name: Any, error: type[CloudError]) -> None:
    said["vol1"] = name
    found, failed = ask(cloud, "vol1", module="volume_backend")
    if error is None:
        assert (found, failed) == ({"vol1": name}, {})
    else:
        assert found == {}
        assert isinstance(failed["vol1"], error)


@pytest.mark.parametrize("name", [f"{INITIATOR_PREFIX}c2", f"{INITIATOR_PREFIX}{OWN}"])
def test_a_compute_host_without_a_name_on_record(cloud: Cloud, said: Said, hosts: Hosts, name: str) -> None:
    """Its first word is recorded, and it is held to it; another one's name is none."""
    forget(cloud, "c1")
    said["c1"] = name
    found, failed = ask(cloud, "c1", "c2")
    assert found == {"c2": f"{INITIATOR_PREFIX}c2"}
    assert isinstance(failed["c1"], HostMismatch)
    assert recorded(cloud, "c1") is None
    said["c1"] = FREE
    assert ask(cloud, "c1") == ({"c1": FREE}, {})
    said["c1"] = f"{INITIATOR_PREFIX}another"
    hosts.calls.clear()
    assert ask(cloud, "c1") == ({"c1": FREE}, {})
    assert hosts.calls == [], "who is on record is not asked"


def test_two_that_say_one_name(cloud: Cloud, said: Said) -> None:
    """Nobody knows which of them lies."""
    forget(cloud, "c1", "c2")
    said.update(c1=FREE, c2=FREE)
    found, failed = ask(cloud, "c1", "c2")
    assert found == {}
    assert {host: type(error) for host, error in failed.items()} == {"c1": HostMismatch, "c2": HostMismatch}


def test_a_new_name_while_volumes_are_open_to_the_old_one(cloud: Cloud, said: Said, hosts: Hosts) -> None:
    """It would be shut out by the new name, and stay in by the old one."""
    old = recorded(cloud, "c1")
    cloud.ask("volume", name="data", size=1)
    cloud.ask("instance", name="web", host="c1", volumes=["data"], **BOOT)
    said["c1"] = FREE
    for check in (True, False):
        with pytest.raises(InUse, match=f"1 volumes, which are open to .*{old}"):
            cloud.ask("host", name="c1", check=check)
    assert recorded(cloud, "c1") == old
    said["c1"] = old
    assert not cloud.ask("host", name="c1").changed
    cloud.ask("instance", name="web", volumes=[])
    assert hosts.exports == {}
    said["c1"] = FREE
    assert cloud.ask("host", name="c1").changed
    assert recorded(cloud, "c1") == FREE


def test_a_move_to_a_storage_host_that_says_anothers_name(cloud: Cloud, said: Said, hosts: Hosts) -> None:
    """Nothing is opened to that name."""
    cloud.ask("volume", name="data", size=1, volume_type="lvm1")
    said["vol2"] = f"{INITIATOR_PREFIX}c1"
    with pytest.raises(CloudError, match=r"vol2 logs in to volumes as .*:c1, and so does c1"):
        cloud.ask("volume", name="data", volume_type="lvm2")
    assert hosts.exports == {}
    assert [key[0] for key in hosts.volumes] == ["vol1"]
