# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends and receives frames inside one network namespace of a test host. Runs there, with the standard library only.

Reads a JSON list of probes on standard input, listens on every service, tries the probes and prints what it found::

    {"sent": {"<probe id>": true or false}, "heard": ["<probe id>", ...]}
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

WAIT = 4.0
heard: set[str] = set()


def serve(port: int) -> None:
    """Accept TCP connections and note datagrams on a port, for both versions."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(family, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(("", port))
            if kind == socket.SOCK_STREAM:
                listener.listen(64)
            threading.Thread(target=attend, args=(listener, kind), daemon=True).start()


def attend(listener: socket.socket, kind: int) -> None:
    """Serve one socket for ever."""
    while True:
        if kind == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            heard.add(listener.recvfrom(100)[0].decode("ascii"))


def attempt(probe: dict[str, Any]) -> bool:
    """Whether the other end answered; a datagram has no answer, so the other end says what it heard."""
    if probe["protocol"] == "icmp":
        argv = ["ping", "-c1", f"-W{WAIT:g}", "-q", probe["target"]]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    if probe["protocol"] == "tcp":
        try:
            socket.create_connection((probe["target"], probe["service"]), timeout=WAIT).close()
        except OSError:
            return False
        return True
    family = socket.AF_INET6 if ":" in probe["target"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for _turn in range(3):
            sender.sendto(probe["id"].encode(), (probe["target"], probe["service"]))
            time.sleep(0.3)
    return False


def main() -> None:
    """Serve, wait until the others do, probe, wait for the last datagrams."""
    probes = json.load(sys.stdin)
    for port in (22, 80, 443, 8080):
        serve(port)
    time.sleep(2)
    with ThreadPoolExecutor(32) as pool:
        sent = dict(zip((probe["id"] for probe in probes), pool.map(attempt, probes), strict=True))
    time.sleep(WAIT)
    print(json.dumps({"sent": sent, "heard": sorted(heard)}))
    sys.stdout.flush()


main()
