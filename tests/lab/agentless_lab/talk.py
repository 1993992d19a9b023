# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the test host: type a command on the serial line of a guest and print what came back, as JSON.

It opens the pseudo terminal that libvirt gave the serial line, so the guest needs no network, and nothing else may
read that console at the time.
"""

from __future__ import annotations

import base64
import json
import os
import re
import select
import subprocess
import sys
import time
import tty


def talk(domain: str, command: str, *, timeout: float) -> None:
    """Type the command between two marks and read until the second one comes back."""
    asked = subprocess.run(["virsh", "--quiet", "ttyconsole", domain], stdout=subprocess.PIPE, check=False, text=True)
    if asked.returncode != 0 or not asked.stdout.strip():
        sys.exit("it has no serial console here")
    line = os.open(asked.stdout.strip(), os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    mark = os.urandom(4).hex()
    # The marks are split by quotes where they are typed, so that the echo of the line is not taken for its output.
    packed = base64.b64encode(command.encode()).decode()
    os.write(line, f"\necho be''gin-{mark}; (eval \"$(echo {packed} | base64 -d)\"); echo e''nd-{mark} $?\n".encode())
    deadline, seen = time.monotonic() + timeout, b""
    while time.monotonic() < deadline:
        if select.select([line], [], [], 0.2)[0]:
            seen += os.read(line, 65536)
        found = re.search(rb"begin-%b\r?\n(.*?)end-%b (\d+)" % (mark.encode(), mark.encode()), seen, re.DOTALL)
        if found:
            output = found.group(1).decode(errors="replace").replace("\r\n", "\n")
            print(json.dumps([int(found.group(2)), output]))
            return
    sys.exit(f"no answer within {timeout} s, only {seen.decode(errors='replace')!r}")
