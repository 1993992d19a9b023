# SPDX-License-Identifier: GPL-3.0-or-later
"""One test host: its files, its boot, its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import stat
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentless_lab import cgroups, counting, kvm, machine, network
from agentless_lab.machine import Machine
from agentless_lab.recipe import REPOSITORY
from agentless_lab.system import LabError, run, write

PATIENCE = 30.0  # seconds for the greeting of an SSH server that took the call
SHORTEST, GROWTH, LONGEST = 0.05, 1.2, 0.5  # seconds between two calls, which become rarer
DEVICES = ("/dev/net/tun", "/dev/vhost-net", "/dev/fuse")  # and the one of KVM, where guests boot under it


@dataclass(frozen=True)
class Host:
    """Where a host lives and how it is reached."""

    lab: str
    name: str
    number: int
    index: int
    directory: Path
    machine: Machine | None = None

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return str(network.subnet(self.number)[network.FIRST_HOST + self.index])

    @property
    def address6(self) -> str:
        """Its IPv6 address."""
        return str(network.subnet6(self.number)[network.FIRST_HOST + self.index])

    @property
    def group(self) -> str:
        """Its control group."""
        return cgroups.name(self.lab, self.name)

    @property
    def upper(self) -> Path:
        """What it has written over the cached tree."""
        return self.directory / "upper"

    def running(self) -> bool:
        """Whether any process of it is alive."""
        return bool(cgroups.processes(self.group))


def prepare(host: Host, *, hosts_file: str, authorized_key: str) -> str:
    """Write what makes this host itself over the cached tree; return its public host key."""
    upper = host.upper
    for directory in ("work", "root"):
        (host.directory / directory).mkdir(parents=True, exist_ok=True)
    write(upper / "etc/hostname", f"{host.name}\n")
    write(upper / "etc/hosts", hosts_file)
    write(upper / "etc/machine-id", uuid.uuid4().hex + "\n", mode=0o444)
    write(upper / "root/.ssh/authorized_keys", authorized_key, mode=0o600)
    (upper / "root").chmod(0o700)
    (upper / "root/.ssh").chmod(0o700)
    write(upper / "etc/systemd/network/10-host0.network", _network_unit(host))
    key = upper / "etc/ssh/ssh_host_ed25519_key"
    key.parent.mkdir(parents=True, exist_ok=True)
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", key])
    return " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])


def start(host: Host, *, tree: Path, pool: Path) -> int | None:
    """Boot a host and return its process, or nothing where it ran; `stop` finds it by its control group."""
    if host.machine:
        return machine.start(host, host.machine)
    if host.running():
        return None
    cgroups.destroy(host.group)
    root = host.directory / "root"
    label = f"agl{host.number}-{host.index}"
    # The kernel takes the cable of a dead host away in its own time.
    network.unplug(f"vb-{label}")
    argv = [
        "systemd-nspawn",
        "--quiet",
        "--settings=no",
        f"--directory={root}",
        f"--machine={label}",
        f"--hostname={host.name}",
        f"--network-bridge={network.bridge(host.number)}",
        "--register=no",
        "--keep-unit",
        "--capability=all",
        "--system-call-filter=open_by_handle_at",  # an NFS server in user space opens files by it
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=pipe",
        f"--bind-ro={pool}:{REPOSITORY}",
    ]
    devices = [*DEVICES, os.fspath(kvm.DEVICE)] if kvm.works() else DEVICES
    argv += [f"--bind={_node(host, device)}:{device}" for device in devices if os.path.exists(device)]
    spec: dict[str, Any] = {
        "groups": [os.fspath(group) for group in cgroups.create(host.group)],
        "overlay": f"lowerdir={tree},upperdir={host.upper},workdir={host.directory / 'work'}",
        "root": os.fspath(root),
        "tap": None,
        "processor": None,
        "environment": {},
        "argv": [*argv, "--boot"],
    }
    write(host.directory / "boot.json", json.dumps(spec, indent=2))
    counting.count("host")
    with open(host.directory / "console.log", "ab") as console:
        return subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                sys.executable,
                "-I",
                "-S",
                os.fspath(Path(__file__).with_name("boot.py")),
                os.fspath(host.directory / "boot.json"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        ).pid


def wait(host: Host, *, timeout: float, process: int | None = None) -> None:
    """Return when SSH answers; say how the boot ended when it does not.

    In between it sleeps: a look at the control groups costs more than the boot of a small host when there are many.

    :param process: what was started; without it the host ran already.
    """
    deadline = time.monotonic() + timeout
    pause = SHORTEST
    with contextlib.ExitStack() as stack:
        try:
            found = process if process is not None else cgroups.oldest(host.group)
            if found is None:
                raise ProcessLookupError
            watch = stack.enter_context(cgroups.Watch(found))
        except ProcessLookupError:  # it has ended already
            deadline = 0
        while time.monotonic() < deadline:
            began = time.monotonic()
            if _greets(host, watch, deadline):
                return
            if not watch.wait(pause - (time.monotonic() - began)):
                if not host.running():
                    break
                time.sleep(pause)
            pause = min(pause * GROWTH, LONGEST)
    log = (host.directory / "console.log").read_text(encoding="utf-8", errors="replace")
    raise LabError(f"host {host.name} does not answer on {host.address}; the end of its console:\n{log[-2000:]}")


def _greets(host: Host, watch: cgroups.Watch, deadline: float) -> bool:
    """Whether an SSH server takes a call and says who it is, unless the host ends before."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as calling:
        calling.setblocking(False)
        try:
            calling.connect((host.address, 22))
        except BlockingIOError:
            pass
        except OSError:
            return False
        if not watch.wait(min(1.0, deadline - time.monotonic()), calling.fileno(), select.POLLOUT):
            return False
        # Who hangs up too soon and asks again keeps a slow machine busy with starting sshd.
        try:
            calling.getpeername()
            watch.wait(min(PATIENCE, deadline - time.monotonic()), calling.fileno())
            return calling.recv(4) == b"SSH-"
        except OSError:
            return False


def stop(host: Host) -> None:
    """Cut the power; what the host wrote to its disk stays."""
    cgroups.destroy(host.group)


def erase(directory: Path) -> None:
    """Remove a host's files."""
    for attempt in range(20):
        shutil.rmtree(directory, ignore_errors=attempt < 19)
        if not directory.exists():
            return
        time.sleep(0.05)


def _node(host: Host, device: str) -> Path:
    """A device node of the host's own: systemd in there sets its owner and mode, and the machine's must not change."""
    node = host.directory / "dev" / Path(device).name
    if not node.exists():
        node.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(node, 0o600 | stat.S_IFCHR, os.stat(device).st_rdev)
    return node


def _network_unit(host: Host) -> str:
    """Fixed addresses for the only cable of a host; the gateway answers but forwards nothing."""
    cable = "eth0" if host.machine else "host0"
    gateway, gateway6 = network.subnet(host.number)[1], network.subnet6(host.number)[1]
    return (
        f"[Match]\nName={cable}\n\n[Network]\nAddress={host.address}/24\nAddress={host.address6}/64\n"
        f"Gateway={gateway}\nGateway={gateway6}\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n"
    )
