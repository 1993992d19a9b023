# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P10: check mode predicts what the real run does and writes nothing; the second run changes nothing.

And what a task finds when somebody has been at the host: a guest that is off, a domain that is gone.
"""

from __future__ import annotations

from typing import Any

import pytest

from .cloud import Cloud, Played
from .predictions import check_prediction, kind_of

pytestmark = pytest.mark.lab

NAME = "turns"
BOOT = {"flavor": "none", "image": "halt", "networks": ["front"]}


def task(**wish: Any) -> dict[str, Any]:
    """A task on the instance of this file. The test guest does not hear the power button, hence the short time."""
    short = 3 if wish.get("state") in ("stopped", "rebooted") else 120
    return {"agentless.cloud.instance": {"name": NAME, "timeout": short, **wish}}


def thrice(cloud: Cloud, *wishes: dict[str, Any], settles: bool = True) -> list[dict[str, Any]]:
    """Each wish in check mode, for real and again. The prediction is exact; returns the results of the real runs."""
    tasks = [{**task(**wish), "diff": True, "check_mode": check} for wish in wishes for check in (True, False, False)]
    played = cloud.tasks(*tasks)
    assert played.returncode == 0, played.output
    real = []
    for number, wish in enumerate(wishes):
        check, done, again = played.results[3 * number : 3 * number + 3]
        assert (check["changed"], done["changed"]) == (True, True), wish
        assert check["diff"] == done["diff"], wish
        assert again["changed"] is not settles, wish
        assert ("diff" in again) is not settles, wish
        check_prediction(kind_of(wish, check), check, done)
        real.append(done)
    return real


def holders(cloud: Cloud, table: str, port: str) -> set[str]:
    """Names of the networks or security groups whose row in OVN holds this port."""
    row = cloud.host("k1", f"ovn-nbctl get Logical_Switch_Port {port} _uuid").strip()
    rows = cloud.host("k1", f"ovn-nbctl --columns=name,external_ids find {table} 'ports{{>=}}{row}'")
    return {
        name
        for name, key in cloud.ask("SELECT name, id FROM secgroups UNION SELECT name, id FROM networks")
        if key in rows
    }


def of_database(cloud: Cloud) -> dict[str, str]:
    """The instance's ports by network name."""
    return dict(
        cloud.ask(
            "SELECT n.name, p.id FROM ports p JOIN networks n ON n.id = p.network_id"
            f" JOIN instances i ON i.id = p.instance_id WHERE i.name = '{NAME}'"
        )
    )


def check_wires(cloud: Cloud, networks: set[str], groups: set[str]) -> None:
    """Database, hypervisor and OVN agree on the instance's ports and their groups."""
    ports = of_database(cloud)
    assert set(ports) == networks
    ((host, key),) = cloud.ask(
        f"SELECT h.name, i.id FROM instances i JOIN hosts h ON h.id = i.host_id WHERE i.name = '{NAME}'"
    )
    macs = {row[0] for row in cloud.ask(f"SELECT mac_address FROM ports WHERE instance_id = '{key}'")}
    for option in ("", "--inactive"):
        listed = cloud.host(host, f"virsh domiflist {key} {option}").split()
        assert {word for word in listed if word.count(":") == 5} == macs
    for network, port in ports.items():
        assert holders(cloud, "Logical_Switch", port) == {network}
        assert holders(cloud, "Port_Group", port) == groups
    rows = cloud.host("k1", "ovn-nbctl --bare --columns=name find Logical_Switch_Port 'type=\"\"'").split()
    assert sorted(rows) == sorted(ports.values())


def test_in_place_changes_are_predicted_done_and_settled(clean: Cloud) -> None:
    cloud = clean
    real = thrice(
        cloud,
        {**BOOT, "metadata": {"role": "web"}},
        {"metadata": {"role": "db", "shelf": "{{ 1 + 1 }}"}},
        {"tags": ["red", "blue"]},
        {"security_groups": ["ping"]},
        {"networks": ["front", "back"], "security_groups": ["ping"]},
    )
    assert real[1]["instance"]["metadata"] == {"role": "db", "shelf": "2"}
    assert sorted(real[2]["instance"]["tags"]) == ["blue", "red"]
    assert real[3]["diff"]["before"]["security_groups"] == ["default"]
    assert real[3]["diff"]["after"]["security_groups"] == ["ping"]
    assert real[4]["diff"]["after"]["networks"] == ["front", "back"]
    check_wires(cloud, {"front", "back"}, {"ping"})
    before = cloud.digest()
    checks = [
        {"metadata": {}},
        {"tags": []},
        {"security_groups": []},
        {"networks": ["back"]},
        {"networks": ["back", "front", "front"]},
        {"state": "stopped"},
        {"state": "rebooted"},
        {"state": "absent"},
        {**BOOT, "name": "other"},
        {**BOOT, "count": 3},
    ]
    checked = cloud.tasks(*(task(**wish) for wish in checks), options=("--check", "--diff"))
    assert [result["changed"] for result in checked.results] == [True] * len(checks), checked.output
    assert ["instance" in result for result in checked.results] == [wish.get("state") != "absent" for wish in checks]
    assert set(checked.results[3]["instance"]["addresses"]) == {"back"}
    assert [one["name"] for one in checked.last["instances"]] == [f"{NAME}-{number}" for number in (1, 2, 3)]
    assert cloud.digest() == before
    stopped, _detached, started, emptied = thrice(
        cloud,
        {"state": "stopped"},
        {"state": "stopped", "networks": ["back"]},
        {"state": "running", "networks": ["back", "front"]},
        {"metadata": {}, "tags": [], "security_groups": ["default"]},
    )
    assert (stopped["instance"]["status"], stopped["instance"]["power_state"]) == ("SHUTOFF", "shutdown")
    assert (started["instance"]["status"], started["instance"]["power_state"]) == ("ACTIVE", "running")
    assert (emptied["instance"]["metadata"], emptied["instance"]["tags"]) == ({}, [])
    check_wires(cloud, {"front", "back"}, {"default"})
    thrice(cloud, {"state": "rebooted"}, settles=False)
    thrice(cloud, {"state": "absent"})
    assert cloud.left_over() == {}


def test_groups_of_ports_attached_later_and_of_each_port(clean: Cloud) -> None:
    """A nic without groups gets the project's ``default``, whatever the others have; each port's change in place."""
    cloud = clean
    both = ["front", "back"]

    def groups() -> dict[str, set[str]]:
        return {network: holders(cloud, "Port_Group", port) for network, port in of_database(cloud).items()}

    thrice(cloud, {**BOOT, "security_groups": ["ping"]})
    (added,) = thrice(cloud, {"networks": both})
    assert added["instance"]["security_groups"] == ["default", "ping"]
    assert groups() == {"front": {"ping"}, "back": {"default"}}
    before = of_database(cloud)
    own = [{"network": "front", "security_groups": ["default"]}, {"network": "back", "security_groups": ["ping"]}]
    (swapped,) = thrice(cloud, {"nics": own})
    assert set(swapped["diff"]["after"]) == {"nics"}
    assert groups() == {"front": {"default"}, "back": {"ping"}}
    thrice(cloud, {"nics": [own[0], {"network": "back"}], "security_groups": []})
    assert groups() == {"front": {"default"}, "back": set()}
    thrice(cloud, {"networks": both, "security_groups": ["ping"]})
    assert of_database(cloud) == before, "every port stayed"
    check_wires(cloud, {"front", "back"}, {"ping"})


def test_a_port_not_yet_plugged_is_plugged_also_when_its_groups_change(clean: Cloud) -> None:
    cloud = clean
    assert cloud.tasks(task(**BOOT)).returncode == 0
    later = {"state": "present", "networks": ["front", "back"]}
    killed = cloud.tasks(task(**later), AGENTLESS_FAULT="3:killed@instance")
    assert killed.returncode != 0, "the third effect is the call that plugs"
    assert cloud.ask("SELECT count(*) FROM ports WHERE status = 'PLUGGING'") == [(1,)]
    mended = cloud.tasks(task(**later, security_groups=["ping"]))
    assert mended.returncode == 0, mended.output
    check_wires(cloud, {"front", "back"}, {"ping"})


def test_what_cannot_change_in_place_is_refused(clean: Cloud) -> None:
    cloud = clean
    key = {"name": "changer", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43 + " me"}
    made = cloud.tasks({"agentless.cloud.keypair": key}, task(**BOOT, userdata="#!/bin/true\n"))
    assert made.returncode == 0, made.output
    other = ({"k1", "k2"} - {made.last["instance"]["compute_host"]}).pop()
    asked = {
        "flavor": "large",
        "image": "other",
        "userdata": "#!/bin/false\n",
        "key_name": "changer",
        "zone": "elsewhere",
        "host": other,
        "server_group": "apart",
    }
    before = cloud.digest()
    played = cloud.tasks(
        *(
            {**task(**{option: value, "metadata": {"not": "written"}}), "ignore_errors": True}
            for option, value in asked.items()
        )
    )
    for option, result in zip(asked, played.results, strict=True):
        assert result.get("error") == "ChangeRefused", (option, result)
        assert f"The {option} of instance '{NAME}'" in result["msg"]
        assert "state: absent" in result["msg"]
        assert option != "image" or "state: rebuilt" in result["msg"]
        assert "/bin/" not in str(result)
    assert cloud.digest() == before


def test_a_guest_that_does_not_let_go_is_stopped_first(clean: Cloud) -> None:
    """The test guest never answers an unplug. The task says so; a stop or a reboot still works, and finishes it."""
    cloud = clean
    made = cloud.tasks(task(**{**BOOT, "networks": ["front", "back"]}))
    assert made.returncode == 0, made.output
    stuck = cloud.tasks(task(networks=["front"]))
    assert stuck.last.get("error") == "Timeout", stuck.output
    assert "did not let go" in stuck.last["msg"]
    freed = cloud.tasks(task(state="stopped"), task(state="running"), task(networks=["front"]))
    assert freed.returncode == 0, freed.output
    assert [result["changed"] for result in freed.results] == [True, True, False]
    check_wires(cloud, {"front"}, {"default"})


def test_what_somebody_did_behind_our_back(clean: Cloud) -> None:
    cloud = clean
    made = cloud.tasks(task(**BOOT))
    assert made.returncode == 0, made.output
    host, key = made.last["instance"]["compute_host"], made.last["instance"]["id"]

    cloud.host(host, f"virsh destroy {key}")
    before = cloud.digest()
    listed = {"agentless.cloud.instance_info": {"name": NAME, "query": "[].power_state"}}
    seen = cloud.tasks(task(state="present"), task(state="running"), listed, options=("--check",))
    assert [result["changed"] for result in seen.results] == [False, True, False], seen.output
    assert seen.results[0]["instance"]["power_state"] == "running", "on record, as documented: nobody was asked"
    assert seen.last["instances"] == ["running"]
    assert cloud.digest() == before
    started = cloud.tasks(task(state="present"), task(state="running"), task(state="running"))
    assert [result["changed"] for result in started.results] == [False, True, False], started.output
    assert cloud.domains() == [(host, key)]

    cloud.host(host, f"virsh destroy {key}; virsh undefine {key}")
    lost: Played = cloud.tasks(task(state="running"))
    assert lost.last.get("error") == "BackendFailed", lost.output
    for word in (NAME, host, "no such domain", "state: absent"):
        assert word in lost.last["msg"]
    gone = cloud.tasks(task(state="absent"), task(state="absent"))
    assert gone.returncode == 0, gone.output
    assert [result["changed"] for result in gone.results] == [True, False]
    assert cloud.left_over() == {}
