# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: several hosts on one bridge, recorded in one directory.

The record is written before anything is made, and everything made carries the lab's name (the directory, the control
groups, the alias of the bridge). So `down` needs no memory of how far `up` came.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentless_lab import cgroups, counting, harvest, host, inventory, machine, network, rootfs, uml
from agentless_lab.host import Host
from agentless_lab.system import LabError, lock, run, state_root, write

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
MOST_HOSTS = 200
LONGEST_SOCKET = 107 - 17  # what the kernel takes, less what ssh appends while it makes one


@dataclass(frozen=True)
class Plan:
    """What a lab is to be.

    :param machines: of the hosts those that are whole machines, with the sizes of their data disks.
    :param machine_kind: of which kind they are, one of `machine.ASKED`; without it the quickest that works.
    """

    name: str
    hosts: tuple[str, ...]
    flavor: str = "full"
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    machines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    machine_kind: str | None = None

    def check(self) -> None:
        """Refuse what cannot become host names, and groups or variables of hosts that are not there."""
        for word in (self.name, *self.hosts):
            check_name(word)
        if not self.hosts or len(self.hosts) > MOST_HOSTS or len(set(self.hosts)) != len(self.hosts):
            raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts with names of their own")
        for disks in self.machines.values():
            machine.check(disks)
        mentioned = {member for members in self.groups.values() for member in members} | set(self.variables)
        unknown = sorted(mentioned - set(self.hosts))
        if unknown:
            raise LabError(f"groups or variables name hosts that the lab does not have: {', '.join(unknown)}")


def check_name(word: str) -> None:
    """Refuse what cannot be a host name, a directory and a part of a control group's name at once."""
    if not NAME.fullmatch(word) or len(word) > LONGEST_NAME:
        raise LabError(
            f"{word!r} is no name: lower-case letters, digits and single dashes, at most "
            f"{LONGEST_NAME} of them, beginning with a letter"
        )


def directory(name: str) -> Path:
    """Where a lab keeps its files; a word that is no name never becomes a path."""
    check_name(name)
    return state_root() / name


def names() -> list[str]:
    """Every lab that left a trace on this machine."""
    root = state_root()
    recorded = {entry.name for entry in root.iterdir() if entry.is_dir()} if root.is_dir() else set()
    bridged = {network.owner(entry.name) for entry in Path("/sys/class/net").iterdir()}
    return sorted(name for name in recorded | cgroups.labs() | bridged if name and NAME.fullmatch(name))


def record(name: str) -> dict[str, Any]:
    """Read what was written down about a lab."""
    try:
        content: dict[str, Any] = json.loads((directory(name) / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"there is no lab {name}; there are: {', '.join(names()) or 'none'}") from None
    return content


def hosts_of(name: str) -> list[Host]:
    """The hosts of a recorded lab."""
    content = record(name)
    processors = content.get("processors", {})
    # Those of earlier checkouts were all of QEMU.
    kind = content.get("machine_kind") or content.get("accelerator") or machine.EMULATED
    machines = {
        each: machine.Machine(Path(content["machine_image"]), kind, tuple(sizes), processors.get(each))
        for each, sizes in content.get("machines", {}).items()
    }
    return [
        Host(
            lab=name,
            name=each,
            number=content["number"],
            index=index,
            directory=directory(name) / "hosts" / each,
            machine=machines.get(each),
        )
        for index, each in enumerate(content["hosts"])
    ]


def find(name: str, wanted: str) -> Host:
    """One host of a recorded lab."""
    for each in hosts_of(name):
        if each.name == wanted:
            return each
    raise LabError(f"lab {name} has no host {wanted}; it has: {', '.join(record(name)['hosts'])}")


def up(plan: Plan, *, timeout: float) -> Path:
    """Bring a lab up and return its inventory; one that is up already is completed, not made anew."""
    plan.check()
    tree = rootfs.build(plan.flavor)
    kind = machine.choose(plan.flavor, plan.machine_kind) if plan.machines and _new(plan.name) else None
    with lock(state_root() / ".lock") as held:
        # The inventory comes last: without it, what is there is the remains of an `up` that was killed.
        fresh = _new(plan.name)
        if fresh:
            if plan.machines and kind is None:
                raise LabError(f"lab {plan.name} was taken down meanwhile")
            _remove(plan.name)
            _record(plan, tree, kind)
        elif not _same(record(plan.name), plan):
            raise LabError(f"lab {plan.name} is there with other hosts or of another kind: take it down first")
        network.create(record(plan.name)["number"], plan.name, held=held)
    try:
        if fresh:
            _prepare(plan.name)
        _in_parallel(boot, hosts_of(plan.name), timeout)
    except BaseException:
        if fresh:
            down(plan.name)
        raise
    text = inventory.render(directory(plan.name), hosts_of(plan.name), groups=plan.groups, variables=plan.variables)
    write(directory(plan.name) / "inventory.yml", text)
    return directory(plan.name) / "inventory.yml"


def _new(name: str) -> bool:
    """Whether a lab is not there, or only the remains of an `up` that did not come to its end."""
    return not (directory(name) / "inventory.yml").exists()


def _same(content: Mapping[str, Any], plan: Plan) -> bool:
    """Whether a recorded lab is the one that is asked for."""
    disks = {name: list(sizes) for name, sizes in plan.machines.items()}
    asked = (list(plan.hosts), plan.flavor, disks)
    kind = content.get("machine_kind")
    fits = plan.machine_kind in (None, kind) or (plan.machine_kind == machine.QEMU and kind != machine.UML)
    return fits and (content["hosts"], content["flavor"], content.get("machines", {})) == asked


def boot(each: Host, timeout: float) -> None:
    """Start one host and wait until it lets us in."""
    content = record(each.lab)
    if not each.running():  # else commands that go through it are at work
        hang_up(_socket(each))
    process = host.start(each, tree=Path(content["tree"]), pool=Path(content.get("pool", rootfs.pool())))
    host.wait(each, timeout=timeout * (machine.SLOWER if each.machine else 1), process=process)
    # What a machine made of itself when it first booted shall be there after its power was cut.
    run([*ssh(each), "sync" if each.machine else "true"])


def down(name: str) -> None:
    """Remove everything of a lab, however much of it is there."""
    with lock(state_root() / ".lock"):
        _remove(name)


def _remove(name: str) -> None:
    """Remove a lab while the lock is held, its record after all that the record tells of."""
    if (directory(name) / "lab.json").exists():
        harvest.collect((each, ssh(each)) for each in hosts_of(name))
    for socket in directory(name).glob("ssh-*"):
        hang_up(socket)
    for group in cgroups.names(name):
        cgroups.destroy(group)
    for upper in directory(name).glob("hosts/*/upper") if counting.wanted() else ():
        counting.count("guest", counting.guests(upper))
    network.destroy(name, record(name)["number"] if (directory(name) / "lab.json").exists() else None)
    if directory(name).is_dir():
        host.erase(directory(name))


def cut(each: Host) -> None:
    """Cut the power of a host; what it wrote to its disk stays."""
    hang_up(_socket(each))
    host.stop(each)


def ssh(each: Host) -> list[str]:
    """The command that reaches a host; the first one stays connected for a minute, and the others go through it."""
    place = directory(each.lab)
    return [
        "ssh",
        "-i",
        str(place / "id_ed25519"),
        *inventory.ssh_options(place),
        "-o",
        "BatchMode=yes",
        "-o",
        "LogLevel=ERROR",
        *_shared(each),
        f"root@{each.address}",
    ]


def hang_up(socket: Path) -> None:
    """End the connection that commands of `ssh` share, which would wait for a host that is no longer there."""
    if socket.exists():
        run(["ssh", "-S", socket, "-O", "exit", "host"], check=False)
        socket.unlink(missing_ok=True)


def _socket(each: Host) -> Path:
    return directory(each.lab) / f"ssh-{each.index}"


def _shared(each: Host) -> list[str]:
    """Options for one connection; none where the name of its socket would be too long, which ends ssh."""
    if len(os.fsencode(_socket(each))) > LONGEST_SOCKET:
        return []
    options = ("ControlMaster=auto", "ControlPersist=60", f"ControlPath={_socket(each)}", "ServerAliveInterval=10")
    return [word for option in options for word in ("-o", option)]


def status(name: str) -> dict[str, Any]:
    """What there is of a lab, for people and for programs.

    :raises LabError: there is nothing of it.
    """
    if not (directory(name) / "lab.json").exists() and name in names():
        return {"name": name, "state": "remains", "hosts": []}
    content = record(name)
    hosts = [
        {
            "name": each.name,
            "address": each.address,
            "address6": each.address6,
            "running": each.running(),
            "machine": each.machine.kind if each.machine else None,
            "processor": each.machine.processor if each.machine else None,
            "directory": str(each.directory),
        }
        for each in hosts_of(name)
    ]
    return {
        "name": name,
        "state": "up" if all(each["running"] for each in hosts) else "partly up",
        "flavor": content["flavor"],
        "bridge": network.bridge(content["number"]),
        "inventory": str(directory(name) / "inventory.yml"),
        "key": str(directory(name) / "id_ed25519"),
        "hosts": hosts,
    }


def _record(plan: Plan, tree: Path, kind: machine.Machine | None) -> None:
    """Write a new lab down, with a number that no other lab has."""
    others = [record(each) for each in names() if (directory(each) / "lab.json").exists()]
    pinned = [number for other in others for number in other.get("processors", {}).values()]
    processors: dict[str, int] = {}
    for each in plan.machines if kind and kind.kind == machine.UML else ():
        processors[each] = uml.processor([*pinned, *processors.values()], os.sched_getaffinity(0))
    content = {
        "name": plan.name,
        "number": network.choose({other["number"] for other in others}),
        "flavor": plan.flavor,
        "tree": str(tree),
        "pool": str(rootfs.pool()),
        "hosts": list(plan.hosts),
        "machines": {name: list(sizes) for name, sizes in plan.machines.items()},
        "machine_image": str(kind.image) if kind else None,
        "machine_kind": kind.kind if kind else None,
        "processors": processors,
    }
    write(directory(plan.name) / "lab.json", json.dumps(content, indent=2) + "\n")


def _prepare(name: str) -> None:
    """Make the keys of a lab and the files of its hosts."""
    place, hosts = directory(name), hosts_of(name)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"agentless-lab {name}", "-f", place / "id_ed25519"])
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    lines += [f"{address} {each.name}" for each in hosts for address in (each.address, each.address6)]
    authorized = (place / "id_ed25519.pub").read_text(encoding="utf-8")

    def prepare(each: Host) -> str:
        key = host.prepare(each, hosts_file="\n".join(lines) + "\n", authorized_key=authorized)
        harvest.prepare(each)
        return f"{each.name},{each.address},{each.address6} {key}\n"

    write(place / "known_hosts", "".join(_in_parallel(prepare, hosts)))
    for each in hosts:
        shutil.copyfile(place / "known_hosts", each.upper / "etc/ssh/ssh_known_hosts")
        if each.machine:
            machine.prepare(each, each.machine)


def _in_parallel(work: Any, hosts: Sequence[Host], *more: Any) -> list[Any]:
    """Do the same for every host at once and return the results in order, or the first failure."""
    with ThreadPoolExecutor(max_workers=min(len(hosts), 16)) as pool:
        return [future.result() for future in [pool.submit(work, each, *more) for each in hosts]]
