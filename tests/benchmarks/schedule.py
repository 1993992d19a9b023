# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Place 1,000 instances on planned hosts: choices and durable claims in a real database, no machines.

Three ways: one call for all of them; one after the other on an open conductor; and one after the other, each opening
the database anew, as forked workers of a play do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
import uuid
from collections.abc import Callable

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import RequestSpec

INSTANCES = 1000
SPEC = RequestSpec(vcpus=1, ram=2048, disk=20, real=False)


def register(address: str, count: int) -> None:
    """Planned hosts of a few sizes."""
    conductor = Conductor.open(address, actor="bench")
    with conductor.transaction() as conn:
        for number in range(count):
            hosts.save(
                conn,
                f"host{number:05d}",
                planned=True,
                virt_types=["kvm"],
                zone=f"zone{number % 3}",
                cpu={"arch": "x86_64", "model": "EPYC", "vendor": "AMD", "features": ["avx2"]},
                inventories={
                    "VCPU": {"total": 32 + 32 * (number % 3), "reserved": 0, "allocation_ratio": 4.0},
                    "MEMORY_MB": {"total": 131072 + 65536 * (number % 5), "reserved": 4096, "allocation_ratio": 1.0},
                    "DISK_GB": {"total": 2000, "reserved": 20, "allocation_ratio": 1.0},
                },
            )
    conductor.close()


def at_once(address: str) -> int:
    """All in one call."""
    wants = [placement.Want(str(uuid.uuid4()), SPEC) for _number in range(INSTANCES)]
    with Conductor.open(address, actor="bench") as conductor, conductor.transaction(lock="placement") as conn:
        return len(placement.place(conn, wants))


def one_by_one(address: str, count: int = 20) -> int:
    """One after the other; the database stays open."""
    with Conductor.open(address, actor="bench") as conductor:
        for _number in range(count):
            with conductor.transaction(lock="placement") as conn:
                placement.place(conn, [placement.Want(str(uuid.uuid4()), SPEC)])
    return count


def anew(address: str, count: int = 20) -> int:
    """One after the other; each opens the database."""
    for _number in range(count):
        one_by_one(address, 1)
    return count


def measured(way: Callable[[str], int], address: str) -> tuple[int, float, float]:
    """Placements, seconds and the peak of memory in MiB, in a process of its own."""

    def run(answers: multiprocessing.Queue[tuple[int, float, float]]) -> None:
        start = time.perf_counter()
        done = way(address)
        seconds = time.perf_counter() - start
        answers.put((done, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[tuple[int, float, float]] = context.Queue()
    process = context.Process(target=run, args=(answers,))
    process.start()
    found = answers.get()
    process.join()
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", type=int, default=[1000, 10_000])
    sizes = parser.parse_args().hosts
    print(f"{'hosts':>7}  {'way':<34} {'placements':>10} {'seconds':>9} {'per second':>11} {'peak MiB':>9}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            address = f"{folder}/cloud.db"
            register(address, size)
            for name, way in (
                ("one call, all of them", at_once),
                ("one at a time, conductor open", one_by_one),
                ("one at a time, opened each time", anew),
            ):
                done, seconds, peak = measured(way, address)
                print(f"{size:>7}  {name:<34} {done:>10} {seconds:>9.2f} {done / seconds:>11.0f} {peak:>9.0f}")


if __name__ == "__main__":
    main()
