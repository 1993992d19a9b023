# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many at once: a play over 30 hosts, two playbooks for one name, more instances than there is room for."""

from __future__ import annotations

import json
import sqlite3
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import pytest

from .cloud import COMPUTE, Cloud, Played

pytestmark = pytest.mark.lab

FORKS = 30


def forked(cloud: Cloud, names: list[str], **wish: Any) -> Played:
    """A play over inventory hosts of these names, all at once, each with one task for itself."""
    path = cloud.folder / "crowd.json"
    path.write_text(json.dumps({"all": {"hosts": {name: {"ansible_connection": "local"} for name in names}}}))
    task = {"agentless.cloud.instance": {"name": "{{ inventory_hostname }}", "timeout": 300, **wish}}
    play = {"hosts": ",".join(names), "gather_facts": False, "tasks": [task]}
    return cloud.run([play], "-i", str(path), "-f", str(FORKS))


def faults(cloud: Cloud) -> list[str]:
    """What an audit finds wrong: anything given twice, a sum that is off, a host above its room, a guest that is not
    where its record says. Empty when all is well."""
    found = []
    for what, query in {
        "addresses": "SELECT subnet_id || address FROM addresses",
        "MACs": "SELECT mac_address FROM ports",
        "names": "SELECT project_id || name FROM instances",
    }.items():
        found += [f"{what}: {one} twice" for one, n in Counter(row[0] for row in cloud.ask(query)).items() if n > 1]
    found += [
        f"{kind}: used is {used}, allocations are {given}"
        for kind, used, given in cloud.ask(
            "SELECT resource_class, used, (SELECT coalesce(sum(amount), 0) FROM allocations a"
            " WHERE a.host_id = i.host_id AND a.resource_class = i.resource_class) FROM inventories i"
        )
        if used != given
    ]
    found += [
        f"above its room: {row}"
        for row in cloud.ask("SELECT * FROM inventories WHERE used > (total - reserved) * allocation_ratio")
    ]
    found += [
        f"quota: {row}"
        for row in cloud.ask("SELECT used FROM quotas WHERE resource = 'instances' AND used > 0")
        if row[0] != cloud.ask("SELECT count(*) FROM instances")[0][0]
    ]
    recorded = set(cloud.ask("SELECT h.name, i.id FROM instances i JOIN hosts h ON h.id = i.host_id"))
    if recorded != set(cloud.domains()):
        found.append(f"records and domains differ: {recorded ^ set(cloud.domains())}")
    return found + macs_on_hosts(cloud)


def macs_on_hosts(cloud: Cloud) -> list[str]:
    """MACs that libvirt has twice, or that the database does not know."""
    seen: Counter[str] = Counter()
    for host in COMPUTE:
        line = 'for key in $(virsh list --uuid); do virsh dumpxml "$key" | grep -o "<mac [^>]*>"; done; true'
        seen.update(
            ET.fromstring(element).attrib["address"] for element in cloud.host(host, line).split("\n") if element
        )
    known = {row[0] for row in cloud.ask("SELECT mac_address FROM ports")}
    return [f"MAC {mac} on {n} interfaces" for mac, n in seen.items() if n != 1 or mac not in known]


def test_thirty_hosts_boot_and_delete_at_once(clean: Cloud) -> None:
    cloud = clean
    names = [f"crowd{number}" for number in range(FORKS)]
    booted = forked(cloud, names, flavor="none", image="halt", networks=["front"])
    assert booted.returncode == 0, booted.output
    assert [result["instance"]["status"] for result in booted.results] == ["ACTIVE"] * FORKS
    assert len(cloud.domains()) == FORKS
    assert faults(cloud) == []
    gone = forked(cloud, names, state="absent")
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_the_audit_sees_what_is_wrong(clean: Cloud) -> None:
    """The checks of this file can fail: a guest that its record has lost, a sum that is off."""
    cloud = clean
    assert cloud.instance(name="known").returncode == 0
    assert faults(cloud) == []
    ((host, key),) = cloud.domains()
    cloud.host(host, f"virsh destroy {key}")
    assert len(faults(cloud)) == 1
    cloud.host(host, f"virsh start {key}")
    with sqlite3.connect(cloud.database) as db:
        db.execute("UPDATE inventories SET used = used + 1 WHERE resource_class = 'VCPU'")
    try:
        assert len(faults(cloud)) == len(COMPUTE)
    finally:
        with sqlite3.connect(cloud.database) as db:
            db.execute("UPDATE inventories SET used = used - 1 WHERE resource_class = 'VCPU'")
    assert faults(cloud) == []


def test_all_hosts_of_a_play_ask_for_the_same_instance(clean: Cloud) -> None:
    """A play that forgets run_once: every host of it boots the same name. One does it, the others find it."""
    cloud = clean
    names = [f"same{number}" for number in range(6)]
    booted = forked(cloud, names, name="shared", flavor="none", image="halt", networks=["front"])
    assert booted.returncode == 0, booted.output
    assert {result["instance"]["status"] for result in booted.results} == {"ACTIVE"}
    assert len({result["instance"]["id"] for result in booted.results}) == 1
    assert len(cloud.domains()) == 1
    assert faults(cloud) == []
    gone = forked(cloud, names, name="shared", state="absent")
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_two_launches_of_the_same_name(clean: Cloud) -> None:
    cloud = clean
    words = {"name": "twice", "count": "5", "flavor": "none", "image": "halt", "networks": "front"}
    options = [word for key, value in words.items() for word in ("-e", f"instance_{key}={value}")]
    ended: list[Played] = []
    runs = [
        threading.Thread(target=lambda: ended.append(cloud.run("agentless.cloud.launch", *options)))
        for _count in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [played.returncode for played in ended] == [0, 0], "".join(played.output for played in ended)
    assert sorted(row[0] for row in cloud.ask("SELECT name FROM instances")) == [f"twice-{n}" for n in range(1, 6)]
    assert faults(cloud) == []
    gone = cloud.instance(name="twice", count=5, state="absent")
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def test_more_than_the_hosts_can_take(clean: Cloud) -> None:
    """P1: twelve ask at once for the room of eight. Eight get it; the others are told that no host has room."""
    cloud = clean
    room = sum(row[0] for row in cloud.ask("SELECT total FROM inventories WHERE resource_class = 'VCPU'")) * 2
    narrow = [{"agentless.cloud.host": {"name": host, "allocation_ratios": {"cpu": 2.0}}} for host in COMPUTE]
    wide = [{"agentless.cloud.host": {"name": host, "allocation_ratios": {"cpu": 32.0}}} for host in COMPUTE]
    names = [f"squeeze{number}" for number in range(room + 4)]
    assert cloud.tasks(*narrow).returncode == 0
    try:
        booted = forked(cloud, names, flavor="none", image="halt", networks=["front"])
        assert len(booted.results) == len(names), booted.output
        lost = [result for result in booted.results if "error" in result]
        assert {result["error"] for result in lost} == {"NoValidHost"}, booted.output
        assert len(lost) == 4, booted.output
        assert faults(cloud) == []
        gone = forked(cloud, names, state="absent")
        assert gone.returncode == 0, gone.output
        assert cloud.left_over() == {}
    finally:
        assert cloud.tasks(*wide).returncode == 0
