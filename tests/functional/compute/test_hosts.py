# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of hosts on a real database, with machines that say what the test wants."""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts, hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, claims, projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BadInput,
    BadReply,
    ChangeRefused,
    CloudError,
    HostMismatch,
    HostUnreachable,
    InUse,
    NotFound,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call

SAYS: dict[str, Any] = {
    "identity": "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10",
    "address": "192.0.2.21",
    "hostname": "c1",
    "virt_types": ["kvm", "qemu"],
    "cpu": {"arch": "x86_64", "model": "EPYC", "vendor": "AMD", "features": ["aes"]},
    "capacity": {"vcpus": 8, "ram": 16384, "disk": 200},
    "numa": [{"id": 0, "ram": 16384, "cpus": [0, 1]}],
    "pci_devices": [
        {
            "address": "0000:00:01.0",
            "vendor_id": "1af4",
            "product_id": "1045",
            "class": "ffff00",
            "driver": "virtio-pci",
        }
    ],
    "versions": {"libvirt": "9.0.0", "qemu": "7.2.22", "kernel": "6.1.0"},
}
PAPER = {"vcpus": 64, "ram": 262144, "disk": 2000}


class Machines:
    """Stands for the bus: one machine, which answers or is dead."""

    def __init__(self) -> None:
        self.says = copy.deepcopy(SAYS)
        self.dead = False
        self.asked = 0

    def call(self, call: Call) -> list[dict[str, Any]]:
        """What the machine says."""
        self.asked += 1
        if self.dead:
            raise HostUnreachable("it is dead", host=call.host)
        return [self.says]


class Desk:
    """Runs tasks of the module ``host`` for the inventory host c1."""

    def __init__(self, conductor: Conductor, path: Path) -> None:
        self.conductor = conductor
        self.path = path
        self.machines = Machines()

    def request(self, check: bool, args: dict[str, Any]) -> Request:
        """A task."""
        return Request(
            args={"state": "enabled", **args},
            check=check,
            conductor=self.conductor,
            rpc=self.machines,  # type: ignore[arg-type]
            groups={"cloud_compute": ["c1"]},
            host="c1",
            hostvars={"c1": {}},
            principal=Principal("root", admin=True),
        )

    def host(self, **args: Any) -> Outcome:
        """The real run, after check mode has said the same and has written nothing."""
        before = self.digest()
        foreseen: Outcome | CloudError
        try:
            foreseen = hosts.apply(self.request(True, args))
        except CloudError as exc:
            foreseen = exc
        assert self.digest() == before
        if isinstance(foreseen, CloudError):
            with pytest.raises(type(foreseen)):
                hosts.apply(self.request(False, args))
            assert self.digest() == before
            raise foreseen
        done = hosts.apply(self.request(False, args))
        assert (foreseen.changed, foreseen.changes) == (done.changed, done.changes)
        if done.values["host"] is not None:
            same = set(foreseen.values["host"]) - {"updated_at", "seen_at"}
            assert {key: foreseen.values["host"][key] for key in same} == {
                key: done.values["host"][key] for key in same
            }
            again = self.digest()
            assert hosts.apply(self.request(False, args)).changed is False
            assert self.digest() == again
        return done

    def shown(self, name: str = "c1") -> dict[str, Any]:
        """The host as it is listed."""
        rows = hosts.info(self.request(False, {"name": name})).values["hosts"]
        return dict(rows[0]) if rows else {}

    def digest(self) -> str:
        """All that the database holds."""
        with self.conductor.read() as conn:
            text = [str(conn.execute(table.select()).fetchall()) for table in cell.metadata.sorted_tables]
        return hashlib.sha256("".join(text).encode()).hexdigest()

    def occupy(self, name: str = "c1") -> None:
        """Put an instance onto the host."""
        with self.conductor.transaction() as conn:
            host = records.get(conn, cell.hosts, name)
            project = projects.ensure_default(conn)
            instance = records.insert(
                conn, cell.instances, project_id=project["id"], name="web", status="ACTIVE", host_id=host["id"]
            )
            amounts = {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 10}
            claims.claim(conn, consumer_id=instance["id"], host_id=host["id"], amounts=amounts)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A cloud without hosts."""
    conductor = Conductor.open(str(tmp_path / "cloud.db"))
    yield Desk(conductor, tmp_path)
    conductor.close()


def test_registered(desk: Desk) -> None:
    """What the machine says is the record, with Nova's first ratios."""
    host = desk.host(zone="rack1", aggregates={"fast": {"ssd": "true"}}).values["host"]
    assert host["capacity"] == {"vcpus": 8, "ram": 16384, "disk": 200}
    assert host["allocation_ratios"] == {"cpu": 4.0, "ram": 1.0, "disk": 1.0}
    assert host["reserved"] == {"vcpus": 0, "ram": 512, "disk": 0}
    assert host["aggregates"] == {"fast": {"ssd": "true"}}
    assert (host["identity"], host["zone"], host["cell"]) == (SAYS["identity"], "rack1", "default")
    assert host["used"] == {"vcpus": 0, "ram": 0, "disk": 0, "instances": 0}
    assert host == desk.shown()


def test_only_what_is_given_changes(desk: Desk) -> None:
    """The rest stays; the changes name the field."""
    desk.host(zone="rack1", reserved={"ram": 1024}, aggregates={"fast": {}})
    outcome = desk.host(allocation_ratios={"cpu": 8.0, "ram": None})
    assert [(one.what, one.before, one.after) for one in outcome.changes] == [("allocation_ratios.cpu", 4.0, 8.0)]
    host = outcome.values["host"]
    assert (host["zone"], host["reserved"]["ram"], host["aggregates"]) == ("rack1", 1024, {"fast": {}})


def test_a_machine_raises_no_limit(desk: Desk) -> None:
    """Whatever it says later, its operator's limit stays."""
    desk.host(limits={"vcpus": 4})
    desk.machines.says["capacity"] = {"vcpus": 4096, "ram": 17000, "disk": 100}
    host = desk.host().values["host"]
    assert host["capacity"] == {"vcpus": 4, "ram": 17000, "disk": 100}


def test_the_name_by_which_another_logs_in(desk: Desk) -> None:
    """A clone, or a host that has fallen: with one name for two, shutting out the one would let in both."""
    desk.machines.says["initiator"] = "iqn.2026-01.cloud.agentless:one"
    desk.host()
    desk.machines.says.update(identity="0b6f2f9b-7a10-4c8e-9d6b-7a3d5c1e52b0", hostname="c2")
    for name in ("iqn.2026-01.cloud.agentless:on", "iqn.2026-01.cloud.agentless:ones"):
        desk.machines.says["initiator"] = name
        assert desk.host(name="c2").changed
    desk.machines.says["initiator"] = "iqn.2026-01.cloud.agentless:one"
    with pytest.raises(HostMismatch, match="and so does c1"):
        desk.host(name="c2")


@pytest.mark.parametrize("address", ["192.0.2.1\x1b[2J", "192.0.2.1\n", "1" * 256])
def test_an_address_is_one_word(desk: Desk, address: str) -> None:
    """Where the inventory has none, the role gives what the host says."""
    with pytest.raises(BadInput, match="address of a host"):
        desk.host(address=address)


JUMPS = [("vcpus", 9), ("vcpus", 8192), ("ram", 18023), ("ram", 1 << 28), ("disk", 221), ("disk", 1 << 24)]


@pytest.mark.parametrize(("resource", "amount"), JUMPS)
def test_a_machine_that_has_grown(desk: Desk, resource: str, amount: int) -> None:
    """Nothing of it is recorded until its operator says so; then it counts up to what was said."""
    desk.host()
    desk.machines.says["capacity"][resource] = amount
    desk.machines.says["hostname"] = "another"
    with pytest.raises(ChangeRefused, match=f"{amount} {resource}.*limits.*{resource}: {amount}"):
        desk.host(zone="west")
    assert desk.shown()["capacity"] == SAYS["capacity"]
    assert desk.shown()["hostname"] == "c1"
    assert desk.host(limits={resource: amount - 1}).values["host"]["capacity"][resource] == amount - 1
    desk.machines.says["capacity"][resource] = facts.MOST[resource]
    assert desk.host().values["host"]["capacity"][resource] == amount - 1


def test_a_machine_that_grows_a_little_each_time(desk: Desk) -> None:
    """Measured is from what it said first, so that many small steps come no further than one."""
    desk.host()
    for ram in (17000, 18000):
        desk.machines.says["capacity"]["ram"] = ram
        assert desk.host().values["host"]["capacity"]["ram"] == ram
    desk.machines.says["capacity"]["ram"] = 18100
    with pytest.raises(ChangeRefused, match="at first 16384"):
        desk.host()
    desk.machines.says["capacity"]["ram"] = 100
    assert desk.host().values["host"]["capacity"]["ram"] == 100
    desk.machines.says["capacity"]["ram"] = 16384
    assert desk.host().values["host"]["first_capacity"] == SAYS["capacity"]


def test_a_machine_recorded_by_an_earlier_release(desk: Desk) -> None:
    """It is held to what is on record of it."""
    desk.host()
    with desk.conductor.transaction() as conn:
        row = records.get(conn, cell.hosts, "c1")
        before = {key: value for key, value in row["facts"].items() if key != "first_capacity"}
        records.update(conn, cell.hosts, row["id"], facts=before)
    desk.machines.says["capacity"]["vcpus"] = 8192
    with pytest.raises(ChangeRefused, match="at first 8"):
        desk.host()
    desk.machines.says["capacity"]["vcpus"] = 8
    assert desk.host().values["host"]["first_capacity"] == SAYS["capacity"]


def test_another_machine_under_the_name(desk: Desk) -> None:
    """Refused, and the record stays as it was."""
    desk.host()
    desk.machines.says["identity"] = str(uuid.uuid4())
    with pytest.raises(HostMismatch):
        desk.host()
    assert desk.shown()["identity"] == SAYS["identity"]


def test_a_lying_machine(desk: Desk) -> None:
    """Its answer is refused as a whole."""
    desk.machines.says["hostname"] = "{{ lookup('pipe', 'id') }}"
    with pytest.raises(BadReply):
        desk.host()
    assert desk.shown() == {}


def test_a_dead_host_can_be_taken_out_of_service(desk: Desk) -> None:
    """It is not asked for it; enabling asks again, and clears the reason."""
    desk.host()
    desk.machines.dead = True
    host = desk.host(state="maintenance", reason="power supply").values["host"]
    assert (host["state"], host["reason"], host["identity"]) == ("maintenance", "power supply", SAYS["identity"])
    with pytest.raises(HostUnreachable):
        desk.host()
    desk.machines.dead = False
    assert desk.host().values["host"]["reason"] is None


def test_planned(desk: Desk) -> None:
    """On paper: no machine is asked, until the host is there."""
    host = desk.host(name="p1", resources=PAPER).values["host"]
    assert (host["planned"], host["capacity"], host["reserved"]["ram"]) == (True, PAPER, 0)
    desk.host(name="p1", state="disabled")
    desk.host(name="c1", resources=PAPER)
    assert desk.machines.asked == 0
    host = desk.host(name="c1").values["host"]
    assert (host["planned"], host["capacity"]["vcpus"], host["identity"]) == (False, 8, SAYS["identity"])
    assert host["first_capacity"] == SAYS["capacity"], "what was planned was not the machine's word"
    with pytest.raises(ChangeRefused):
        desk.host(name="c1", resources=PAPER)


def test_absent(desk: Desk) -> None:
    """Refused while instances live there; afterwards another machine may take the name."""
    desk.host()
    desk.occupy()
    assert desk.shown()["used"] == {"vcpus": 2, "ram": 1024, "disk": 10, "instances": 1}
    with pytest.raises(InUse, match="1 instances"):
        desk.host(state="absent")
    with pytest.raises(InUse):
        desk.host(state="absent")
    with desk.conductor.transaction() as conn:
        instance = records.listing(conn, cell.instances)[0]
        claims.release(conn, instance["id"])
        records.delete(conn, cell.instances, instance["id"])
    assert desk.host(state="absent").changed is True
    assert desk.host(state="absent").changed is False
    desk.machines.says["identity"] = str(uuid.uuid4())
    assert desk.host().changed is True


def test_capacity_below_what_is_used(desk: Desk) -> None:
    """A limit that the instances do not fit into is refused by the database itself."""
    desk.host()
    desk.occupy()
    with pytest.raises(InUse, match="VCPU"):
        hosts.apply(desk.request(False, {"allocation_ratios": {"cpu": 0.1}}))
    assert desk.shown()["allocation_ratios"]["cpu"] == 4.0


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"reserved": {"ram": 99999}}, BadInput),
        ({"reserved": {"ram": -1}}, BadInput),
        ({"limits": {"disk": -1}}, BadInput),
        ({"allocation_ratios": {"cpu": 0.0}}, BadInput),
        ({"resources": {"vcpus": -1, "ram": 1, "disk": 1}}, BadInput),
        ({"cell": "nowhere"}, NotFound),
        ({"name": ""}, BadInput),
        ({"name": "", "state": "absent"}, BadInput),
        ({"name": "two\nlines", "resources": PAPER}, BadInput),
        ({"name": "turned\u202eround", "resources": PAPER}, BadInput),
        ({"name": "h" * 256, "resources": PAPER}, BadInput),
    ],
)
def test_refused(desk: Desk, args: dict[str, Any], error: type[CloudError]) -> None:
    """What cannot be meant; nothing is written."""
    with pytest.raises(error):
        desk.host(**args)
    assert desk.shown() == {}
