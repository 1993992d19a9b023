# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flows of networks and security groups on a real database and a real OVN; only SSH is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.network import driver
from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    Conductor,
    instances,
    ipam,
    projects,
    quota,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import network as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    BadInput,
    ChangeRefused,
    CloudError,
    InUse,
    NotFound,
    QuotaExceeded,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import networks, ports, secgroups
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from tests.functional.network.ovn import Ovn

SUBNETS = [{"name": "v4", "cidr": "10.0.0.0/24"}, {"name": "v6", "cidr": "fd00::/64"}]
MORE = {"name": "more", "cidr": "10.0.1.0/24", "gateway_ip": ""}
NETWORK = {"name": "net", "subnets": SUBNETS}
SSH = {"protocol": "tcp", "port_range_min": 22}
WEB = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 81, "remote_ip_prefix": "192.0.2.0/24"}


class Wire:
    """Where a call goes when there is no SSH: straight to the backend, as JSON."""

    def __init__(self, ovn: Ovn, state_dir: str) -> None:
        self.calls = 0
        self.check = False
        self.broken = ""
        self._ovn = ovn
        self._state_dir = state_dir

    def call(self, call: rpc.Call) -> list[dict[str, Any]]:
        """Carry out a call; ``broken`` before or after it is done."""
        self.calls += 1
        if self.broken == "before":
            raise BackendFailed("the call failed")
        operations = json.loads(json.dumps(list(call.operations)))
        results = driver.batch(Context(self.check, self._state_dir), operations, remote=self._ovn.remote)
        if self.broken == "after":
            raise BackendFailed("the answer is lost")
        for result in results:
            if not result["ok"]:
                raise rpc.failure(call.host, result)
        return results


class Cloud:
    """A controller with its database and one network host."""

    def __init__(self, conductor: Conductor, wire: Wire) -> None:
        self.conductor = conductor
        self.wire = wire
        self.groups: dict[str, list[str]] = {"cloud_network": ["net1"]}

    def run(self, flow: Callable[[Request], Outcome], args: dict[str, Any], *, check: bool = False) -> Outcome:
        """One task."""
        self.wire.check = check
        whole = {"project": "default", "state": "present", **args}
        operator = Principal("root", admin=True)
        request = Request(whole, check, self.conductor, self.wire, self.groups, "net1", {}, operator)  # type: ignore[arg-type]
        return flow(request)

    def used(self) -> dict[str, int]:
        """What the project uses of its quota."""
        with self.conductor.read() as conn:
            project = projects.ensure_default(conn)
            return {name: row["used"] for name, row in quota.usage(conn, project["id"]).items() if row["used"]}


@pytest.fixture
def cloud(ovn: Ovn, tmp_path: Path) -> Iterator[Cloud]:
    """A cloud with nothing in it."""
    with Conductor.open(str(tmp_path / "cloud.db"), actor="test") as conductor:
        yield Cloud(conductor, Wire(ovn, str(tmp_path / "state")))


FLOWS: list[tuple[Callable[[Request], Outcome], list[dict[str, Any]]]] = [
    (
        networks.apply,
        [
            NETWORK,
            {**NETWORK, "mtu": 1400, "shared": True},
            {
                "name": "net",
                "subnets": [*NETWORK["subnets"], {"name": "more", "cidr": "10.0.1.0/24", "gateway_ip": ""}],
            },  # type: ignore[misc]
            {"name": "net", "subnets": [{"name": "v4", "cidr": "10.0.0.0/24", "dns_nameservers": ["192.0.2.53"]}]},
            {"name": "net", "state": "absent"},
        ],
    ),
    (
        secgroups.apply,
        [
            {"name": "web", "rules": [SSH, {"remote_group": "web"}]},
            {"name": "web", "rules": [SSH, WEB, {"remote_group": "web", "ether_type": "IPv6"}], "description": "text"},
            {"name": "web", "rules": [{**SSH, "description": "shell"}], "stateful": False},
            {"name": "web", "rules": [WEB], "purge_rules": False},
            {"name": "web", "rules": []},
            {"name": "web", "state": "absent"},
        ],
    ),
]


@pytest.mark.parametrize(("flow", "steps"), FLOWS, ids=["network", "secgroup"])
def test_check_predicts_and_the_second_run_changes_nothing(
    cloud: Cloud, flow: Callable[[Request], Outcome], steps: list[dict[str, Any]]
) -> None:
    for args in steps:
        predicted = cloud.run(flow, args, check=True)
        done = cloud.run(flow, args)
        again = cloud.run(flow, args)
        assert done.changed, args
        assert (predicted.changed, predicted.changes) == (done.changed, done.changes)
        assert _known(predicted.values) == {
            kind: _like(value, predicted.values[kind]) for kind, value in _known(done.values).items()
        }
        assert not again.changed, again.changes
        assert not again.changes
    assert cloud.used() == {}


def _known(values: Any) -> dict[str, Any]:
    return {kind: value for kind, value in values.items() if value}


def _like(done: Any, predicted: Any) -> Any:
    """What was done, without what could not be known before: times and the ids of what is new."""
    if not isinstance(done, dict):
        return done
    whole = {}
    for key, value in done.items():
        if key not in predicted:
            continue
        whole[key] = predicted[key] if key == "updated_at" else value
    for part in ("subnets", "rules"):
        if part in whole:
            assert _bare(whole[part]) == _bare(predicted[part])
            whole[part] = predicted[part]
    return whole


def _bare(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    unknown = ("id", "remote_group", "remote_group_id")
    return sorted(({k: v for k, v in part.items() if k not in unknown} for part in parts), key=str)


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize(("flow", "steps"), FLOWS, ids=["network", "secgroup"])
def test_a_failed_run_is_finished_by_the_next(
    cloud: Cloud, flow: Callable[[Request], Outcome], steps: list[dict[str, Any]], fault: str
) -> None:
    for args in steps:
        cloud.wire.broken = fault
        with pytest.raises(BackendFailed):
            cloud.run(flow, args)
        cloud.wire.broken = ""
        cloud.run(flow, args)
        assert not cloud.run(flow, args).changed
    assert cloud.used() == {}


REFUSED: list[tuple[str, dict[str, Any], type[CloudError], str]] = [
    ("network", {"subnets": [{"cidr": "10.0.0.5/24"}]}, BadInput, "Did you mean 10.0.0.0/24"),
    ("network", {"subnets": [{"cidr": "10.0.0.0/24"}, {"cidr": "10.0.0.128/25"}]}, BadInput, "overlap"),
    ("network", {"subnets": [{"cidr": "10.0.0.0/24", "gateway_ip": "10.0.1.1"}]}, BadInput, "gateway_ip"),
    ("network", {"subnets": [{"cidr": "10.0.0.0/24", "ip_version": 6}]}, BadInput, "IPv4, not IPv6"),
    ("network", {"subnets": [{"cidr": "10.0.0.0/24", "dns_nameservers": ["1.1.1.1\n"]}]}, BadInput, "dns_nameservers"),
    (
        "network",
        {"subnets": [{"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}]},
        BadInput,
        "gateway",
    ),
    ("network", {"mtu": 67}, BadInput, "mtu"),
    ("network", {"mtu": 65536}, BadInput, "mtu"),
    ("network", {"mtu": 1279, "subnets": [{"cidr": "fd00::/64"}]}, BadInput, "1280"),
    ("network", {"name": "a\nb"}, BadInput, "control"),
    ("network", {"name": "x" * 300}, BadInput, "255"),
    ("network", {"provider_network_type": "vlan", "provider_physical_network": "p"}, BadInput, "segmentation"),
    ("network", {"provider_network_type": "flat", "provider_physical_network": "a b"}, BadInput, "physical_network"),
    ("network", {"project": "nobody"}, NotFound, "nobody"),
    ("secgroup", {"rules": [{"remote_group": "wep"}]}, NotFound, "wep"),
    ("secgroup", {"rules": [{"remote_group": "x", "remote_ip_prefix": "10.0.0.0/8"}]}, BadInput, "remote group"),
    ("secgroup", {"rules": [SSH, {**SSH, "port_range_max": 22}]}, BadInput, "twice"),
    ("secgroup", {"rules": [{"protocol": "tcp", "port_range_min": 9, "port_range_max": 8}]}, BadInput, "range"),
    ("secgroup", {"rules": [{"remote_ip_prefix": "10.0.0.0/24", "ether_type": "IPv6"}]}, BadInput, "IPv6"),
    ("secgroup", {"rules": [{"remote_ip_prefix": "10.0.0.1/24"}]}, BadInput, "host bits"),
    ("secgroup", {"rules": [{"protocol": "tcp && 1"}]}, BadInput, "protocol"),
    ("secgroup", {"rules": [{"protocol": "gre", "port_range_min": 1}]}, BadInput, "ports"),
]


@pytest.mark.parametrize(("kind", "args", "error", "said"), REFUSED)
def test_bad_input_is_refused_and_leaves_nothing(
    cloud: Cloud, kind: str, args: dict[str, Any], error: type[CloudError], said: str
) -> None:
    flow = networks.apply if kind == "network" else secgroups.apply
    for check in (True, False):
        with pytest.raises(error, match=said):
            cloud.run(flow, {"name": "x", **args}, check=check)
    assert cloud.used() == {}
    assert cloud.wire.calls == 0


def test_an_inventory_without_a_network_host(cloud: Cloud) -> None:
    cloud.groups = {"cloud_network": []}
    for flow in (networks.apply, secgroups.apply):
        with pytest.raises(BadInput, match="cloud_network"):
            cloud.run(flow, {"name": "x"})


def test_what_is_in_use_stays(cloud: Cloud) -> None:
    network = cloud.run(networks.apply, NETWORK).values["network"]
    group = cloud.run(secgroups.apply, {"name": "web", "rules": [SSH]}).values["secgroup"]
    cloud.run(secgroups.apply, {"name": "db", "rules": [{"remote_group": "web"}]})
    with cloud.conductor.transaction() as conn:
        project = projects.ensure_default(conn)
        web1 = instances.create(conn, {"project_id": project["id"], "name": "web1", "status": "ACTIVE"})
        port = ipam.create_port(
            conn,
            project_id=project["id"],
            network_id=network["id"],
            instance_id=web1["id"],
            position=0,
            secgroup_ids=[group["id"]],
            name="p",
        )
        record = records.get(conn, tables.ports, port["id"])
    cloud.wire.check = False
    operation = ports.port_operation(record, port["addresses"], [group["id"]], "guest")
    assert cloud.wire.call(rpc.Call("net1", "network_backend", [operation]))[0]["changed"]
    with pytest.raises(InUse, match="ports of web1"):
        cloud.run(networks.apply, {"name": "net", "state": "absent"})
    for check in (True, False):
        with pytest.raises(InUse, match="addresses in use"):
            cloud.run(networks.apply, {"name": "net", "subnets": []}, check=check)
    with pytest.raises(InUse, match="ports of web1"):
        cloud.run(secgroups.apply, {"name": "web", "state": "absent"})
    with pytest.raises(ChangeRefused, match=r"10\.0\.9\.0/24"):
        cloud.run(networks.apply, {"name": "net", "subnets": [{"name": "v4", "cidr": "10.0.9.0/24"}]})


def test_a_group_that_others_name_stays(cloud: Cloud) -> None:
    cloud.run(secgroups.apply, {"name": "web", "rules": [SSH]})
    cloud.run(secgroups.apply, {"name": "db", "rules": [{"remote_group": "web"}]})
    with pytest.raises(InUse, match="db"):
        cloud.run(secgroups.apply, {"name": "web", "state": "absent"})


def test_drift_in_ovn_is_put_right_and_foretold(cloud: Cloud, ovn: Ovn) -> None:
    group = cloud.run(secgroups.apply, {"name": "web", "rules": [SSH]}).values["secgroup"]
    ovn.nbctl("acl-del", "ag_" + group["id"].replace("-", "_"))
    assert cloud.run(secgroups.apply, {"name": "web"}, check=True).changed
    assert cloud.run(secgroups.apply, {"name": "web"}).changed
    assert not cloud.run(secgroups.apply, {"name": "web"}).changed


def test_quota(cloud: Cloud) -> None:
    with cloud.conductor.transaction() as conn:
        quota.set_limits(conn, projects.ensure_default(conn)["id"], {"subnets": 1})
    with pytest.raises(QuotaExceeded):
        cloud.run(networks.apply, NETWORK)
    assert cloud.used() == {}


def test_lists(cloud: Cloud) -> None:
    cloud.run(networks.apply, NETWORK)
    cloud.run(secgroups.apply, {"name": "web", "rules": [SSH]})
    args = {"name": None, "query": "[].subnets[].cidr"}
    assert cloud.run(networks.info, args).values == {"networks": ["10.0.0.0/24", "fd00::/64"]}
    assert cloud.run(networks.info, {"name": "nothing", "query": None}).values == {"networks": []}
    found = cloud.run(secgroups.info, {"name": "web", "query": None}).values["secgroups"][0]
    assert [rule["direction"] for rule in found["rules"]] == ["egress", "egress", "ingress"]


def test_the_default_group_is_made_once(cloud: Cloud, ovn: Ovn) -> None:
    for _turn in range(2):
        with cloud.conductor.transaction() as conn:
            group = secgroups.ensure_default(conn, projects.ensure_default(conn)["id"])
    outcome = cloud.run(secgroups.apply, {"name": "default"})
    assert outcome.values["secgroup"]["id"] == group["id"]
    assert [rule["remote_group"] for rule in outcome.values["secgroup"]["rules"]] == [None, None, "default", "default"]
    assert ovn.nbctl("--bare", "--columns=match", "list", "ACL").count("$ag_") == 2
    cloud.run(secgroups.apply, {"name": "default", "state": "absent"})
    assert cloud.used() == {}
