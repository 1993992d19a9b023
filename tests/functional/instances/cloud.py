# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real cloud for tests: two test hosts laid out by the site playbook, guests that halt at once and cost nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import time
from typing import Any

from agentless_lab import lab

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
LAB = CHECKOUT / "tests" / "lab" / "lab"
HALT = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp to hlt
PLUGINS = [word for word in os.environ.get("ANSIBLE_CALLBACK_PLUGINS", "").split(os.pathsep) if word]
COMPUTE = ("k1", "k2")
PATIENCE = 800  # seconds for one play, which takes two minutes at most where nothing else runs


def usual(wish: dict[str, Any]) -> dict[str, Any]:
    """A task of the module ``instance``; a name alone boots the usual guest."""
    boot = {} if wish.get("state") == "absent" else {"flavor": "none", "image": "halt", "networks": ["front"]}
    return {"agentless.cloud.instance": {**boot, "timeout": 120, **wish}}


@dataclasses.dataclass
class Played:
    """What a play left: its exit status, its output and the results of its tasks."""

    returncode: int
    output: str
    results: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        """The result of the last task that had one."""
        return self.results[-1]


def patiently(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """The exit status and the output of a play; one that never ends fails, and says where all of its processes are."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in reversed(family(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)  # at which Python tells the place of each thread
                    time.sleep(0.3)  # each tells it for itself
            out, err = process.communicate()
            stacks = _read(pathlib.Path(env["AGENTLESS_TEST_RESULTS"] + ".stacks"))
            said = f"{out[-2000:]}\n{err[-10000:]}\n{stacks[-20000:]}"
            raise AssertionError(f"{command} did not end in {PATIENCE} s.\n{said}") from None
        except BaseException:
            process.kill()
            raise
        return process.returncode, out + err


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = [
        int(one) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for one in _read(path).split()
    ]
    return [pid, *(each for child in children for each in family(child))]


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


class Cloud:
    """Hosts, inventory and database of one cloud."""

    GROUPS: tuple[str, ...] = ("cloud_conductor=k1", "cloud_network=k1", "cloud_image=k1,k2", "cloud_compute=k1,k2")
    MORE_HOSTS: tuple[str, ...] = ()  # options of `lab up`

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name, self.folder = name, folder
        self.database = folder / "cloud.db"
        arguments = [word for group in self.GROUPS for word in ("--group", group)]
        # k1 may fetch images from the other hosts, which are in a private network and of the cloud.
        said = {"allowed": ["10.0.0.0/8", "fd00::/8"], "denied": []}
        known = [f"k1:image_store_import_{word}={json.dumps(networks)}" for word, networks in said.items()]
        arguments += [word for each in known for word in ("--var", each)]
        command = [LAB, "up", "--name", name, "--hosts", ",".join(COMPUTE), *self.MORE_HOSTS, *arguments]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        self.inventory = made.stdout.strip().splitlines()[-1]

    def prepare(self) -> None:
        """Lay out the hosts, and have images, flavors, networks, a group and a server group."""
        site = self.run("agentless.cloud.site", ANSIBLE_PIPELINING="true")
        assert site.returncode == 0, site.output[-4000:]
        played = self.tasks(*self.furniture())
        assert played.returncode == 0, played.output[-4000:]
        # Both hosts have the image from here on, so that a fault in a spawn is not a fault in a download.
        warm = {"name": "warm", "count": 2}
        warmed = self.tasks(usual({**warm, "server_group": "apart"}), usual({**warm, "state": "absent"}))
        assert warmed.returncode == 0, warmed.output[-4000:]
        assert self.left_over() == {}

    def furniture(self) -> list[dict[str, Any]]:
        """Tasks that make what all tests use."""
        halt = self.folder / "halt.raw"
        halt.write_bytes(HALT.ljust(1 << 20, b"\0"))
        rule = {"direction": "ingress", "ether_type": "IPv4", "protocol": "icmp"}
        return [
            {"agentless.cloud.image": {"name": "halt", "filename": str(halt), "disk_format": "raw"}},
            {"agentless.cloud.image": {"name": "other", "filename": str(halt), "disk_format": "raw"}},
            {"agentless.cloud.flavor": {"name": "none", "vcpus": 1, "ram": 16, "disk": 1}},
            {"agentless.cloud.flavor": {"name": "large", "vcpus": 2, "ram": 32, "disk": 1}},
            {"agentless.cloud.network": {"name": "front", "subnets": [{"name": "v4", "cidr": "10.30.0.0/24"}]}},
            {"agentless.cloud.network": {"name": "back", "subnets": [{"name": "v4", "cidr": "10.31.0.0/24"}]}},
            {"agentless.cloud.network": {"name": "tiny", "subnets": [{"name": "v4", "cidr": "10.32.0.0/30"}]}},
            {"agentless.cloud.secgroup": {"name": "ping", "rules": [rule]}},
            {"agentless.cloud.server_group": {"name": "apart", "policy": "anti-affinity"}},
            {"agentless.cloud.host": {"name": "k1", "allocation_ratios": {"cpu": 32.0}}},
            {"agentless.cloud.host": {"name": "k2", "allocation_ratios": {"cpu": 32.0}}},
        ]

    def host(self, host: str, line: str) -> str:
        """Run a line on a host; returns what it prints."""
        command = [*lab.ssh(lab.find(self.name, host)), line]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run(self, play: list[dict[str, Any]] | str, *options: str, **environ: str) -> Played:
        """Run a play; every registered result ``r`` of its tasks is collected by a callback file."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            target = play
            if not isinstance(play, str):
                path = pathlib.Path(folder) / "play.json"
                path.write_text(json.dumps(play))
                target = str(path)
            code, output = patiently(
                ["ansible-playbook", "-i", self.inventory, *options, target],
                env={
                    **os.environ,
                    "AGENTLESS_DATABASE": str(self.database),
                    "ANSIBLE_LOCALHOST_WARNING": "0",
                    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
                    "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(
                        [*PLUGINS, str(pathlib.Path(__file__).parent / "callbacks")]
                    ),
                    "ANSIBLE_CALLBACKS_ENABLED": "results",
                    "AGENTLESS_TEST_RESULTS": f"{folder}/results",
                    "PYTHONFAULTHANDLER": "1",
                    **environ,
                },
            )
            results = pathlib.Path(folder) / "results"
            lines = results.read_text().splitlines() if results.exists() else []
            return Played(code, output, [json.loads(line) for line in lines])

    def tasks(self, *tasks: dict[str, Any], options: tuple[str, ...] = (), **environ: str) -> Played:
        """Run tasks on the controller."""
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
        return self.run([play], *options, **environ)

    def instance(self, *, options: tuple[str, ...] = (), environ: dict[str, str] | None = None, **wish: Any) -> Played:
        """Run the module ``instance``; a name alone boots the usual guest."""
        return self.tasks(usual(wish), options=options, **(environ or {}))

    def instances(self, wishes: list[dict[str, Any]], **environ: str) -> Played:
        """Run the module ``instance`` for each wish, in one play; one that fails stops none of the others."""
        return self.tasks(*({**usual(wish), "ignore_errors": True} for wish in wishes), **environ)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as db:
            return db.execute(query).fetchall()

    def digest(self) -> list[str]:
        """The whole content of the database."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as db:
            return list(db.iterdump())

    def looks(self, host: str) -> dict[str, str]:
        """By which lines a host says what belongs to instances."""
        found = {
            "domains": "virsh list --all --uuid",
            "files": "ls -A /var/lib/agentless/instances",
            "processes": "pgrep -a qemu-system",
            "taps": "ls /sys/class/net | grep ^tap",
        }
        if host == COMPUTE[0]:
            found["ports"] = "ovn-nbctl --bare --columns=name find Logical_Switch_Port 'type=\"\"'"
        return found

    def left_over(self) -> dict[str, Any]:
        """Everything that belongs to instances, on hosts and in the database; empty when none is left."""
        found: dict[str, Any] = {}
        for host in COMPUTE:
            looks = self.looks(host)
            parts = self.host(host, "; echo --; ".join(looks.values()) + "; true").split("--\n")
            for what, text in zip(looks, parts, strict=True):
                found[f"{what} on {host}"] = [line for line in text.splitlines() if line]
        for table in ("instances", "instance_mappings", "ports", "addresses", "allocations", "server_group_members"):
            found[table] = self.ask(f"SELECT * FROM {table}")
        found["used"] = self.ask("SELECT resource_class, used FROM inventories WHERE used != 0")
        found["quota"] = self.ask(
            "SELECT resource, used FROM quotas WHERE used != 0 AND resource IN ('instances', 'vcpus', 'ram', 'ports')"
        )
        return {key: value for key, value in found.items() if value}

    def domains(self) -> list[tuple[str, str]]:
        """The running domains as (host, UUID)."""
        return [(host, key) for host in COMPUTE for key in self.host(host, "virsh list --uuid").split()]
