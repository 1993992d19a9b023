# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records by name and id: what is found, what is said when it is not, and what text survives."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    CloudError,
    Conflict,
    InUse,
    NotFound,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal

FLAVOR = {"vcpus": 1, "ram": 512, "disk": 1}

TEXTS = [
    "plain",
    'it\'s "quoted" `and` %s %(x)s :name ?',
    "two\nlines\r\n\ttab",
    "../../etc/passwd",
    "Robert'); DROP TABLE flavors;--",
    "<name>&amp;</name>",
    "{{ lookup('pipe', 'id') }}",
    "日本語 ünï \U0001f9a4 e\u0301",
    "x" * 255,
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_as_it_was(conductor: Conductor, text: str) -> None:
    with conductor.transaction() as conn:
        made = records.insert(conn, cloud.flavors, name=text, extra_specs={text: [text]}, **FLAVOR)
    with conductor.read() as conn:
        for asked in (text, made["id"]):
            assert records.get(conn, cloud.flavors, asked) == made
        assert [row["name"] for row in records.listing(conn, cloud.flavors, name=text)] == [text]
        assert (made["name"], made["extra_specs"]) == (text, {text: [text]})


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name": "x" * 256}, BadInput),
        ({"name": "x" * 300}, BadInput),
        ({"name": ""}, BadInput),
        ({"name": "nul\x00"}, BadInput),
        ({"name": "half\ud800"}, BadInput),
        ({"name": "taken"}, AlreadyExists),
        ({"vcpus": 0}, BadInput),
        ({"ram": 2**70}, BadInput),
        ({"ram": None}, BadInput),
        ({"project_id": "nobody"}, InUse),
    ],
)
def test_what_a_table_refuses(conductor: Conductor, values: dict[str, Any], error: type[CloudError]) -> None:
    with conductor.transaction() as conn:
        records.insert(conn, cloud.flavors, name="taken", **FLAVOR)
    with pytest.raises(error), conductor.transaction() as conn:
        records.insert(conn, cloud.flavors, **{"name": "new", **FLAVOR, **values})
    with conductor.read() as conn:
        assert [row["name"] for row in records.listing(conn, cloud.flavors)] == ["taken"]


def test_a_transaction_goes_on_after_a_refusal(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        records.insert(conn, cloud.flavors, name="one", **FLAVOR)
        with pytest.raises(AlreadyExists):
            records.insert(conn, cloud.flavors, name="one", **FLAVOR)
        records.insert(conn, cloud.flavors, name="two", **FLAVOR)
    with conductor.read() as conn:
        assert [row["name"] for row in records.listing(conn, cloud.flavors)] == ["one", "two"]


def test_an_error_undoes_the_whole_transaction(conductor: Conductor) -> None:
    def stop_half_way() -> None:
        with conductor.transaction() as conn:
            records.insert(conn, cloud.flavors, name="one", **FLAVOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_half_way()
    with conductor.read() as conn:
        assert records.listing(conn, cloud.flavors) == []


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("smal", ["small"]), ("m1.larg", ["m1.large"]), ("zzz", []), ("' OR 1=1 --", [])],
)
def test_a_name_that_is_not_there_brings_the_nearest(conductor: Conductor, asked: str, nearest: list[str]) -> None:
    with conductor.transaction() as conn:
        for name in ("small", "m1.large"):
            records.insert(conn, cloud.flavors, name=name, **FLAVOR)
    with pytest.raises(NotFound) as caught, conductor.read() as conn:
        records.get(conn, cloud.flavors, asked)
    assert caught.value.details == {"kind": "flavor", "name": asked, "nearest": nearest}
    with conductor.read() as conn:
        assert records.find(conn, cloud.flavors, asked) is None


def test_a_project_sees_its_own_first_then_what_is_shared(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        mine, theirs, third = (projects.create(conn, name)["id"] for name in ("mine", "theirs", "third"))
        own = records.insert(conn, cloud.networks, project_id=mine, name="net")
        shared = records.insert(conn, cloud.networks, project_id=theirs, name="net", shared=True)
        records.insert(conn, cloud.networks, project_id=theirs, name="hidden")
        also = records.insert(conn, cloud.networks, project_id=theirs, name="also", shared=True)
        again = records.insert(conn, cloud.networks, project_id=third, name="also", shared=True)
    with conductor.read() as conn:
        assert records.get(conn, cloud.networks, "net", project_id=mine)["id"] == own["id"]
        assert records.get(conn, cloud.networks, "net", project_id=third)["id"] == shared["id"]
        with pytest.raises(NotFound) as caught:
            records.get(conn, cloud.networks, "hiden", project_id=mine)
        assert caught.value.details["nearest"] == []
        with pytest.raises(BadInput, match="several projects") as several:
            records.get(conn, cloud.networks, "also", project_id=mine)
        assert set(several.value.details["ids"]) == {also["id"], again["id"]}
        names = [row["name"] for row in records.listing(conn, cloud.networks, project_id=mine)]
        assert names == ["also", "also", "net", "net"]


def test_an_update_expects_what_it_was_told(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        one = records.insert(conn, cloud.flavors, name="one", **FLAVOR)
        records.insert(conn, cloud.flavors, name="two", **FLAVOR)
        after = records.update(conn, cloud.flavors, one["id"], {"generation": 1, "name": ["one", "uno"]}, ram=1024)
        assert (after["ram"], after["generation"], after["created_at"]) == (1024, 2, one["created_at"])
        assert after["updated_at"] > one["updated_at"]
        with pytest.raises(Conflict, match=r"wanted generation 1; found .*2"):
            records.update(conn, cloud.flavors, one["id"], {"generation": 1}, ram=1)
        with pytest.raises(AlreadyExists):
            records.update(conn, cloud.flavors, one["id"], name="two")
        with pytest.raises(Conflict, match="is gone"):
            records.update(conn, cloud.flavors, "nothing", ram=1)
        assert records.get(conn, cloud.flavors, "one") == after


def test_what_others_need_stays_and_what_is_a_part_goes(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        project = projects.ensure_default(conn)["id"]
        network = records.insert(conn, cloud.networks, project_id=project, name="net")
        records.insert(conn, cloud.subnets, network_id=network["id"], name="s", cidr="10.0.0.0/24", ip_version=4)
        port = records.insert(
            conn,
            cloud.ports,
            project_id=project,
            network_id=network["id"],
            mac_address="02:00:00:00:00:01",
            status="DOWN",
        )
        with pytest.raises(InUse):
            records.delete(conn, cloud.networks, network["id"])
        records.delete(conn, cloud.ports, port["id"])
        records.delete(conn, cloud.networks, network["id"])
        records.delete(conn, cloud.networks, network["id"])  # gone already: no error
        assert records.listing(conn, cloud.subnets) == []
        group = records.insert(conn, cloud.secgroups, project_id=project, name="g")
        rule = {"direction": "ingress", "ether_type": "IPv4", "remote_group_id": group["id"]}
        records.insert(conn, cloud.secgroup_rules, secgroup_id=group["id"], **rule)
        records.delete(conn, cloud.secgroups, group["id"])  # its own rule does not hold it
        assert records.listing(conn, cloud.secgroup_rules) == []


def test_a_project_goes_when_it_owns_nothing(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        project = projects.create(conn, "p")["id"]
        quota.take(conn, project, networks=1)
        with pytest.raises(InUse, match="networks"):
            projects.remove(conn, project)
        quota.give(conn, project, networks=1)
        records.insert(conn, cloud.networks, project_id=project, name="n")
        with pytest.raises(InUse):
            projects.remove(conn, project)
        records.delete(conn, cloud.networks, records.get(conn, cloud.networks, "n")["id"])
        projects.remove(conn, project)
        with pytest.raises(NotFound):
            projects.resolve(conn, "p", Principal("root", admin=True))
