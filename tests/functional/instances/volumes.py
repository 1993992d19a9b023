# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cloud with volumes: a whole machine with LVM and the kernel's target stores them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from .cloud import LAB, Cloud

STORAGE = "vol1"
BACKENDS = [
    {"name": "lvm1", "driver": "lvm", "devices": ["/dev/vdb"], "allocation_ratio": 4.0},
    {"name": "files", "driver": "file", "path": "/srv/volumes"},
]


class Site(Cloud):
    """Hosts, inventory and database."""

    GROUPS = (*Cloud.GROUPS, f"cloud_volume={STORAGE}")
    MORE_HOSTS = (
        *("--machine", STORAGE, "--disk", f"{STORAGE}=4G"),
        *("--var", f"{STORAGE}:volume_backends={json.dumps(BACKENDS)}"),
    )

    def furniture(self) -> list[dict[str, Any]]:
        """Also a guest that boots, a flavor that it fits into, and types of volumes."""
        found = subprocess.run([LAB, "guest-image"], check=True, capture_output=True, text=True).stdout.split()[-1]
        return [
            *super().furniture(),
            {"agentless.cloud.image": {"name": "tiny", "filename": found, "disk_format": "qcow2"}},
            {"agentless.cloud.flavor": {"name": "small", "vcpus": 1, "ram": 128, "disk": 1}},
            {"agentless.cloud.volume_type": {"name": "fast", "backend": "lvm1"}},
            {"agentless.cloud.volume_type": {"name": "slow", "backend": "files", "qos": {"total_iops_sec": 2000}}},
        ]

    def guest(self, instance: dict[str, Any], line: str) -> str:
        """What a line prints that is typed at the guest's console."""
        where = [self.name, instance["compute_host"], instance["id"]]
        done = subprocess.run([LAB, "console-run", *where, line], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ready(self, instance: dict[str, Any]) -> None:
        """Wait for the guest's prompt."""
        log = f"/var/lib/agentless/instances/{instance['id']}/console.log"
        wait = f"timeout 240 sh -c 'until grep -q GUEST-READY {log}; do sleep 0.3; done' || tail {log}"
        assert self.host(instance["compute_host"], wait) == "", "the guest does not come up"

    def let_in(self) -> dict[str, list[str]]:
        """Who is let in to each volume: the names of initiators, by the volume's id, as the machine would boot with."""
        line = "ls /sys/kernel/config/target/iscsi; echo --; cat /etc/rtslib-fb-target/saveconfig.json || echo '{}'"
        now, kept = self.host(STORAGE, line).split("--\n")
        live, saved = re.findall(r"volume-([0-9a-f-]{36})$", now, re.MULTILINE), json.loads(kept)
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

    def looks(self, host: str) -> dict[str, str]:
        """Also the secrets by which guests log in to volumes."""
        return {**super().looks(host), "secrets": "virsh -q secret-list"}

    def left_over(self) -> dict[str, Any]:
        """Everything of instances and of their way to volumes; empty when nothing is left."""
        found = {
            **super().left_over(),
            "targets": self.let_in(),
            "attachments": self.ask("SELECT * FROM volume_attachments"),
        }
        return {key: value for key, value in found.items() if value}

    def volumes(self) -> dict[str, str]:
        """The status of each volume by name; what the storage host has agrees."""
        listed = f"lvs --noheadings -o lv_name; ls {BACKENDS[1]['path']}"
        stored = re.findall(r"volume-([0-9a-f-]{36})", self.host(STORAGE, listed))
        rows = self.ask("SELECT id, name, status FROM volumes ORDER BY name")
        assert sorted(stored) == sorted(row[0] for row in rows)
        return {name: status for _id, name, status in rows}
