# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage host that is a whole machine, with LVM and the kernel's target, and another host that comes to it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from agentless_lab import lab
from agentless_lab import machine as machines
from agentless_lab.system import PREREQUISITES, LabError, require

from tests.functional.compute import machine
from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct

INITIATOR = "iqn.2026-01.cloud.agentless:one"
OTHER = "iqn.2026-01.cloud.agentless:two"
SET_UP = """
modprobe -a dm_thin_pool target_core_mod target_core_iblock target_core_file iscsi_target_mod
vgcreate -qq thin /dev/vdb && vgcreate -qq thick /dev/vdc && mkdir -p /srv/files /etc/agentless
lvcreate -qq -y --type thin-pool --zero y -L 1G -n pool thin
systemctl start dm-event.socket rtslib-fb-targetctl
"""
BACKENDS = {
    "b1": {"driver": "lvm", "vg": "thin", "pool": "pool", "thin": True},
    "thick": {"driver": "lvm", "vg": "thick", "thin": False},
    "files": {"driver": "file", "path": "/srv/files"},
}


class Storage(direct.Site):
    """The machine, and the host that is its client."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.client, self.host = self.host, lab.find(name, "vol1")

    def prepare(self) -> None:
        """Ship the backend and set up what a role would."""
        self.shell(f"mkdir -p {machine.TREE} && tar -xf - -C {machine.TREE}", stdin=machine._tree())
        self.shell(SET_UP)
        self.configure()
        self.shell(f"cat > {machine.TREE}/on_host.py", stdin=Path(__file__).with_name("on_host.py").read_bytes())
        line = f"PYTHONPATH={machine.TREE} exec python3 -u {machine.TREE}/on_host.py"
        self.talker = subprocess.Popen([*lab.ssh(self.host), line], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        (found,) = self.call([{"op": "discover"}])
        assert (found["broken"], len(found["backends"])) == ({}, len(BACKENDS))

    def configure(self, portals: Sequence[str] = (), **more: Any) -> None:
        """Offer the backends, and perhaps more of them, at portals of their own; every call reads it anew."""
        told = {
            "backends": {**BACKENDS, **more},
            "portal": f"{self.host.address}:3260",
            "portals": list(portals),
            "iqn": "iqn.2026-01.cloud.agentless",
        }
        self.shell("umask 077; cat > /etc/agentless/volume.json", stdin=json.dumps(told).encode())

    def asked(self, line: dict[str, Any]) -> Any:
        """What the host answers to one line."""
        if self.talker.stdin is None or self.talker.stdout is None:
            raise AssertionError("no pipe")
        self.talker.stdin.write(json.dumps(line).encode() + b"\n")
        self.talker.stdin.flush()
        return json.loads(self.talker.stdout.readline())

    def call(self, operations: list[dict[str, Any]], check: bool = False) -> list[dict[str, Any]]:
        """The results of one call."""
        return list(self.asked({"operations": operations, "check": check}))

    def ask(self, op: str, volume_id: str, **more: Any) -> dict[str, Any]:
        """The result of one operation, on the thin backend unless another is named."""
        return self.call([{"op": op, "id": volume_id, "backend": "b1", **more}])[0]

    def login(self, volume_id: str, host: str | None = None) -> dict[str, Any]:
        """How a volume is exported to the client."""
        return {"initiator": host or INITIATOR, **direct.login(volume_id)}

    def io(self, export: dict[str, Any], command: str, **login: Any) -> subprocess.CompletedProcess[bytes]:
        """One command of qemu-io on the client."""
        about = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": export["portal"],
            "target": export["iqn"],
            "lun": export["lun"],
            "initiator-name": INITIATOR,
            "user": f"volume-{export['iqn'].partition('volume-')[2]}",
            "password": direct.SECRET,
            **login,
        }
        opened = json.dumps({"driver": "raw", "file": {k: v for k, v in about.items() if v is not None}})
        line = f"timeout 100 qemu-io -c '{command}' 'json:{opened}'"
        return subprocess.run([*lab.ssh(self.client), line], capture_output=True, check=False)

    def does(self, export: dict[str, Any], command: str) -> None:
        """The same, which must succeed."""
        done = self.io(export, command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert b"failed" not in done.stdout, done.stdout

    def left(self) -> str:
        """Volumes and targets of this host."""
        return self.shell(
            "lvs --noheadings -o lv_name -S 'lv_role!=private' | grep -e - ; ls /srv/files; "
            "ls /sys/kernel/config/target/iscsi | grep volume; grep volume /etc/rtslib-fb-target/saveconfig.json",
            check=False,
        )


@contextlib.contextmanager
def storage() -> Iterator[Storage]:
    """The machine and its client. In a long run it has the distribution's own kernel, unless another is asked for."""
    try:
        require(PREREQUISITES)
    except LabError as error:
        pytest.skip(str(error))
    name = f"storage{os.getpid()}"
    try:
        kind = machines.QEMU if FIGURES > 1 and not os.environ.get(machines.VARIABLE) else None
        plan = lab.Plan(name=name, hosts=("c1", "vol1"), machines={"vol1": ("3G", "3G")}, machine_kind=kind)
        lab.up(plan, timeout=180)
        made = Storage(name)
        made.prepare()
        yield made
        made.talker.terminate()
    finally:
        lab.down(name)
