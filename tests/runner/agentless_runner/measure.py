# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fixed small piece of work, by whose time a machine is compared with the one on which the budget was taken.

It does what the tests do most: starts Python, computes, and hashes; on as many processors as there are lanes.
"""

from __future__ import annotations

import subprocess
import sys
import time

WORK = """
import hashlib, json, subprocess, sys
for turn in range(12):
    subprocess.run([sys.executable, "-I", "-c", "import json, subprocess, email.message"], check=True)
    text = json.dumps([{"number": n, "text": str(n) * 3} for n in range(20000)])
    rows = sorted(json.loads(text), key=lambda row: row["text"])
    hashlib.sha256((text * 8).encode()).hexdigest()
"""


def yardstick(lanes: int) -> float:
    """Return the seconds that the work takes when every lane does it at the same time."""
    begun = time.monotonic()
    workers = [subprocess.Popen([sys.executable, "-I", "-c", WORK]) for _lane in range(lanes)]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise RuntimeError(f"the yardstick's work failed with codes {codes}")
    return time.monotonic() - begun
