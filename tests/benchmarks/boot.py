# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot 1, 10, 20 and 50 guests by one task, beside a serial shell loop that does the same by hand on the same hosts.

Two test hosts: one with OVN's northbound database and the image, one that takes all guests. The image is a boot sector
that halts, so that guests cost nothing; it is in the host's cache before anything is measured. The loop takes the XML
of a guest that the collection booted, with other ids, and for each guest does: ``qemu-img create`` over the same image,
``ovn-nbctl lsp-add`` with addresses, ``virsh define``, ``virsh start``; at the end it waits until all ports are up. It
runs on the compute host itself, without SSH, Ansible or a database.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from typing import Any

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LAB = CHECKOUT / "tests" / "lab" / "lab"
NAME = "bench"
CENTRAL, COMPUTE = "ctl", "k1"
HALT = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp to hlt


@dataclasses.dataclass
class Figures:
    """What one boot of ``number`` guests took."""

    task: float
    command: float
    cpu: float
    connections: int
    again: float


class Bench:
    """A cloud on two test hosts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.asked: dict[str, int] = {}
        groups = ["cloud_conductor=ctl", "cloud_network=ctl", "cloud_image=ctl", "cloud_compute=k1"]
        arguments = [word for group in groups for word in ("--group", group)]
        made = subprocess.run(
            [LAB, "up", "--name", NAME, "--hosts", f"{CENTRAL},{COMPUTE}", *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
        self.inventory = made.stdout.strip().splitlines()[-1]
        self.environ = {**os.environ, "AGENTLESS_DATABASE": str(folder / "cloud.db"), "ANSIBLE_LOCALHOST_WARNING": "0"}

    def host(self, name: str, line: str) -> str:
        """Run a line on a test host."""
        done = subprocess.run([LAB, "exec", NAME, name, "--", line], check=True, capture_output=True, text=True)
        return done.stdout

    def play(self, *tasks: dict[str, Any]) -> tuple[dict[str, Any], float, float]:
        """Run tasks in a play; returns what they registered, seconds and CPU seconds of the whole command."""
        book, out = self.folder / "play.json", self.folder / "out.json"
        registered = [{**task, "register": f"r{number}"} for number, task in enumerate(tasks)]
        names = ", ".join(f"'r{number}': r{number}" for number in range(len(tasks)))
        write = {
            "ansible.builtin.copy": {"dest": str(out), "content": "{{ {" + names + "} | to_json }}", "mode": "0600"}
        }
        book.write_text(
            json.dumps(
                [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [*registered, write]}]
            )
        )
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            ["ansible-playbook", "-i", self.inventory, book],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(done.stdout[-4000:] + done.stderr[-2000:])
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return json.loads(out.read_text()), seconds, cpu

    def prepare(self) -> None:
        """Roles, image, flavor and network; one guest booted and removed, so that the image is in the cache."""
        site = self.folder / "site.log"
        with site.open("w") as log:
            command = ["ansible-playbook", "-i", self.inventory, "agentless.cloud.site"]
            if subprocess.run(command, env=self.environ, stdout=log, stderr=log, check=False).returncode:
                raise SystemExit(site.read_text()[-4000:])
        (self.folder / "halt.raw").write_bytes(HALT.ljust(1 << 20, b"\0"))
        self.play(
            {
                "agentless.cloud.image": {
                    "name": "halt",
                    "filename": str(self.folder / "halt.raw"),
                    "disk_format": "raw",
                }
            },
            {"agentless.cloud.flavor": {"name": "none", "vcpus": 1, "ram": 16, "disk": 1}},
            {"agentless.cloud.network": {"name": "bench", "subnets": [{"name": "v4", "cidr": "10.20.0.0/22"}]}},
            # The default of vCPUs that a host gives away does not reach for fifty guests on two threads.
            {"agentless.cloud.host": {"name": COMPUTE, "allocation_ratios": {"cpu": 64.0}}},
        )
        self.boot(1)
        self.xml = self.host(COMPUTE, "virsh dumpxml --inactive $(virsh list --uuid | head -n 1)")
        self.switch = self.host(CENTRAL, "ovn-nbctl --bare --columns=name list Logical_Switch").split()[0]
        self.remove(1)
        address = json.loads(self.host(CENTRAL, "ip -j -4 addr show scope global"))[0]["addr_info"][0]["local"]
        self.host(CENTRAL, f"ovn-nbctl set-connection ptcp:6641:{address}")
        self.northbound = f"tcp:{address}:6641"

    def instance(self, number: int, state: str = "running") -> dict[str, Any]:
        """The task."""
        wish = {"flavor": "none", "image": "halt", "networks": ["bench"], "timeout": 600} if state == "running" else {}
        return {"agentless.cloud.instance": {"name": "g", "count": number, "state": state, **wish}}

    def boot(self, number: int) -> Figures:
        """One task for all, from closed connections, and the same task again."""
        clock = {"ansible.builtin.set_fact": {"now": "{{ lookup('ansible.builtin.pipe', 'date +%s.%N') }}"}}
        control = tempfile.mkdtemp(dir=self.folder)
        self.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = control
        before = self.connections()
        found, command, cpu = self.play(clock, self.instance(number), clock)
        after = self.connections()
        task = float(found["r2"]["ansible_facts"]["now"]) - float(found["r0"]["ansible_facts"]["now"])
        again = self.unchanged(number)
        return Figures(task, command, cpu, after - before, again)

    def unchanged(self, number: int) -> float:
        """Seconds of a whole command whose only task finds nothing to do. Over open connections."""
        book = self.folder / "again.json"
        tasks = [self.instance(number)]
        book.write_text(
            json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
        )
        start = time.perf_counter()
        done = subprocess.run(
            ["ansible-playbook", "-i", self.inventory, book],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode or not re.search(r"localhost +: ok=1 +changed=0 ", done.stdout):
            raise SystemExit("The second run changed something, or failed.\n" + done.stdout[-2000:])
        return seconds

    def connections(self) -> int:
        """SSH connections that the hosts have accepted so far, those of this script left out."""
        lines = 0
        for host in (CENTRAL, COMPUTE):
            lines += int(self.host(host, "journalctl -q -u ssh | grep -c 'Accepted publickey' || true")) - 1
            lines -= self.asked.setdefault(host, 0)
            self.asked[host] += 1
        return lines

    def remove(self, number: int) -> None:
        """All of them."""
        self.play(self.instance(number, "absent"))

    def floor(self, number: int) -> float:
        """The shell loop for the same number of guests."""
        old = re.search(r"<uuid>(.*?)</uuid>", self.xml)
        mac = re.search(r"<mac address='(.*?)'/>", self.xml)
        port = re.search(r"interfaceid='(.*?)'", self.xml)
        tap = re.search(r"<target dev='(tap.*?)'/>", self.xml)
        image = self.host(COMPUTE, "ls /var/lib/agentless/images/* | head -n 1").strip()
        if not (old and mac and port):
            raise SystemExit("The XML of the guest is not as this benchmark knows it.")
        guests = []
        for place in range(number):
            made = {
                "id": str(uuid.uuid4()),
                "port": str(uuid.uuid4()),
                "mac": f"fa:16:3f:00:{place >> 8:02x}:{place & 255:02x}",
            }
            text = self.xml.replace(old[1], made["id"]).replace(mac[1], made["mac"]).replace(port[1], made["port"])
            text = text.replace(tap[1], f"tap{made['port'][:11]}") if tap else text
            guests.append({**made, "xml": text})
        lines = ["set -e", "mkdir -p /tmp/floor"]
        for place, made in enumerate(guests):
            lines.append(f"mkdir -p /var/lib/agentless/instances/{made['id']}")
            lines.append(f"cat >/tmp/floor/{place}.xml <<'XML'\n{made['xml']}\nXML")
        self.script("prepare", "\n".join(lines))
        steps = ["set -e", "start=$(date +%s.%N)"]
        for place, made in enumerate(guests):
            folder = f"/var/lib/agentless/instances/{made['id']}"
            address = f"{made['mac']} 10.20.3.{place + 1}"
            steps += [
                f"qemu-img create -q -f qcow2 -F raw -b {image} {folder}/disk.qcow2 1G",
                f"cp --sparse=always {folder}/../../seed.iso {folder}/seed.iso 2>/dev/null || : >{folder}/seed.iso",
                (
                    f"ovn-nbctl --db={self.northbound} lsp-add {self.switch} {made['port']} "
                    f"-- lsp-set-addresses {made['port']} '{address}' "
                    f"-- lsp-set-port-security {made['port']} '{address}'"
                ),
                f"virsh -q define /tmp/floor/{place}.xml",
                f"virsh -q start {made['id']}",
            ]
        steps += [
            f"for port in {' '.join(made['port'] for made in guests)}; do",
            f"  ovn-nbctl --db={self.northbound} --timeout=120 wait-until Logical_Switch_Port $port up=true",
            "done",
            'echo "$(date +%s.%N) $start"',
        ]
        end, start = self.script("floor", "\n".join(steps)).split()[-2:]
        clean = ["rm -rf /tmp/floor"]
        for made in guests:
            clean += [
                f"virsh -q destroy {made['id']}; virsh -q undefine --nvram {made['id']}",
                f"ovn-nbctl --db={self.northbound} lsp-del {made['port']}",
                f"rm -rf /var/lib/agentless/instances/{made['id']}",
            ]
        self.script("clean", "\n".join(clean))
        return float(end) - float(start)

    def script(self, name: str, text: str) -> str:
        """Run a script on the compute host."""
        done = subprocess.run(
            [LAB, "exec", NAME, COMPUTE, "--", f"cat >/root/{name}.sh && bash /root/{name}.sh"],
            input=text,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, default=[1, 10, 20, 50])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the test hosts up")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="agentless-bench-"))
    try:
        bench = Bench(folder)
        bench.prepare()
        print("medians of", options.rounds, "rounds; seconds")
        print("guests   floor    task  ratio  command   each    cpu  ssh  again")
        for number in options.numbers:
            floors, ours = [], []
            for _round in range(options.rounds):
                floors.append(bench.floor(number))
                ours.append(bench.boot(number))
                bench.remove(number)
            print(row(number, floors, ours), flush=True)
    finally:
        if not options.keep:
            subprocess.run([LAB, "down", "--name", NAME], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def row(number: int, floors: list[float], ours: list[Figures]) -> str:
    """One line of the table."""

    def median(field: str) -> float:
        return statistics.median(getattr(figures, field) for figures in ours)

    floor, task = statistics.median(floors), median("task")
    return (
        f"{number:>6} {floor:>7.2f} {task:>7.2f} {task / floor:>6.2f} {median('command'):>8.2f} {task / number:>6.2f} "
        f"{median('cpu'):>6.2f} {median('connections'):>4.0f} {median('again'):>6.2f}"
    )


if __name__ == "__main__":
    main()
