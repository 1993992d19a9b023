# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine that stores volumes and runs guests on them by its own initiator, laid out by the roles.

Nested emulation is slow, so the guest halts at once, and its QEMU is told by libvirt's monitor what to write and read.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.conductor.world import FIGURES
from tests.functional.instances import volumes
from tests.functional.instances.cloud import HALT, LAB, Played

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        FIGURES < 2, reason="packages and nested guests take minutes under emulation: AGENTLESS_FIGURES=2"
    ),
]
MACHINE, SECOND = "kv1", "10.250.0.1"
BACKENDS = [{"name": "lvm1", "driver": "lvm", "devices": ["/dev/vdb"]}]
TYPES = {"twice": "multipath", "once": "host", "direct": "qemu"}


class Site(volumes.Site):
    """One machine for guests and volumes, one container for all else."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.name, self.folder, self.database = "hostside", folder, folder / "cloud.db"
        groups = {**dict.fromkeys(("conductor", "network", "image"), "ctl"), "compute": MACHINE, "volume": MACHINE}
        words = [word for group, host in groups.items() for word in ("--group", f"cloud_{group}={host}")]
        variables = {
            "volume_backends": json.dumps(BACKENDS),
            "volume_more_addresses": json.dumps([SECOND]),
            "volume_more_clients": json.dumps([SECOND]),  # it comes to itself by the address that it goes to
            "compute_host_initiator": "multipath",
        }
        words += [word for name, value in variables.items() for word in ("--var", f"{MACHINE}:{name}={value}")]
        command = [LAB, "up", "--name", self.name, "--flavor", "bare", "--hosts", "ctl", "--machine", MACHINE]
        done = subprocess.run(
            [*command, "--machine-kind", "qemu", "--disk", f"{MACHINE}=4G", "--timeout", "120", *words],
            check=True,
            capture_output=True,
            text=True,
        )
        self.inventory = done.stdout.strip().splitlines()[-1]
        self.host(MACHINE, f"ip address add {SECOND}/32 dev lo")

    def run(self, play: list[dict[str, Any]] | str, *options: str, **environ: str) -> Played:
        """Run a play with what the inventory says alone."""
        return super().run(play, *options, **{"ANSIBLE_PIPELINING": "true", **environ})

    def does(self, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
        """The results of tasks, which must succeed."""
        played = self.tasks(*tasks)
        assert played.returncode == 0, played.output[-4000:]
        return played.results

    def disks(self, guest: str) -> dict[str, tuple[str, str]]:
        """How the guest has its disks: by device the kind and where it comes from."""
        rows = self.host(MACHINE, f"virsh -q domblklist --details {guest}").splitlines()
        return {row.split()[2]: (row.split()[0], row.split()[3]) for row in rows}

    def monitor(self, guest: str, device: str, line: str) -> str:
        """What QEMU says to a line about a disk of the guest."""
        blocks = json.loads(
            self.host(MACHINE, f"""virsh qemu-monitor-command {guest} '{{"execute": "query-block"}}'""")
        )
        about = next(one for one in blocks["return"] if device in one["inserted"]["file"] or device in json.dumps(one))
        said = self.host(MACHINE, f"virsh qemu-monitor-command --hmp {guest} 'qemu-io -d {about['qdev']} \"{line}\"'")
        assert "rror" not in said, said
        return said

    def sessions(self) -> int:
        """How often the machine is logged in to targets."""
        return len(self.host(MACHINE, "iscsiadm -m session 2>/dev/null || true").splitlines())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The cloud, which the playbook lays out twice."""
    folder = tmp_path_factory.mktemp("host")
    try:
        made = Site(folder)
        for _turn in range(2):
            site = made.run("agentless.cloud.site")
            assert site.returncode == 0, site.output[-4000:]
        assert re.search(rf"{MACHINE} +: ok=\d+ +changed=0 ", site.output), site.output[-4000:]
        halt = folder / "halt.raw"
        halt.write_bytes(HALT.ljust(1 << 20, b"\0"))
        made.does(
            {"agentless.cloud.image": {"name": "halt", "filename": str(halt), "disk_format": "raw"}},
            {"agentless.cloud.flavor": {"name": "none", "vcpus": 1, "ram": 128, "disk": 1}},
            {"agentless.cloud.network": {"name": "front", "subnets": [{"name": "v4", "cidr": "10.30.0.0/24"}]}},
            *(
                {"agentless.cloud.volume_type": {"name": name, "backend": "lvm1", "extra_specs": {"connection": way}}}
                for name, way in TYPES.items()
            ),
        )
        yield made
    finally:
        subprocess.run([LAB, "down", "--name", "hostside"], check=False)


def test_guests_on_devices_of_the_host(cloud: Site) -> None:
    """Each type gives the guest what it says; data goes through, volumes grow, and all of it goes without a trace."""
    volumes = [{"agentless.cloud.volume": {"name": name, "size": 1, "volume_type": name}} for name in TYPES]
    boot = {"name": "web", "flavor": "none", "image": "halt", "networks": ["front"], "timeout": 600}
    web = {"agentless.cloud.instance": {**boot, "volumes": list(TYPES)}}
    *_made, first, again = cloud.does(*volumes, web, web)
    assert (first["changed"], again["changed"]) == (True, False)
    guest = first["instance"]
    devices = {row["name"]: row["device"] for row in guest["volumes"]}
    keys = {row["name"]: row["id"] for row in guest["volumes"]}
    disks = cloud.disks(guest["id"])
    assert {name: disks[device][0] for name, device in devices.items()} == {
        "twice": "block",
        "once": "block",
        "direct": "network",
    }
    assert cloud.sessions() == 3, "two ways to one volume and one to another"
    for number, (name, key) in enumerate(keys.items(), 1):
        cloud.monitor(guest["id"], key, f"write -P {number} 1M 64k")
        cloud.monitor(guest["id"], key, "flush")
        block = f"dd if=/dev/agentless/volume-{key} bs=64k skip=16 count=1 iflag=direct status=none"
        assert set(cloud.host(MACHINE, f"{block} | od -An -v -tu1").split()) == {str(number)}, name
    cloud.does(*({"agentless.cloud.volume": {"name": name, "size": 2}} for name in TYPES))
    for device in devices.values():
        assert f"{2 << 30}" in cloud.host(MACHINE, f"virsh domblkinfo {guest['id']} {device}")

    for verb in ("kill", "start"):
        subprocess.run([LAB, verb, cloud.name, MACHINE], check=True, capture_output=True)
    cloud.host(MACHINE, f"ip address add {SECOND}/32 dev lo || true")
    (started,) = cloud.does({"agentless.cloud.instance": {**boot, "state": "running"}})
    assert started["changed"]
    for number, key in enumerate(keys.values(), 1):
        cloud.monitor(guest["id"], key, f"read -P {number} 1M 64k")

    cloud.does({"agentless.cloud.instance": {**boot, "volumes": ["direct"]}})
    assert cloud.sessions() == 0
    *_gone, audit = cloud.does(
        {"agentless.cloud.instance": {"name": "web", "state": "absent"}},
        *({"agentless.cloud.volume": {"name": name, "state": "absent"}} for name in TYPES),
        {"agentless.cloud.audit": {}},
    )
    assert audit["findings"] == []
    left = "ls -A /var/lib/agentless/connections /etc/iscsi/nodes | grep -v :; virsh -q secret-list; multipath -l"
    assert (
        cloud.host(MACHINE, f"({left}; ls /sys/kernel/config/target/iscsi | grep volume) 2>/dev/null; true").split()
        == []
    )
