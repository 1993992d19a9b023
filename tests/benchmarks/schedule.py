# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Place 1,000 instances on planned hosts: choices and durable claims in a real SQLite database, no machines.

Three ways. *In one call*: all of them, as a task with a count does. *Open*: one after the other, the database stays
open. *Cold*: one after the other, each in a process forked for it that opens the database anew, as a play over many
hosts does. Beside them what the scheduler alone takes, without the database. CPU seconds are told as well, since they
depend less on what else the machine does. Memory is the peak of the process that places, Python and SQLAlchemy
included. The ways that are slow and change little from one placement to the next are measured on fewer of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import fleet, placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler import pipeline
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import RequestSpec

SPEC = RequestSpec(vcpus=1, ram=2048, disk=20)
FEATURES = [f"feature{number}" for number in range(80)]
MODELS = (("AMD", "EPYC"), ("AMD", "EPYC-Rome"), ("Intel", "Skylake-Server"))


def register(address: str, count: int) -> None:
    """Planned hosts of fifteen sizes and three processors."""
    with Conductor.open(address) as conductor, conductor.transaction() as conn:
        for number in range(count):
            vendor, model = MODELS[number % 3]
            hosts.save(
                conn,
                f"host{number:05d}",
                planned=True,
                virt_types=["kvm"],
                zone=f"zone{number % 3}",
                cpu={"arch": "x86_64", "model": model, "vendor": vendor, "features": FEATURES},
                aggregates={"fast": {"ssd": "true"}} if number % 2 else {},
                inventories={
                    "VCPU": {"total": 32 + 32 * (number % 3), "reserved": 0, "allocation_ratio": 4.0},
                    "MEMORY_MB": {"total": 131072 + 65536 * (number % 5), "reserved": 4096, "allocation_ratio": 1.0},
                    "DISK_GB": {"total": 2000, "reserved": 20, "allocation_ratio": 1.0},
                },
            )


def want() -> placement.Want:
    """One more instance."""
    return placement.Want(str(uuid.uuid4()), SPEC)


def in_one_call(address: str, count: int) -> None:
    """All in one call."""
    with Conductor.open(address) as conductor, conductor.transaction(lock="placement") as conn:
        placement.place(conn, [want() for _number in range(count)])


def still_open(address: str, count: int) -> None:
    """One after the other; the database stays open."""
    with Conductor.open(address) as conductor:
        for _number in range(count):
            with conductor.transaction(lock="placement") as conn:
                placement.place(conn, [want()])


def cold(address: str, count: int) -> None:
    """One after the other; each in a process of its own, which opens the database."""
    for _number in range(count):
        child = os.fork()
        if child == 0:
            in_one_call(address, 1)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        if status:
            raise SystemExit("a placement failed")


def alone(address: str, count: int) -> None:
    """Only the scheduler, on hosts that were read before the clock started."""
    pipeline.place(_read(address), SPEC, count=count)


def alone_single(address: str, count: int) -> None:
    """Only the scheduler, one after the other."""
    states = _read(address)
    for _number in range(count):
        pipeline.place(states, SPEC)


_cache: dict[str, list[fleet.HostState]] = {}


def _read(address: str) -> list[fleet.HostState]:
    if address not in _cache:
        with Conductor.open(address) as conductor, conductor.read() as conn:
            _cache[address] = fleet.read(conn)
    return _cache[address]


Way = Callable[[str, int], None]
WAYS: dict[str, Way] = {
    "in one call": in_one_call,
    "one at a time, open": still_open,
    "one at a time, cold": cold,
    "scheduler alone, one call": alone,
    "scheduler alone, one at a time": alone_single,
}


# How many placements tell enough.
MOST = {"one at a time, cold": 200, "scheduler alone, one at a time": 100}


@dataclass(frozen=True)
class Figure:
    """What one run of one way took."""

    seconds: float
    cpu: float  # seconds
    peak: float  # MiB


def one_run(way: str, address: str, count: int) -> Figure:
    """Run a way here and now."""
    if WAYS[way] in (alone, alone_single):
        _read(address)
    start, cpu = time.perf_counter(), _cpu()
    WAYS[way](address, count)
    who = resource.RUSAGE_CHILDREN if WAYS[way] is cold else resource.RUSAGE_SELF
    return Figure(time.perf_counter() - start, _cpu() - cpu, resource.getrusage(who).ru_maxrss / 1024)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def in_its_own_process(way: str, address: str, count: int) -> Figure:
    """Run a way in a process that does nothing else, so that its memory is its own."""
    argv = [sys.executable, __file__, "--run", way, "--database", address, "--instances", str(count)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    return Figure(**json.loads(done.stdout))


def rows(sizes: list[int], instances: int) -> Iterator[str]:
    """The table, line by line as it comes."""
    heads = f"{'placements':>11}{'seconds':>9}{'ms each':>9}{'CPU ms each':>13}{'per second':>12}{'peak MiB':>10}"
    yield f"{'hosts':>6}  {'way':<31}{heads}"
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            template = Path(folder) / "hosts.db"
            register(str(template), size)
            for number, way in enumerate(WAYS):
                # Each way starts on hosts that have nothing on them.
                address = Path(folder) / f"{number}.db"
                address.write_bytes(template.read_bytes())
                count = min(instances, MOST.get(way, instances))
                found = in_its_own_process(way, str(address), count)
                each, cpu = 1000 * found.seconds / count, 1000 * found.cpu / count
                figures = f"{count:>11}{found.seconds:>9.2f}{each:>9.2f}{cpu:>13.2f}"
                yield f"{size:>6}  {way:<31}{figures}{count / found.seconds:>12.0f}{found.peak:>10.0f}"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=[1_000, 10_000], help="sizes of the fleet")
    parser.add_argument("--instances", type=int, default=1_000, help="how many are placed each time")
    parser.add_argument("--run", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(vars(one_run(args.run, args.database, args.instances))))
        return
    for line in rows(args.hosts, args.instances):
        print(line, flush=True)


if __name__ == "__main__":
    main()
