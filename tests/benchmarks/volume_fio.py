# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fio inside the guest on an attached volume, beside the same fio on the volume's own LV on the storage machine.

The guest has no packages, so fio and its libraries come to it on a second volume. Both run the same four jobs one after
the other on the same extents, which the first job has written: four requests at once, past every cache of the kernel
that runs fio.
"""

from __future__ import annotations

from typing import Any

SIZE = "128m"
# Writes first, so that no read finds extents that the thin pool has yet to give.
JOBS = (
    ("fill", "write", "1m"),
    ("write", "write", "128k"),
    ("read", "read", "128k"),
    ("randwrite", "randwrite", "4k"),
    ("randread", "randread", "4k"),
)
# Fields of fio's terse output, version 3, from 0: the job's name; KiB and operations a second of reads, of writes.
NAME, READ, WRITE = 2, (6, 7), (47, 48)
TOOLS = r"""
set -e
mkfs.ext4 -q -F -O ^has_journal {device}
mkdir -p /mnt/tools && mount {device} /mnt/tools
cp -L "$(command -v fio)" $(ldd "$(command -v fio)" | grep -o '/[^ ]*') /mnt/tools/
umount /mnt/tools
"""

Figures = dict[str, tuple[float, float]]  # MiB and operations a second of each job


def command(fio: str, device: str, seconds: int) -> str:
    """The line that runs all jobs."""
    common = f"{fio} --minimal --terse-version=3 --direct=1 --ioengine=libaio --iodepth=4 --thread --filename={device}"
    jobs = []
    for name, kind, block in JOBS:
        until = "" if name == "fill" else f" --runtime={seconds} --time_based"
        jobs.append(f"--name={name} --stonewall --rw={kind} --bs={block} --size={SIZE}{until}")
    return " ".join([common, *jobs])


def parsed(text: str) -> Figures:
    """What fio said of each job, whatever else stands around it."""
    found: Figures = {}
    for line in text.splitlines():
        fields = line.strip().split(";")
        if len(fields) <= max(WRITE) or fields[0] != "3":
            continue
        bandwidth, operations = WRITE if "write" in fields[NAME] or fields[NAME] == "fill" else READ
        found[fields[NAME]] = (float(fields[bandwidth]) / 1024, float(fields[operations]))
    missing = [name for name, _kind, _block in JOBS if name not in found]
    if missing:
        raise SystemExit(f"fio did not report {missing}:\n{text[-2000:]}")
    return found


def measured(bench: Any, seconds: int) -> tuple[Figures, Figures]:
    """On the LV and in the guest, of one volume."""
    many, guest = {"name": "fio", "count": 2, "timeout": 1200}, {"name": "g", "timeout": 1200}
    made = bench.play({"agentless.cloud.volume": {**many, "size": 1, "volume_type": "fast"}})[0]["r0"]["volumes"]
    disk, tools = (f"/dev/agentless/volume-{each['id']}" for each in made)
    bench.script(bench.storage, TOOLS.format(device=tools))
    below = parsed(bench.host(bench.storage, command("fio", disk, seconds)))
    bench.play({"agentless.cloud.instance": {**guest, "volumes": [each["name"] for each in made]}})
    serials = bench.in_guest("for d in /sys/block/sd*; do echo ${d##*/} $(cat $d/device/vpd_pg80 | tr -d '\\0'); done")
    names = {each["id"]: line.split()[0] for each in made for line in serials.splitlines() if each["id"] in line}
    disk, tools = (f"/dev/{names[each['id']]}" for each in made)
    bench.in_guest(f"mkdir -p /tools && mount -t ext4 -o ro {tools} /tools")
    fio = "/tools/ld-linux-x86-64.so.2 --library-path /tools /tools/fio"
    inside = parsed(bench.in_guest(f"cd /tmp; {command(fio, disk, seconds)}", timeout=600 + 10 * seconds))
    bench.in_guest("umount /tools")
    bench.play(
        {"agentless.cloud.instance": {**guest, "volumes": []}},
        {"agentless.cloud.volume": {**many, "state": "absent"}},
    )
    return below, inside


def table(both: tuple[Figures, Figures]) -> list[str]:
    """One line for each job: on the LV, in the guest, and how many times slower that is."""
    below, inside = both
    lines = ["fio           LV MiB/s   op/s   guest MiB/s   op/s  times slower"]
    for name, _kind, block in JOBS[1:]:
        (fast, often), (slow, seldom) = below[name], inside[name]
        label = f"{name} {block}"
        lines.append(f"{label:<14}{fast:>8.2f} {often:>6.0f} {slow:>13.2f} {seldom:>6.0f} {often / seldom:>13.1f}")
    return lines
