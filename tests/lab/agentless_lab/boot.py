# SPDX-License-Identifier: GPL-3.0-or-later
"""Become one test host: join its control groups, mount its disk, turn into systemd-nspawn, or a machine's program.

A container's runs under `unshare --mount`, so the mount belongs to this process and its children only and goes with
them, however they end. So does a machine's cable, which lasts as long as somebody has it open.
Arguments: the specification written by `host.start` or `machine.start`, as one JSON file.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
from typing import Any

TUNSETIFF = 0x400454CA  # linux/if_tun.h, as the flags: a tap, no header of its own, virtio's header
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
# By what is plugged in: how the cable is opened and what is on it. User-Mode Linux reads until it is told that there is
# nothing, and takes frames without any header.
CABLES = {
    "qemu": (os.O_RDWR, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR),
    "uml": (os.O_RDWR | os.O_NONBLOCK, IFF_TAP | IFF_NO_PI),
}


def plug(tap: dict[str, Any]) -> None:
    """Make a cable into a bridge and leave it open under a descriptor that the next program inherits."""
    way, flags = CABLES[tap["cable"]]
    opened = os.open("/dev/net/tun", way)
    fcntl.ioctl(opened, TUNSETIFF, struct.pack("16sH22x", tap["name"].encode(), flags))
    subprocess.run(["ip", "link", "set", tap["name"], "master", tap["bridge"], "up"], check=True)
    os.dup2(opened, tap["descriptor"])


def main() -> None:
    """Never returns: the process becomes the container's supervisor."""
    with open(sys.argv[1], encoding="utf-8") as handle:
        spec = json.load(handle)
    for group in spec["groups"]:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))
    if spec["overlay"]:
        subprocess.run(["mount", "-t", "overlay", "agentless-lab", "-o", spec["overlay"], spec["root"]], check=True)
    if spec["tap"]:
        plug(spec["tap"])
    if spec["processor"] is not None:
        os.sched_setaffinity(0, {spec["processor"]})
    os.execvpe(spec["argv"][0], spec["argv"], {**os.environ, **spec["environment"]})


if __name__ == "__main__":
    main()
