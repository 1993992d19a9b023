# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks and security groups as flows: predicted, done, done already; refusals; and OVN made like the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import networks, secgroups
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call
from tests.unit.resources.cloud import FLOWS, Cloud, new

FLOWS.update({"network": networks, "secgroup": secgroups})


class Ovn:
    """The central host: it keeps what was last said of each id, and says whether that differs."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def call(self, call: Call) -> list[dict[str, Any]]:
        assert (call.host, call.module) == ("n1", "network_backend")
        return [{"ok": True, "changed": self._said(dict(each))} for each in call.operations]

    def _said(self, operation: dict[str, Any]) -> bool:
        key = str(operation["id"])
        if str(operation["op"]).endswith("_absent"):
            return self.rows.pop(key, None) is not None
        before, self.rows[key] = self.rows.get(key), operation
        return before != operation


@pytest.fixture
def cloud(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    templates = tmp_path_factory.getbasetemp() / "templates"
    templates.mkdir(exist_ok=True)
    made = new(tmp_path, templates)
    made.rpc, made.groups = Ovn(), {"cloud_network": ["n1"]}
    return made


def carried_out(cloud: Cloud, module: str, **args: Any) -> Outcome:
    """Check mode names the changes and writes nothing; the second run has none."""
    before = cloud.digest()
    predicted = cloud.ask(module, check=True, **args)
    assert cloud.digest() == before
    done = cloud.ask(module, **args)
    assert (predicted.changed, list(predicted.changes)) == (done.changed, list(done.changes))
    after = cloud.digest()
    for check in (True, False):
        assert not cloud.ask(module, check=check, **args).changes
    assert cloud.digest() == after
    return done


def used(cloud: Cloud, resource: str) -> int:
    with cloud.conductor as conductor, conductor.read() as conn:
        project = records.get(conn, tables.projects, "default")
        return quota.usage(conn, project["id"])[resource]["used"]


FOUR = {"name": "four", "cidr": "10.0.0.0/24"}
POOLS = {"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}
SIX = {"name": "six", "cidr": "fd00::/64"}
VLAN = {"provider_network_type": "vlan", "provider_physical_network": "office", "provider_segmentation_id": 7}
RULE = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22}


def test_the_life_of_a_network(cloud: Cloud) -> None:
    steps: list[tuple[dict[str, Any], set[str], int]] = [
        ({"subnets": [FOUR]}, {"name", "mtu", "external", "shared", "port_security_enabled", "subnet 10.0.0.0/24"}, 1),
        ({"subnets": [FOUR, SIX]}, {"subnet fd00::/64"}, 2),
        ({"mtu": 1400}, {"mtu"}, 2),
        ({"shared": True, "port_security_enabled": False}, {"shared", "port_security_enabled"}, 2),
        (
            {"subnets": [{**FOUR, "enable_dhcp": False, "dns_nameservers": ["10.0.0.2"]}, SIX]},
            {"subnet 10.0.0.0/24 enable_dhcp", "subnet 10.0.0.0/24 dns_nameservers"},
            2,
        ),
        ({"subnets": [{**SIX, "name": "renamed"}]}, {"subnet fd00::/64 name", "subnet 10.0.0.0/24"}, 1),
        ({"subnets": []}, {"subnet fd00::/64"}, 0),
    ]
    for options, changes, subnets in steps:
        done = carried_out(cloud, "network", name="front", **options)
        assert {change.what for change in done.changes} == changes
        assert len(done.values["network"]["subnets"]) == subnets == used(cloud, "subnets")
    assert used(cloud, "networks") == 1
    assert len(cloud.rpc.rows) == 1
    gone = carried_out(cloud, "network", name="front", state="absent")
    assert {change.what for change in gone.changes} == {"name", "subnets"}
    assert (cloud.rpc.rows, used(cloud, "networks"), used(cloud, "subnets")) == ({}, 0, 0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mtu": 67}, "BadInput", "from 68"),
        ({"mtu": 1279, "subnets": [SIX]}, "BadInput", "from 1280"),
        ({"mtu": 65536}, "BadInput", "65535"),
        ({"subnets": [{"cidr": f"10.{n}.0.0/24"} for n in range(101)]}, "BadInput", "subnets has 101 entries"),
        (
            {"subnets": [{**FOUR, "dns_nameservers": ["10.0.0.2"] * 6}]},
            "BadInput",
            "dns_nameservers of subnet 10.0.0.0/24",
        ),
        ({"name": "more ", "subnets": []}, "BadInput", "blank"),
        ({"subnets": [FOUR, {"cidr": "10.0.0.128/25"}]}, "BadInput", "overlap"),
        ({"subnets": [FOUR, {"name": "four", "cidr": "10.1.0.0/24"}]}, "BadInput", "'four'"),
        (
            {"name": "more", "subnets": [{**FOUR, "gateway_ip": "10.0.0.9", **POOLS}]},
            "BadInput",
            "10.0.0.9",
        ),
        (
            {"name": "more", "subnets": [{**FOUR, "gateway_ip": "10.0.0.5", **POOLS}]},
            "BadInput",
            "10.0.0.5",
        ),
        ({**VLAN, "provider_network_type": "flat"}, "BadInput", "VLAN"),
        ({**VLAN, "provider_segmentation_id": None}, "BadInput", "VLAN"),
        ({**VLAN, "provider_segmentation_id": 4095}, "BadInput", "4094"),
        ({**VLAN, "provider_physical_network": "a b"}, "BadInput", "letters"),
        ({**VLAN, "provider_physical_network": None}, "BadInput", "provider_physical_network"),
        (VLAN, "ChangeRefused", "provider"),
        ({"subnets": [{"name": "four", "cidr": "10.9.0.0/24"}]}, "ChangeRefused", "10.0.0.0/24"),
    ],
)
def test_a_network_that_cannot_be(options: dict[str, Any], error: str, words: str, cloud: Cloud) -> None:
    cloud.ask("network", name="front", subnets=[FOUR])
    before, rows = cloud.digest(), dict(cloud.rpc.rows)
    for check in (True, False):
        with pytest.raises(CloudError) as caught:
            cloud.ask("network", check=check, **{"name": "front", **options})
        assert caught.value.error == error
        assert words in caught.value.msg
    assert (cloud.digest(), cloud.rpc.rows) == (before, rows)


def test_a_provider_network_is_named_the_same_again(cloud: Cloud) -> None:
    done = carried_out(cloud, "network", name="office", **VLAN)
    assert done.values["network"]["provider_segmentation_id"] == 7


@pytest.mark.parametrize("module", ["network", "secgroup"])
def test_what_somebody_changed_in_ovn_is_set_right(module: str, cloud: Cloud) -> None:
    cloud.ask(module, name="front")
    (key,) = cloud.rpc.rows
    said = cloud.rpc.rows[key]
    cloud.rpc.rows[key] = {"op": "else", "id": key}
    done = cloud.ask(module, name="front")
    assert [change.what for change in done.changes] == ["ovn"]
    assert cloud.rpc.rows[key] == said
    assert not cloud.ask(module, name="front").changed


@pytest.mark.parametrize("module", ["network", "secgroup"])
def test_without_a_central_host_nothing_is_written(module: str, cloud: Cloud) -> None:
    cloud.groups = {}
    before = cloud.digest()
    with pytest.raises(CloudError, match="cloud_network"):
        cloud.ask(module, name="front")
    assert cloud.digest() == before


def test_networks_and_groups_are_listed(cloud: Cloud) -> None:
    cloud.ask("network", name="front", subnets=[SIX, FOUR])
    cloud.ask("secgroup", name="web", rules=[RULE])
    (network,) = cloud.ask("network_info").values["networks"]
    assert [subnet["name"] for subnet in network["subnets"]] == ["four", "six"]
    (group,) = cloud.ask("secgroup_info", name="web").values["secgroups"]
    assert "tcp" in str(group["rules"])


def test_the_life_of_a_security_group(cloud: Cloud) -> None:
    other = {"direction": "ingress", "remote_group": "web", "protocol": "udp", "port_range_min": 53}
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, 2),
        ({"rules": [RULE]}, 3),
        ({"rules": [RULE, other]}, 4),
        ({"rules": [{**RULE, "port_range_max": 23}], "purge_rules": False}, 5),
        ({"rules": [RULE]}, 3),
        ({"description": "Web servers"}, 3),
    ]
    for options, rules in steps:
        done = carried_out(cloud, "secgroup", name="web", **options)
        assert done.changed
        assert len(done.values["secgroup"]["rules"]) == rules
    assert used(cloud, "secgroups") == 1
    carried_out(cloud, "secgroup", name="web", state="absent")
    assert (cloud.rpc.rows, used(cloud, "secgroups"), used(cloud, "secgroup_rules")) == ({}, 0, 0)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({**RULE, "remote_group": "wbe"}, "NotFound"),
        ({**RULE, "remote_group": "web", "remote_ip_prefix": "10.0.0.0/8"}, "BadInput"),
        ({**RULE, "port_range_max": 21}, "BadInput"),
        ({**RULE, "protocol": "icmp", "ether_type": "IPv6", "port_range_min": 256}, "BadInput"),
        ({**RULE, "remote_ip_prefix": "10.0.0.0/33"}, "BadInput"),
        ({**RULE, "description": "x" * 256}, "BadInput"),
        ({**RULE, "description": "a\u2028b"}, "BadInput"),
    ],
)
def test_a_rule_that_cannot_be(rule: dict[str, Any], error: str, cloud: Cloud) -> None:
    cloud.ask("secgroup", name="web", rules=[RULE])
    before = cloud.digest()
    with pytest.raises(CloudError) as caught:
        cloud.ask("secgroup", name="web", rules=[rule])
    assert caught.value.error == error
    assert cloud.digest() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"description": "x" * 5_000_000}, "description has 5000000 characters"),
        ({"description": "a\x1b[2J"}, "control characters"),
        ({"rules": [{**RULE, "port_range_min": n} for n in range(1, 1002)]}, "rules has 1001 entries"),
    ],
)
@pytest.mark.parametrize("name", ["web", "new"])
def test_a_group_that_holds_too_much(name: str, options: dict[str, Any], words: str, cloud: Cloud) -> None:
    cloud.ask("secgroup", name="web", rules=[RULE])
    before = cloud.digest()
    for check in (True, False):
        with pytest.raises(CloudError) as caught:
            cloud.ask("secgroup", check=check, name=name, **options)
        assert caught.value.error == "BadInput"
        assert words in caught.value.msg
        assert len(caught.value.msg) < 300
    assert cloud.digest() == before


def test_a_group_that_rules_of_others_name_stays(cloud: Cloud) -> None:
    cloud.ask("secgroup", name="web")
    cloud.ask("secgroup", name="db", rules=[{**RULE, "remote_group": "web"}])
    with pytest.raises(CloudError) as caught:
        cloud.ask("secgroup", name="web", state="absent")
    assert caught.value.error == "InUse"
    carried_out(cloud, "secgroup", name="db", state="absent")
    carried_out(cloud, "secgroup", name="web", state="absent")
