# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, attach, detach and delete 1 and 20 volumes, beside the same steps by hand on the same hosts.

A storage machine with a thin pool and the kernel's target, one compute host, one running guest whose disks are SCSI,
so that a disk goes without the guest's consent. Ours is one playbook with one task for each step, over connections of
its own. By hand are shell scripts on the hosts themselves, timed there: no SSH, no Ansible, no database. Who begins
changes from round to round. After each attachment the guest is asked, on its console, how many disks it sees.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import uuid
from typing import Any

import boot
import volume_by_hand
import volume_fio
from volume_by_hand import STEPS

STORAGE, COMPUTE = "vol1", boot.COMPUTE
ROLES = {"cloud_conductor": "ctl", "cloud_network": "ctl", "cloud_image": "ctl", "cloud_compute": COMPUTE}
BACKENDS = [{"name": "lvm1", "driver": "lvm", "devices": ["/dev/vdb"], "allocation_ratio": 8}]
MOST = 24  # device names from sdc to sdz

Times = dict[str, float]


class Bench(boot.Bench):
    """A cloud with a storage machine and one guest."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.asked, self.storage = {}, STORAGE
        groups = [f"{group}={host}" for group, host in {**ROLES, "cloud_volume": STORAGE}.items()]
        words = [word for group in groups for word in ("--group", group)]
        up = ["up", "--name", boot.NAME, "--hosts", f"ctl,{COMPUTE}", "--machine", STORAGE, "--disk", f"{STORAGE}=8G"]
        words += ["--var", f"{STORAGE}:volume_backends={json.dumps(BACKENDS)}"]
        made = subprocess.run([boot.LAB, *up, *words], check=True, capture_output=True, text=True)
        self.inventory = made.stdout.strip().splitlines()[-1]
        self.environ = {**os.environ, "AGENTLESS_DATABASE": str(folder / "cloud.db"), "ANSIBLE_LOCALHOST_WARNING": "0"}
        self.environ["ANSIBLE_PIPELINING"] = "true"  # each task of a role costs an emulated machine seconds

    def prepare(self) -> None:
        """Roles, types and a guest."""
        command = ["ansible-playbook", "-i", self.inventory, "agentless.cloud.site"]
        site = self.folder / "site.log"
        with site.open("w") as log:
            done = subprocess.run(command, env=self.environ, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise SystemExit(site.read_text()[-4000:])
        guest = subprocess.run([boot.LAB, "guest-image"], check=True, capture_output=True, text=True).stdout.split()[-1]
        scsi = {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi"}
        image = {"name": "tiny", "filename": guest, "disk_format": "qcow2", "properties": scsi}
        self.play(
            {"agentless.cloud.image": image},
            {"agentless.cloud.flavor": {"name": "tiny", "vcpus": 1, "ram": 512, "disk": 1}},
            {"agentless.cloud.network": {"name": "bench", "subnets": [{"name": "v4", "cidr": "10.20.0.0/24"}]}},
            {"agentless.cloud.volume_type": {"name": "fast", "backend": "lvm1"}},
            {"agentless.cloud.instance": {"name": "g", "flavor": "tiny", "image": "tiny", "networks": ["bench"]}},
        )

    def learn(self) -> None:
        """What the guest is called, and how a disk of ours is written."""
        self.domain = self.host(COMPUTE, "virsh list --uuid").split()[0]
        log = f"/var/lib/agentless/instances/{self.domain}/console.log"
        self.host(COMPUTE, f"for n in $(seq 300); do grep -q GUEST-READY {log} && exit; sleep 1; done; exit 1")
        self.disks = self.seen()
        self.play(*self.tasks(1)[:2])
        xml = self.host(COMPUTE, f"virsh dumpxml --inactive {self.domain}")
        self.play(*self.tasks(1)[2:])
        disks = [text for text in re.findall(r"<disk .*?</disk>", xml, re.DOTALL) if "iscsi" in text]
        disk = re.sub(r"<(address|alias) [^>]*/>", "", disks[0])
        portal = json.loads(self.host(STORAGE, "cat /etc/agentless/volume.json"))["portal"].rpartition(":")[0]
        self.hand = volume_by_hand.Hand(STORAGE, COMPUTE, self.domain, disk, portal)
        self.host(STORAGE, f"printf '{volume_by_hand.PREFERENCES}' | targetcli")

    def in_guest(self, line: str, timeout: int = 240) -> str:
        """What a command prints in the guest."""
        command = [boot.LAB, "console-run", "--timeout", str(timeout), boot.NAME, COMPUTE, self.domain, line]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"In the guest, {line}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def seen(self) -> int:
        """Disks that the guest sees."""
        return int(self.in_guest("ls -d /sys/block/sd* | wc -l").split()[-1])

    def check(self, number: int) -> None:
        """The guest sees that many disks more than at first."""
        found = self.seen() - self.disks
        if found != number:
            raise SystemExit(f"The guest sees {found} volumes, not {number}.")

    @staticmethod
    def tasks(number: int) -> list[dict[str, Any]]:
        """One task for each step."""
        # An emulated machine that has to share its processor answers late.
        many, guest = {"name": "v", "count": number, "timeout": 1200}, {"name": "g", "timeout": 1200}
        names = [f"v-{place}" for place in range(1, number + 1)]
        return [
            {"agentless.cloud.volume": {**many, "size": 1, "volume_type": "fast"}},
            {"agentless.cloud.instance": {**guest, "volumes": names}},
            {"agentless.cloud.instance": {**guest, "volumes": []}},
            {"agentless.cloud.volume": {**many, "state": "absent"}},
        ]

    def ours(self, number: int) -> Times:
        """Seconds of each task, and of the whole command without the look into the guest."""
        clock = {"ansible.builtin.set_fact": {"now": "{{ lookup('ansible.builtin.pipe', 'date +%s.%N') }}"}}
        line = "ls -d /sys/block/sd* | wc -l"
        look = {"ansible.builtin.command": {"argv": [str(boot.LAB), "console-run", "--timeout", "240"]}}
        look["ansible.builtin.command"]["argv"] += [boot.NAME, COMPUTE, self.domain, line]
        create, attach, detach, delete = self.tasks(number)
        listed = [clock, create, clock, attach, clock, look, clock, detach, clock, delete, clock]
        self.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = tempfile.mkdtemp(dir=self.folder)
        found, seconds, _cpu = self.play(*listed)
        times = [float(found[f"r{place}"]["ansible_facts"]["now"]) for place in (0, 2, 4, 6, 8, 10)]
        sight = int(found["r5"]["stdout"].split()[-1]) - self.disks
        if sight != number:
            raise SystemExit(f"The guest sees {sight} volumes, not {number}.")
        gaps = [after - before for before, after in itertools.pairwise(times)]
        return {**dict(zip(STEPS, [*gaps[:2], *gaps[3:]], strict=True)), "command": seconds - gaps[2]}

    def by_hand(self, number: int) -> Times:
        """Seconds of each step by the tools of the hosts."""
        ids = [str(uuid.uuid4()) for _place in range(number)]
        self.script(COMPUTE, self.hand.files(ids))
        taken = {}
        for step, parts in self.hand.scripts(ids).items():
            taken[step] = sum(self.script(host, lines) for host, lines in parts)
            if step == "attach":
                self.check(number)
        return {**taken, "command": sum(taken.values())}

    @staticmethod
    def script(host: str, text: str) -> float:  # type: ignore[override]  # the other bench has one host
        """Run a script on a host; how many seconds it took there."""
        command = [boot.LAB, "exec", boot.NAME, host, "--", "cat >/root/hand.sh && bash /root/hand.sh"]
        lines = f"set -e\nstart=$(date +%s.%N)\n{text}\necho\necho $start $(date +%s.%N)\n"
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"By hand on {host}: {done.stderr[-1000:]}{done.stdout[-1000:]}")
        start, end = done.stdout.split()[-2:]
        return float(end) - float(start)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench volume", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help=f"volumes at once, up to {MOST}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--fio", action="store_true", help="also fio in the guest beside fio on the storage machine")
    parser.add_argument("--seconds", type=int, default=10, help="how long fio does each of four jobs")
    parser.add_argument("--keep", action="store_true", help="leave the test hosts up")
    options = parser.parse_args(words)
    options.numbers = options.numbers or ([] if options.fio else [1, 20])
    if not all(0 < number <= MOST for number in options.numbers):
        parser.error(f"a guest takes 1 to {MOST} volumes here")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("rounds and seconds are whole numbers from 1")
    return options


def main() -> None:
    """Measure and print the tables."""
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="agentless-bench-"))
    try:
        bench = Bench(folder)
        bench.prepare()
        bench.learn()
        way = bench.host(STORAGE, "systemd-detect-virt").strip()
        print(f"storage machine by {way}; load {load()}; medians of {options.rounds} rounds; seconds")
        if options.numbers:
            print(head())
        for number in options.numbers:
            hands, ours = measured(bench, number, options.rounds)
            print("\n".join(rows(number, hands, ours)), f"   load {load()}", flush=True)
        if options.fio:
            print("\n".join(volume_fio.table(volume_fio.measured(bench, options.seconds))), f"   load {load()}")
    finally:
        if not options.keep:
            subprocess.run([boot.LAB, "down", "--name", boot.NAME], check=False, stdout=subprocess.DEVNULL)
            shutil.rmtree(folder, ignore_errors=True)


def measured(bench: Bench, number: int, rounds: int) -> tuple[list[Times], list[Times]]:
    """All rounds by hand and by us; every second one begins with us."""
    hands: list[Times] = []
    ours: list[Times] = []
    for place in range(rounds):
        turns = [lambda: hands.append(bench.by_hand(number)), lambda: ours.append(bench.ours(number))]
        for turn in turns if place % 2 == 0 else reversed(turns):
            turn()
    return hands, ours


def head() -> str:
    """The first line of the table."""
    return "volumes  by  " + "".join(f"{step:>9}" for step in STEPS) + "    whole  command"


def rows(number: int, hands: list[Times], ours: list[Times]) -> list[str]:
    """By hand, by us and the ratio, in medians; ``command`` is what surrounds the tasks with them."""
    lines, found = [], []
    for who, rounds in (("hand", hands), ("us", ours)):
        whole = [sum(each[step] for step in STEPS) for each in rounds]
        columns = [*([each[step] for each in rounds] for step in STEPS), whole, [each["command"] for each in rounds]]
        found.append([statistics.median(column) for column in columns])
        lines.append(f"{number:>7}  {who:<5}" + "".join(f"{value:>9.2f}" for value in found[-1]))
    ratios = [us / hand for hand, us in zip(*found, strict=True)]
    return [*lines, f"{number:>7}  ratio" + "".join(f"{value:>9.2f}" for value in ratios)]


def load() -> str:
    """Processes that wanted to run in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
