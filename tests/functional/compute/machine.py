# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One test host with libvirtd, and the compute backend run on it as Ansible would run it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ansible
from agentless_lab import console, guest, lab

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hardware, seed
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import Disk, DomainSpec, Image, Nic

CHECKOUT = Path(__file__).resolve().parents[3]
TREE = "/opt/agentless-tree"
STATE = "/var/lib/agentless"
STORE = "/srv/image-store"
STORE_PORT = 8480
KILLED = 255  # what ssh says of a command that died of a signal
HALT = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp to hlt

# Runs the real module; KILL_BEFORE names the effect (or the block of a download) before which it dies.
DRIVER = """
import os, signal
from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.compute import images
from ansible_collections.agentless.cloud.plugins.modules import compute_backend

def effect(self, name):
    if name == os.environ.get("KILL_BEFORE"):
        os.kill(os.getpid(), signal.SIGKILL)

def write(handle, block, write=images._write):
    write(handle, block)
    effect(None, "second block")

backend.Context.effect = effect
images._write = write
compute_backend.main()
"""

# Serves images as a store does; its certificate is its own authority.
SERVER = """
import functools, http.server, ssl, sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/agentless/ca.pem", "/run/image-store.key")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
server = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class Machine:
    """The host of these tests."""

    def __init__(self, name: str) -> None:
        self.host = lab.find(name, "c1")
        self.identity: str | None = None
        self.kept: str | None = None  # the instance that the next test uses again
        self._generation = 0

    def shell(self, text: str, *, check: bool = True, stdin: bytes | None = None) -> str:
        """The output of a shell line on the host."""
        done = subprocess.run([*lab.ssh(self.host), text], input=stdin, capture_output=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{text}: {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()

    def prepare(self) -> None:
        """Ship the backend and the guest image, and start what a role would start."""
        self.shell(f"mkdir -p {TREE} {STORE} && tar -xf - -C {TREE}", stdin=_tree())
        content = Path(guest.image()).read_bytes()
        self.digest = hashlib.sha256(content).hexdigest()
        self.size = len(content)
        self.shell(f"cat > {STORE}/{self.digest}", stdin=content)
        # A guest that halts in its boot sector costs nothing; what follows makes the file more than one block long.
        made = f"cd {STORE} && cat > raw && qemu-img convert -f raw -O qcow2 raw halt && rm raw && sha256sum halt"
        self.halt = self.shell(f"{made} && stat -c %s halt", stdin=HALT + os.urandom(3 << 20)).split()[::2]
        self.shell(f"mv {STORE}/halt {STORE}/{self.halt[0]}; systemctl start libvirtd")
        self.shell(
            "mkdir -p /etc/agentless && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            "-subj /CN=store -addext subjectAltName=IP:127.0.0.1 "
            "-keyout /run/image-store.key -out /etc/agentless/ca.pem 2>/dev/null"
        )
        self.shell("cat > /run/image-store.py", stdin=SERVER.encode())
        self.shell(
            f"systemd-run --quiet --unit=image-store -p StandardError=truncate:/run/image-store.log "
            f"python3 -u /run/image-store.py {STORE_PORT} {STORE}"
        )
        self.identity = self.run([{"op": "discover"}])[0]["identity"]

    def command(self, operations: Sequence[dict[str, Any]]) -> bytes:
        """The arguments of the module for these operations; each gets a later generation than any before."""
        self._generation += 1
        listed = [{"generation": self._generation, **op} if "id" in op else op for op in operations]
        return json.dumps({"ANSIBLE_MODULE_ARGS": {"identity": self.identity, "payload": json.dumps(listed)}}).encode()

    def start(self, operations: Sequence[dict[str, Any]], kill_before: str = "") -> subprocess.Popen[bytes]:
        """Begin a call to the backend; see :meth:`finish`."""
        line = f"KILL_BEFORE={shlex.quote(kill_before)} PYTHONPATH={TREE} exec python3 {TREE}/driver.py"
        process = subprocess.Popen(
            [*lab.ssh(self.host), line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if process.stdin is None:
            raise AssertionError("no pipe")
        process.stdin.write(self.command(operations))
        process.stdin.close()
        process.stdin = None
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        """The results of a call that was begun; none when it was killed."""
        out, err = process.communicate(timeout=300)
        if process.returncode == KILLED:
            return []
        if not out.strip():
            raise AssertionError(err.decode()[-2000:])
        reply = json.loads(out)
        if reply.get("failed"):
            raise AssertionError(f"{reply} {err.decode()}")
        return list(reply["results"])

    def run(self, operations: Sequence[dict[str, Any]], kill_before: str = "") -> list[dict[str, Any]]:
        """The results of one call to the backend; none when it was killed."""
        return self.finish(self.start(operations, kill_before))

    def one(self, op: str, instance_id: str, **more: Any) -> dict[str, Any]:
        """The result of one operation, which must succeed."""
        result = self.run([{"op": op, "id": instance_id, **more}])[0]
        assert result["ok"], result
        return result

    def spawn(self, spec: DomainSpec, **more: Any) -> dict[str, Any]:
        """The operation that makes an instance of this spec."""
        nics = [seed.Nic(nic.mac, nic.mtu, (f"10.0.0.{place + 5}/24",)) for place, nic in enumerate(spec.nics)]
        texts = seed.files(instance_id=spec.id, hostname=spec.name, userdata="#cloud-config\n{}\n", nics=nics)
        operation = hardware.spawn_operation(spec, generation=0, seed=texts if spec.seed else None)
        del operation["generation"]
        return {**operation, **more}

    def spec(self, name: str = "guest", *, halts: bool = False, **more: Any) -> DomainSpec:
        """A small instance of the guest image, or of one that halts as soon as it starts."""
        digest, size = (self.halt[0], int(self.halt[1])) if halts else (self.digest, self.size)
        image = Image(f"sha256:{digest}", "qcow2", f"https://127.0.0.1:{STORE_PORT}/{digest}", size)
        plain = DomainSpec(
            id=str(uuid.uuid4()),
            name=name,
            project="default",
            vcpus=1,
            ram=128,
            disks=(Disk(size=1, image=image),),
            seed=True,
        )
        return dataclasses.replace(plain, **more)

    def nic(self, number: int) -> Nic:
        """An interface on the test's own bridge."""
        return Nic(f"fa:16:3e:00:00:{number:02x}", str(uuid.uuid4()), "internal", 1442)

    def downloads(self, digest: str) -> int:
        """How often an image was fetched."""
        return self.shell("cat /run/image-store.log").count(f"GET /{digest}")

    def ready(self, instance_id: str) -> None:
        """Wait for the guest's prompt: on the host, since a call to the backend costs what a guest's boot needs."""
        log = f"{STATE}/instances/{instance_id}/console.log"
        self.shell(
            f"timeout 240 sh -c 'until grep -qs GUEST-READY {log}; do sleep 0.2; done' || (tail {log} >&2; false)"
        )

    def talk(self, instance_id: str, command: str) -> str:
        """The output of a command in the guest, through the serial console."""
        code, output = console.run_in_guest(lab.ssh(self.host), instance_id, command, timeout=60)
        assert code == 0, output
        return output

    def bridge(self) -> None:
        """Have the integration bridge, with nobody who wires its ports."""
        self.shell("systemctl start openvswitch-switch; ovs-vsctl --may-exist add-br br-int")
        self.shell("ovs-vsctl set bridge br-int datapath_type=netdev")

    def tidy(self) -> None:
        """Leave nothing of instances on the host but the one that is kept, whatever became of them."""
        kept, image = (self.kept, self.digest) if self.kept else ("-", "-")
        gone = "virsh destroy $d; virsh undefine --nvram --managed-save $d"
        self.shell(
            f"for d in $(virsh list --all --uuid | grep -vx -e {kept}); do {gone}; done;"
            f"find {STATE}/instances -mindepth 1 -maxdepth 1 ! -name {kept} -exec rm -rf {{}} +;"
            f"find {STATE}/images -type f ! -name {image} -delete; : > /run/image-store.log",
            check=False,
        )

    def remains(self) -> str:
        """Everything of instances that there is on the host, in one text; empty when there is nothing."""
        return self.shell(
            f"virsh list --all --name; ls -A {STATE}/instances 2>/dev/null; ls /etc/libvirt/qemu | grep -v networks;"
            "cd /var/lib/libvirt/qemu; ls -A /run/libvirt/qemu save nvram snapshot channel/target 2>/dev/null |"
            "grep -E '^(domain-)?[0-9]*-?[0-9a-f]{8}-';"
            f"find {STATE} -name '*.part' -o -name '*.new'; pgrep -a qemu-system; true"
        ).strip()


def _tree() -> bytes:
    """What Ansible would ship: the host's half of the collection and ansible-core's module utilities."""
    out = io.BytesIO()
    ours = "ansible_collections/agentless/cloud/plugins"
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("module_utils", "modules"):
            tar.add(CHECKOUT / "plugins" / name, f"{ours}/{name}", filter=_source)
        tar.add(Path(ansible.__file__).parent / "module_utils", "ansible/module_utils", filter=_source)
        for name, content in (("driver.py", DRIVER), ("ansible/__init__.py", "")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return out.getvalue()


def _source(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith("__pycache__") else entry
