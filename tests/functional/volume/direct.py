# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One test host that stores volumes and runs guests on them by QEMU's own clients, and what every backend has to do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from agentless_lab import lab
from agentless_lab.system import PREREQUISITES, LabError, require

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import VolumeDisk
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from tests.functional.compute.machine import STORE, TREE, Machine

SECRET = "canary-secret-7Qx"
BACKEND = "b1"
FILES = "/srv/files"
RUN = "from ansible_collections.agentless.cloud.plugins.modules.volume_backend import main; main()"


def login(volume_id: str) -> dict[str, Any]:
    """How the controller has a volume's readers log in."""
    return orders.Loaded({"id": volume_id, "secret": SECRET}, None).login


class Site(Machine):
    """The host, with one backend."""

    def install(self, *packages: str) -> None:
        """Install from the repository that the host carries, starting nothing."""
        off = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
        wanted = " ".join(packages)
        apt = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends {wanted} >/dev/null"
        self.shell(f"{off}; apt-get update -qq && {apt}; code=$?; rm /usr/sbin/policy-rc.d; exit $code")

    def offer(self, **options: Any) -> None:
        """Write what the role would; another backend of files stands beside it."""
        backends = {BACKEND: options, "files": {"driver": "nfs", "path": FILES, "server": self.host.address}}
        told = {"backends": backends, "portal": f"{self.host.address}:3260", "iqn": "iqn.2026-01.cloud.agentless"}
        write = f"umask 077; mkdir -p {FILES}; cat > /etc/agentless/volume.json"
        self.shell(write, stdin=json.dumps(told).encode())

    def ask(self, op: str, volume_id: str, **more: Any) -> dict[str, Any]:
        """The result of one operation of the storage host."""
        call = self.command([{"op": op, "id": volume_id, "backend": BACKEND, **more}])
        line = f"PYTHONPATH={TREE} python3 -c '{RUN}'"
        done = subprocess.run([*lab.ssh(self.host), line], input=call, capture_output=True, check=False)
        assert done.stdout.strip(), f"it ended with {done.returncode}, saying {done.stderr.decode()[-4000:]}"
        reply = json.loads(done.stdout)
        assert "results" in reply, reply
        return dict(reply["results"][0])

    def must(self, op: str, volume_id: str, **more: Any) -> dict[str, Any]:
        """The same, which must succeed."""
        result = self.ask(op, volume_id, **more)
        assert result["ok"], result
        return result

    def login(self, volume_id: str, host: str | None = None) -> dict[str, Any]:
        """How the volume is exported to a host, by default this one."""
        return {"initiator": host or self.initiator(), **login(volume_id)}

    def initiator(self) -> str:
        """The name of this host."""
        return str(self.run([{"op": "discover"}])[0]["initiator"])

    def plug(self, guest: str, volume_id: str, device: str = "vdc") -> dict[str, Any]:
        """Export the volume to this host and attach it."""
        source = self.must("export", volume_id, **self.login(volume_id))
        source = {name: value for name, value in source.items() if name not in ("ok", "changed")}
        described = {"id": volume_id, "serial": volume_id, "device": device, "source": source}
        self.one("attach_volume", guest, volume={**described, **login(volume_id)})
        return source

    def unplug(self, guest: str, volume_id: str) -> None:
        """Detach it, and close the export."""
        assert self.one("detach_volume", guest, volume={"id": volume_id})["released"]
        self.must("unexport", volume_id, initiator=self.initiator())

    def guest(self) -> str:
        """A guest that is ready."""
        spec = self.spec("vol")
        assert self.run([self.spawn(spec)])[0]["ok"]
        self.ready(spec.id)
        return spec.id


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """A host of its own."""
    try:
        require(PREREQUISITES)
    except LabError as error:
        pytest.skip(str(error))
    name = f"direct{os.getpid()}"
    lab.up(lab.Plan(name=name, hosts=("c1",)), timeout=60)
    try:
        made = Site(name)
        made.prepare()
        yield made
    finally:
        lab.down(name)


def write(host: Site, guest: str, text: str, device: str = "vdc") -> None:
    """Have the guest write to the first sector."""
    host.talk(guest, f"echo {text} | dd of=/dev/{device} bs=512 conv=sync,fsync 2>/dev/null")


def read(host: Site, guest: str, device: str = "vdc") -> str:
    """What the guest finds in the first megabyte, without the zeros."""
    return host.talk(guest, f"dd if=/dev/{device} bs=64k count=16 2>/dev/null | tr -d '\\0'").strip()


def life(host: Site, guest: str) -> None:
    """Made, written, kept, grown while attached, cloned, deleted; twice is once, and the next one reads zeros."""
    ids = [str(uuid.uuid4()) for _each in range(4)]
    try:
        _life(host, guest, *ids)
    except BaseException:
        _tidy(host, guest, *ids)
        raise


def _tidy(host: Site, guest: str, key: str, snapshot: str, *others: str) -> None:
    """Take away what a failed test left, so that the next ones do not fail of it."""
    for each in (key, *others):
        host.run([{"op": "detach_volume", "id": guest, "volume": {"id": each}}])
        host.ask("unexport", each)
    host.ask("snapshot_absent", snapshot, volume=key)
    for each in (*others, key):
        host.ask("delete", each)


def _life(host: Site, guest: str, key: str, snapshot: str, clone: str, following: str) -> None:
    secrets = host.shell("virsh -q secret-list")
    assert [host.must("create", key, size=1)["changed"] for _turn in range(2)] == [True, False]
    host.plug(guest, key)
    assert host.must("export", key, **host.login(key))["changed"] is False
    assert key[:20] in host.talk(guest, "cat /sys/block/vdc/serial")
    assert read(host, guest) == ""
    write(host, guest, "first")
    assert [host.must("snapshot", snapshot, volume=key)["changed"] for _turn in range(2)] == [True, False]
    write(host, guest, "second")
    assert [host.must("extend", key, size=2)["changed"] for _turn in range(2)] == [True, False]
    assert host.one("resize_volume", guest, volume={"id": key, "size": 2})["changed"] is True
    assert "4194304" in host.talk(guest, "cat /sys/block/vdc/size")
    assert read(host, guest) == "second"

    assert host.must("create", clone, size=2, source={"snapshot": snapshot})["changed"]
    host.plug(guest, clone, "vdd")
    assert read(host, guest, "vdd") == "first"
    write(host, guest, "third", "vdd")
    assert (read(host, guest), read(host, guest, "vdd")) == ("second", "third")
    text = host.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /etc/libvirt/qemu/*.xml; journalctl --no-pager")
    assert SECRET not in text

    for each in (clone, key):
        host.unplug(guest, each)
    assert [host.must("snapshot_absent", snapshot, volume=key)["changed"] for _turn in range(2)] == [True, False]
    assert [host.must("delete", key)["changed"] for _turn in range(2)] == [True, False]
    key = following
    assert host.must("create", key, size=1)["changed"]
    host.plug(guest, key)
    host.plug(guest, clone, "vdd")
    found = (read(host, guest), read(host, guest, "vdd"))
    assert found == ("", "third"), found
    for each in (clone, key):
        host.unplug(guest, each)
        host.must("delete", each)
    assert host.shell("virsh -q secret-list") == secrets


def image(host: Site) -> dict[str, Any]:
    """The source of a volume that is made of the guest image."""
    found = host.spec().disks[0].image
    assert found is not None
    about = {"checksum": found.checksum, "format": found.format, "url": found.url, "size": found.size}
    return {"image": about}


def booted(host: Site) -> tuple[str, str]:
    """A guest that is ready, and its only disk: a volume made from an image."""
    key = str(uuid.uuid4())
    host.must("create", key, size=1, source=image(host))
    source = host.must("export", key, **host.login(key))
    source = {name: value for name, value in source.items() if name not in ("ok", "changed")}
    disk = VolumeDisk(key, "vda", source, **login(key), boot_index=0)
    spec = host.spec("booted", disks=(), volumes=(disk,))
    made = host.run([host.spawn(spec)])[0]
    assert made["ok"], made
    host.ready(spec.id)
    return spec.id, key


def keeps(host: Site, guest: str, *, off: bool) -> None:
    """What it writes to that disk is there; also when it was off, which takes another boot."""
    host.talk(guest, "echo mine | dd of=/dev/vda bs=1M seek=100 conv=sync,fsync 2>/dev/null")
    if off:
        host.one("stop", guest, hard=True)
        host.one("start", guest)
        host.ready(guest)
    assert "mine" in host.talk(guest, "dd if=/dev/vda bs=1M skip=100 count=1 2>/dev/null | head -c 9")


def from_image(host: Site) -> None:
    """An image becomes a volume, and another backend has it whole by what the volume's export said."""
    key, copy = str(uuid.uuid4()), str(uuid.uuid4())
    host.must("create", key, size=1, source=image(host))
    assert host.must("inspect", key)["size"] == 1 << 30
    shown = {"export": host.must("export", key, **host.login(key)), **login(key)}
    host.must("create", copy, size=1, source=shown, backend="files")
    host.shell(f"qemu-img compare -f qcow2 -F raw {STORE}/{host.digest} {FILES}/volume-{copy}")
    host.must("unexport", key)
    host.must("delete", copy, backend="files")
    host.must("delete", key)


def shut_out(host: Site, guest: str) -> None:
    """A guest whose host lost the volume writes no more, at once, though it has the volume open."""
    key = str(uuid.uuid4())
    host.must("create", key, size=1)
    host.plug(guest, key)
    write(host, guest, "mine")
    assert host.must("export", key, **host.login(key, "iqn.2026-01.cloud.agentless:other"))["changed"]
    host.talk(guest, "echo late | dd of=/dev/vdc bs=512 conv=sync,fsync 2>/dev/null; true")
    other = host.must("unexport", key, initiator=host.initiator())
    assert other["changed"] is False, "it is the other host's now"
    host.must("unexport", key)
    host.one("detach_volume", guest, volume={"id": key})
    host.plug(guest, key)
    assert read(host, guest) == "mine"
    host.unplug(guest, key)
    host.must("delete", key)
