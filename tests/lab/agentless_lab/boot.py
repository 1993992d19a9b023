# SPDX-License-Identifier: GPL-3.0-or-later
"""Become one test host: join its control groups, mount its disk, turn into systemd-nspawn, or QEMU for a machine.

Runs under `unshare --mount`, so the mount belongs to this process and its children only and goes with them,
however they end. Arguments: the specification written by `host.start`, as one JSON file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main() -> None:
    """Never returns: the process becomes the container's supervisor."""
    with open(sys.argv[1], encoding="utf-8") as handle:
        spec = json.load(handle)
    for group in spec["groups"]:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))
    if spec["overlay"]:
        subprocess.run(["mount", "-t", "overlay", "agentless-lab", "-o", spec["overlay"], spec["root"]], check=True)
    os.execvp(spec["argv"][0], spec["argv"])


if __name__ == "__main__":
    main()
