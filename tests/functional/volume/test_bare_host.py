# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with hardly a package on it becomes a storage host by the role alone.

Every run: a container, with the drivers that are clients of a cluster. A long one: a machine, with every driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from agentless_lab import lab, machine
from agentless_lab.system import PREREQUISITES, LabError, require

from tests.functional.conductor.world import FIGURES

pytestmark = [pytest.mark.lab, pytest.mark.slow]
CLUSTERS = [
    {"name": "ceph1", "driver": "rbd", "pool": "volumes", "user": "agentless"},
    {"name": "gluster1", "driver": "gluster", "volume": "volumes", "servers": ["192.0.2.1", "192.0.2.2"]},
]
OWN = [
    {"name": "lvm1", "driver": "lvm", "devices": ["/dev/vdb"]},
    {"name": "files", "driver": "file", "path": "/srv/volumes"},
    {"name": "shared", "driver": "nfs", "path": "/srv/nfs"},
]
OF_CLUSTERS = ["glusterfs", "nft", "qemu-img", "rados"]
OF_OWN = ["exportfs", "lvs", "targetcli", "thin_check"]
PORTS = [22, 2049, 3260, 20048]
RECAP = re.compile(r"vol1 +: ok=(\d+) +changed=(\d+) +unreachable=0 +failed=0 ")


@contextlib.contextmanager
def bare(disks: dict[str, tuple[str, ...]], *others: str) -> Iterator[Path]:
    """The inventory of a host, which is a machine with the distribution's own kernel where it has disks."""
    try:
        require(PREREQUISITES)
    except LabError as error:
        pytest.skip(str(error))
    name = f"bare{os.getpid()}"
    try:
        plan = lab.Plan(
            name=name,
            hosts=("vol1", *others),
            flavor="bare",
            machines=disks,
            machine_kind=machine.QEMU if disks else None,
        )
        yield lab.up(plan, timeout=120)
    finally:
        lab.down(name)


def run(inventory: Path, place: Path, backends: list[dict[str, Any]]) -> tuple[int, str]:
    """How many tasks of the roles changed something, and what was said."""
    roles = [{"role": f"agentless.cloud.{name}"} for name in ("common", "ca", "volume")]
    settings = {"volume_backends": backends, "volume_more_clients": ["10.213.255.1", "10.213.255.2"]}
    return played(inventory, place, {"vars": settings, "roles": roles})


def played(inventory: Path, place: Path, what: dict[str, Any]) -> tuple[int, str]:
    """The same of whatever is to be done on the host."""
    play = {"hosts": "vol1", "gather_facts": True, **what}
    (place / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(place / "play.yml")]
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(place / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
    }
    done = subprocess.run(
        [*argv, "--diff"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    recap = RECAP.search(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert recap, done.stdout
    return int(recap[2]), done.stdout


def shell(inventory: Path, line: str, host: str = "vol1") -> str:
    command = [*lab.ssh(lab.find(inventory.parent.name, host)), line]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def becomes_storage(inventory: Path, place: Path, backends: list[dict[str, Any]], commands: list[str]) -> None:
    """What is missing is there after the first run; the second one changes nothing."""
    missing = f"for each in {' '.join(commands)}; do command -v $each >/dev/null || echo $each; done"
    assert shell(inventory, missing).split() == commands
    assert run(inventory, place, backends)[0] > 5
    assert shell(inventory, missing).split() == []
    told = json.loads(shell(inventory, "cat /etc/agentless/volume.json"))["backends"]
    assert {name: options["driver"] for name, options in told.items()} == {
        each["name"]: each["driver"] for each in backends
    }
    assert told["gluster1"]["servers"] == ["192.0.2.1", "192.0.2.2"]
    assert (told["ceph1"]["pool"], told["ceph1"]["user"]) == ("volumes", "agentless")
    again, said = run(inventory, place, backends)
    assert again == 0, said


def test_a_container_becomes_a_client_of_clusters(tmp_path: Path) -> None:
    """And lets in clients alone by the rules of a host with targets and exports, which need a machine; rules do not."""
    with bare({}, "client", "stranger") as inventory:
        becomes_storage(inventory, tmp_path, CLUSTERS, OF_CLUSTERS)
        listen = f"l = [socket.create_server(('', port)) for port in {PORTS[1:]}]"
        server = f"import socket, time; {listen}; time.sleep(600)"
        shell(inventory, f'nohup python3 -c "{server}" >/dev/null 2>&1 & sleep 1')
        assert reached(inventory) == {"client": PORTS, "stranger": PORTS}
        client = lab.find(inventory.parent.name, "client")
        rules = {"name": "agentless.cloud.volume", "tasks_from": "firewall"}
        settings = {"volume_backends": OWN, "volume_more_clients": [client.address, client.address6]}
        changed, said = played(
            inventory, tmp_path, {"vars": settings, "tasks": [{"ansible.builtin.include_role": rules}]}
        )
        assert changed > 0, said
        assert reached(inventory) == {"client": PORTS, "stranger": [22]}


def reached(inventory: Path) -> dict[str, list[int]]:
    """On which ports each of the others gets an answer from the host."""
    call = 'timeout 3 bash -c "</dev/tcp/vol1/$port" 2>/dev/null && echo $port'
    line = f"for port in {' '.join(map(str, PORTS))}; do {call}; done; true"
    return {each: [int(port) for port in shell(inventory, line, each).split()] for each in ("client", "stranger")}


@pytest.mark.skipif(FIGURES < 2, reason="packages take minutes under emulation: AGENTLESS_FIGURES=2")
def test_a_machine_serves_with_every_driver(tmp_path: Path) -> None:
    with bare({"vol1": ("1G",)}) as inventory:
        becomes_storage(inventory, tmp_path, OWN + CLUSTERS, OF_OWN + OF_CLUSTERS)
