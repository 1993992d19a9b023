# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused, how it is said, and that nothing is written then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts, instances, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    ChangeRefused,
    CloudError,
    InUse,
    NotFound,
    QuotaExceeded,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import secgroups
from tests.unit.resources.cloud import KEY, Cloud

SMALL = {"vcpus": 1, "ram": 512, "disk": 1}


def refused(cloud: Cloud, error: type[CloudError], said: str, module: str, **args: Any) -> CloudError:
    """Refused alike in check mode and for real, and nothing is written."""
    before = cloud.digest()
    for check in (True, False):
        with pytest.raises(error, match=said) as caught:
            cloud.ask(module, check=check, **args)
    assert cloud.digest() == before
    return caught.value


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\0b", "a\x1b[31m", "\ud800", " ", "a ", "a\u2028b"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_names_that_are_none(cloud: Cloud, name: str, state: str) -> None:
    refused(cloud, BadInput, "name", "cell", name=name, state=state)


@pytest.mark.parametrize(
    "name", ["a/../../b", "'; DROP TABLE cells; --", '"', "{{ 1 + 1 }}", "<x>&amp;", "ü 漢字", "x" * 255, "%s", "*"]
)
def test_names_are_labels(cloud: Cloud, name: str) -> None:
    for module, options in (("cell", {}), ("project", {}), ("flavor", SMALL), ("keypair", {"public_key": KEY})):
        made = cloud.ask(module, name=name, **options)
        assert made.values[module]["name"] == name
        assert len(cloud.ask(f"{module}_info", name=name).values[f"{module}s"]) == 1
        assert cloud.ask(module, name=name, state="absent").changed


@pytest.mark.parametrize(
    ("extra_specs", "said"),
    [
        ({"quota:disk_total_iops_sec": "many"}, "quota:disk_total_iops_sec is 'many'; it must be a number"),
        ({"quota:disk_iops_sec": 5}, "quota:disk_iops_sec is not supported. Nearest: quota:disk_"),
        ({"quota:disk_total_bytes_sec": 5, "quota:disk_read_bytes_sec": 5}, "goes with neither read_bytes_sec nor"),
        ({"quota:disk_read_iops_sec_max": 5}, "needs read_iops_sec"),
        ({"hw:numa_nodes": 2}, "hw:numa_nodes is not supported"),
    ],
)
def test_flavors_that_nothing_could_be_booted_with(cloud: Cloud, extra_specs: dict[str, Any], said: str) -> None:
    refused(cloud, BadInput, said, "flavor", name="it", extra_specs=extra_specs, **SMALL)
    known = {"quota:disk_read_iops_sec": 5, "aggregate_instance_extra_specs:ssd": True, "capabilities:x": "y"}
    assert cloud.ask("flavor", name="it", extra_specs=known, **SMALL).changed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vcpus": 0}, "vcpus is 0; it must be from 1"),
        ({"ram": 0}, "ram is 0; it must be from 1"),
        ({"disk": -1}, "disk is -1; it must be from 0"),
        ({"swap": 2**31}, "swap"),
        ({"ephemeral": "much"}, "ephemeral"),
        ({"extra_specs": {"a": {}}}, "must be a text"),
        ({"extra_specs": {"a\n": "b"}}, "control characters"),
        ({"extra_specs": {"a": "b\nc"}}, "control characters"),
    ],
)
def test_flavors_out_of_range(cloud: Cloud, options: dict[str, Any], said: str) -> None:
    refused(cloud, BadInput, said, "flavor", name="it", **{**SMALL, **options})


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("project", {"description": "x" * 5_000_000}, "description has 5000000 characters; a description may have at"),
        ("project", {"description": "a\u2028b"}, "line breaks"),
        ("keypair", {"public_key": KEY + "x" * 16_384}, "public_key has 164.. bytes"),
        ("flavor", {**SMALL, "extra_specs": {f"k{n}": 1 for n in range(129)}}, "extra_specs has 129 entries"),
        ("flavor", {**SMALL, "extra_specs": {"k": "v" * 256}}, "has 256 characters"),
    ],
)
def test_what_holds_too_much(cloud: Cloud, module: str, options: dict[str, Any], said: str) -> None:
    assert len(refused(cloud, BadInput, said, module, name="it", **options).msg) < 300


def test_a_name_that_nothing_has_is_not_repeated_in_full(cloud: Cloud) -> None:
    long = "x" * 500_000
    assert len(refused(cloud, NotFound, "was not found", "keypair", name="it", public_key=KEY, project=long).msg) < 500


def test_a_new_one_needs_its_options(cloud: Cloud) -> None:
    assert refused(cloud, BadInput, "vcpus, ram, disk", "flavor", name="it").details["missing"] == [
        "vcpus",
        "ram",
        "disk",
    ]
    refused(cloud, BadInput, "public_key", "keypair", name="it")
    refused(cloud, BadInput, "policy", "server_group", name="it")


def test_an_unknown_project_has_near_names(cloud: Cloud) -> None:
    cloud.ask("project", name="shop")
    found = refused(cloud, NotFound, "Nearest: shop", "keypair", name="it", public_key=KEY, project="shpo")
    assert found.details["nearest"] == ["shop"]


def test_a_quota_that_is_none(cloud: Cloud) -> None:
    refused(cloud, BadInput, "Nearest: instances", "project", name="it", quota={"instance": 1})
    refused(cloud, BadInput, "quota.ram is -2", "project", name="it", quota={"ram": -2})
    refused(cloud, BadInput, "quota.ram is 'x'", "project", name="it", quota={"ram": "x"})


def test_a_quota_below_what_is_used(cloud: Cloud) -> None:
    cloud.ask("keypair", name="a", public_key=KEY)
    found = refused(cloud, InUse, "uses 1 keypairs", "project", name="default", quota={"keypairs": 0})
    assert (found.details["resource"], found.details["used"]) == ("keypairs", 1)


@pytest.mark.parametrize(
    ("module", "options"), [("keypair", {"public_key": KEY}), ("server_group", {"policy": "affinity"})]
)
def test_quota_is_taken_and_given_back(cloud: Cloud, module: str, options: dict[str, Any]) -> None:
    cloud.ask("project", name="shop", quota={f"{module}s": 1})
    cloud.ask(module, name="a", project="shop", **options)
    before = cloud.digest()
    with pytest.raises(QuotaExceeded):
        cloud.ask(module, name="b", project="shop", **options)
    assert cloud.digest() == before
    (shop,) = cloud.ask("project_info", name="shop").values["projects"]
    assert shop["usage"][f"{module}s"] == 1
    refused(cloud, InUse, f"1 {module}s", "project", name="shop", state="absent")
    cloud.ask(module, name="a", project="shop", state="absent")
    cloud.ask(module, name="b", project="shop", **options)


def test_a_project_with_its_default_group_says_so(cloud: Cloud) -> None:
    shop = cloud.ask("project", name="shop").values["project"]
    with cloud.conductor as conductor, conductor.transaction() as conn:
        secgroups.ensure_default(conn, shop["id"])
    refused(cloud, InUse, "security groups: default", "project", name="shop", state="absent")


def test_what_always_exists(cloud: Cloud) -> None:
    for module in ("project", "cell"):
        refused(cloud, InUse, "always exists", module, name="default", state="absent")


def test_projects_do_not_see_each_others(cloud: Cloud) -> None:
    cloud.ask("project", name="shop")
    cloud.ask("keypair", name="a", public_key=KEY)
    assert cloud.ask("keypair_info", project="shop").values["keypairs"] == []
    assert not cloud.ask("keypair", name="a", project="shop", state="absent").changed
    assert cloud.ask("keypair", name="a", public_key=KEY, project="shop").changed


def test_a_private_flavor_is_for_its_project(cloud: Cloud) -> None:
    cloud.ask("project", name="shop")
    cloud.ask("flavor", name="own", project="shop", is_public=False, **SMALL)
    assert cloud.ask("flavor_info").values["flavors"] == []
    assert len(cloud.ask("flavor_info", project="shop").values["flavors"]) == 1
    refused(cloud, InUse, "flavors: own", "project", name="shop", state="absent")


@pytest.fixture
def booted(cloud: Cloud) -> Callable[[str], None]:
    """Write an instance of a flavor into the database, as a boot does."""

    def boot(name: str, *, group: str | None = None) -> None:
        flavor = cloud.ask("flavor", name="small", **SMALL).values["flavor"]
        with cloud.conductor as conductor, conductor.transaction() as conn:
            row = {"project_id": flavor["project_id"], "name": name, "flavor": flavor, "status": "ACTIVE"}
            instance = instances.create(conn, row)
            if group is not None:
                found = records.get(conn, tables.server_groups, group)
                values = {"group_id": found["id"], "instance_id": instance["id"], "host": "kvm1", "slot": 0}
                conn.execute(tables.server_group_members.insert().values(values))

    return boot


def test_a_flavor_in_use_keeps_its_sizes(cloud: Cloud, booted: Callable[..., None]) -> None:
    booted("web1")
    found = refused(cloud, ChangeRefused, "web1", "flavor", name="small", ram=1024)
    assert found.details["instances"] == ["web1"]
    assert cloud.ask("flavor", name="small", extra_specs={"a": "b"}).changed
    assert cloud.ask("flavor", name="small", state="absent").changed


def test_a_group_with_members_stays(cloud: Cloud, booted: Callable[..., None]) -> None:
    cloud.ask("server_group", name="spread", policy="anti-affinity")
    booted("web1", group="spread")
    (row,) = cloud.ask("server_group_info").values["server_groups"]
    assert [(member["name"], member["compute_host"]) for member in row["members"]] == [("web1", "kvm1")]
    refused(cloud, InUse, "web1", "server_group", name="spread", state="absent")
    refused(cloud, ChangeRefused, "web1", "server_group", name="spread", policy="affinity")
    refused(cloud, ChangeRefused, "web1", "server_group", name="spread", max_per_host=2)
    assert not cloud.ask("server_group", name="spread", policy="anti-affinity").changed


def test_max_per_host_goes_with_anti_affinity(cloud: Cloud) -> None:
    refused(cloud, BadInput, "max_per_host", "server_group", name="it", policy="affinity", max_per_host=2)
    cloud.ask("server_group", name="it", policy="anti-affinity", max_per_host=2)
    refused(cloud, BadInput, "max_per_host", "server_group", name="it", policy="soft-affinity")


def test_a_cell_with_hosts_stays(cloud: Cloud) -> None:
    cell = cloud.ask("cell", name="east").values["cell"]
    with cloud.conductor as conductor, conductor.transaction() as conn:
        hosts.save(conn, "kvm1")
        records.insert(conn, tables.host_mappings, name="kvm1", kind="compute", cell_id=cell["id"])
    assert cloud.ask("cell_info", name="east").values["cells"][0]["hosts"] == ["kvm1"]
    refused(cloud, InUse, "kvm1", "cell", name="east", state="absent")


def test_a_query_that_is_none(cloud: Cloud) -> None:
    with pytest.raises(BadInput, match="JMESPath"):
        cloud.ask("cell_info", query="[?")
