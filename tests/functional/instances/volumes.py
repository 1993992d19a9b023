# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real cloud with volumes: two compute hosts, and a whole machine with LVM and the kernel's target to store them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from tests.functional.instances.conftest import COMPUTE, HALT, LAB, Cloud, Played

STORAGE = "vol1"
BACKENDS = [
    {"name": "lvm1", "driver": "lvm", "devices": ["/dev/vdb"], "allocation_ratio": 4.0},
    {"name": "files", "driver": "file", "path": "/srv/volumes"},
]


class Site(Cloud):
    """Hosts, inventory and database."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name, self.folder = name, folder
        self.database = folder / "cloud.db"
        groups = [
            "cloud_conductor=k1",
            "cloud_network=k1",
            "cloud_image=k1",
            "cloud_compute=k1,k2",
            "cloud_volume=vol1",
        ]
        arguments = [word for group in groups for word in ("--group", group)]
        machine = ["--hosts", ",".join(COMPUTE), "--machine", STORAGE, "--disk", f"{STORAGE}=4G"]
        command = [LAB, "up", "--name", name, *machine, *arguments]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        self.inventory = made.stdout.strip().splitlines()[-1]

    def run(self, play: list[dict[str, Any]] | str, *options: str, **environ: str) -> Played:
        """Run a play with the backends of the storage host, where each process costs an emulated machine seconds."""
        environ = {"ANSIBLE_PIPELINING": "true", **environ}
        return super().run(play, "-e", json.dumps({"volume_backends": BACKENDS}), *options, **environ)

    def guest(self, instance: dict[str, Any], line: str) -> str:
        """What a line prints that is typed at the guest's console."""
        where = [self.name, instance["compute_host"], instance["id"]]
        done = subprocess.run([LAB, "console-run", *where, line], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ready(self, instance: dict[str, Any]) -> None:
        """Wait for the guest's prompt."""
        log = f"/var/lib/agentless/instances/{instance['id']}/console.log"
        deadline = time.monotonic() + 240
        while "GUEST-READY" not in self.host(instance["compute_host"], f"cat {log}"):
            assert time.monotonic() < deadline, "the guest does not come up"
            time.sleep(1)

    def let_in(self) -> dict[str, list[str]]:
        """Who is let in to each volume: the names of initiators, by the volume's id, as the machine would boot with."""
        saved = json.loads(self.host(STORAGE, "cat /etc/rtslib-fb-target/saveconfig.json 2>/dev/null || echo '{}'"))
        live = re.findall(
            r"volume-([0-9a-f-]{36})$", self.host(STORAGE, "ls /sys/kernel/config/target/iscsi"), re.MULTILINE
        )
        found = {
            target["wwn"].rpartition("volume-")[2]: sorted(acl["node_wwn"] for acl in target["tpgs"][0]["node_acls"])
            for target in saved.get("targets", [])
        }
        assert sorted(found) == sorted(live)
        return found

    def initiator(self, host: str) -> str:
        """By which name a compute host logs in."""
        ((facts,),) = self.ask(f"SELECT facts FROM hosts WHERE name = '{host}'")
        return str(json.loads(facts)["initiator"])

    def left_over(self) -> dict[str, Any]:
        """Everything of instances and of their way to volumes; empty when nothing is left."""
        found = super().left_over()
        for host in COMPUTE:
            found[f"secrets on {host}"] = self.host(host, "virsh -q secret-list").split()
        found["targets"] = self.let_in()
        found["attachments"] = self.ask("SELECT * FROM volume_attachments")
        return {key: value for key, value in found.items() if value}

    def volumes(self) -> dict[str, str]:
        """The status of each volume by name; what the storage host has agrees."""
        listed = f"lvs --noheadings -o lv_name; ls {BACKENDS[1]['path']}"
        stored = re.findall(r"volume-([0-9a-f-]{36})", self.host(STORAGE, listed))
        rows = self.ask("SELECT id, name, status FROM volumes ORDER BY name")
        assert sorted(stored) == sorted(row[0] for row in rows)
        return {name: status for _id, name, status in rows}


@contextlib.contextmanager
def laid_out(folder: pathlib.Path) -> Iterator[Site]:
    """The cloud with images, a flavor, a network and volume types."""
    name = f"ivol{os.getpid()}"
    try:
        made = Site(name, folder)
        prepare(made)
        yield made
    finally:
        subprocess.run([LAB, "down", "--name", name], check=False)


def prepare(made: Site) -> None:
    """Lay out hosts that are up."""
    site = made.run("agentless.cloud.site")
    assert site.returncode == 0, site.output[-4000:]
    guest = subprocess.run([LAB, "guest-image"], check=True, capture_output=True, text=True).stdout.split()[-1]
    halt = made.folder / "halt.raw"
    halt.write_bytes(HALT.ljust(1 << 20, b"\0"))
    played = made.tasks(
        {"agentless.cloud.image": {"name": "tiny", "filename": guest, "disk_format": "qcow2"}},
        {"agentless.cloud.image": {"name": "halt", "filename": str(halt), "disk_format": "raw"}},
        {"agentless.cloud.flavor": {"name": "none", "vcpus": 1, "ram": 128, "disk": 1}},
        {"agentless.cloud.network": {"name": "front", "subnets": [{"name": "v4", "cidr": "10.30.0.0/24"}]}},
        {"agentless.cloud.volume_type": {"name": "fast", "backend": "lvm1"}},
        {"agentless.cloud.volume_type": {"name": "slow", "backend": "files", "qos": {"total_iops_sec": 2000}}},
        {"agentless.cloud.host": {"name": "k1", "allocation_ratios": {"cpu": 32.0}}},
        {"agentless.cloud.host": {"name": "k2", "allocation_ratios": {"cpu": 32.0}}},
    )
    assert played.returncode == 0, played.output[-4000:]
