# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image made of an instance, kept in two stores, and a guest booted from it: on real hosts."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from .conftest import COMPUTE, Cloud, usual

pytestmark = pytest.mark.lab

STORE = "/var/lib/agentless/image-store"


def image(**wish: Any) -> dict[str, Any]:
    return {"agentless.cloud.image": {"name": "golden", **wish}}


def stored(cloud: Cloud, checksum: str) -> list[str]:
    """The hosts whose file of that name has that content."""
    digest = checksum.removeprefix("sha256:")
    line = f"sha256sum {STORE}/sha256/{digest} 2>/dev/null || true"
    return [host for host in COMPUTE if cloud.host(host, line).startswith(digest)]


# Gives its file at 1 MiB a second.
SLOW = """import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(12 << 20))
        self.end_headers()
        for _second in range(12):
            self.wfile.write(bytes(1 << 20))
            time.sleep(1)
http.server.HTTPServer(('', 8999), Handler).serve_forever()
"""


def test_a_store_fetches_by_itself(clean: Cloud) -> None:
    """Over SSH: the call that begins it returns, and the controller looks on."""
    cloud = clean
    cloud.host("k2", f"printf %s {shlex.quote(SLOW)} > /root/slow.py")
    cloud.host("k2", "setsid -f timeout 100 python3 /root/slow.py > /dev/null 2>&1 < /dev/null; sleep 1")
    wanted = image(name="slow", uri="http://k2:8999/", disk_format="raw")
    done = cloud.tasks(wanted, wanted, image(name="slow", state="absent"), options=("-v",))
    assert done.returncode == 0, done.output
    assert [each["changed"] for each in done.results] == [True, False, True]
    assert done.results[0]["image"]["virtual_size"] == 12 << 20
    looks = re.findall(r"slow: k1 has \d+ MiB of 12 MiB \(\d+ %\)", done.output)
    assert len(set(looks)) >= 2, done.output
    assert cloud.host("k1", f"ls {STORE}/incoming").split() == []


def test_a_stopped_instance_becomes_an_image(clean: Cloud) -> None:
    cloud = clean
    wanted = image(instance="model", stores=["k2", "k1"])
    refused = cloud.tasks(usual({"name": "model"}), wanted)
    assert refused.last["error"] == "InUse", refused.output
    stop = {"agentless.cloud.instance": {"name": "model", "state": "stopped", "timeout": 3}}
    played = cloud.tasks(stop, {**wanted, "check_mode": True}, wanted, wanted)
    assert played.returncode == 0, played.output
    _stopped, check, made, again = played.results
    assert [each["changed"] for each in (check, made, again)] == [True, True, False]
    row = made["image"]
    assert (row["stores"], row["min_disk"], row["virtual_size"]) == (["k2", "k1"], 1, 1 << 30)
    assert stored(cloud, row["checksum"]) == ["k1", "k2"]
    assert all("image-" not in cloud.host(host, "ls -R /var/lib/agentless/instances") for host in COMPUTE)

    # the nearest store has lost it: the guest boots from the other, and the task brings the file back
    path = f"{STORE}/sha256/{row['checksum'].removeprefix('sha256:')}"
    cloud.host("k1", f"rm {path}")
    booted = cloud.tasks(usual({"name": "copy", "image": "golden", "host": "k1"}), wanted, wanted)
    assert booted.returncode == 0, booted.output
    assert [each["changed"] for each in booted.results] == [True, True, False]
    assert stored(cloud, row["checksum"]) == ["k1", "k2"]
    key = booted.results[0]["instance"]["id"]
    assert "running" in cloud.host("k1", f"virsh domstate {key}")

    gone = cloud.tasks(
        {"agentless.cloud.instance": {"name": "copy", "state": "absent"}},
        {"agentless.cloud.instance": {"name": "model", "state": "absent"}},
        image(state="absent"),
    )
    assert gone.returncode == 0, gone.output
    assert stored(cloud, row["checksum"]) == []
    assert cloud.left_over() == {}
