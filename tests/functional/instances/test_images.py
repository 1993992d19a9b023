# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image made of an instance, kept in two stores, and a guest booted from it: on real hosts."""

from __future__ import annotations

import json
import re
import shlex
import uuid
from typing import Any

import pytest

from .cloud import COMPUTE, Cloud, usual

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


TARGET = """set -e
systemctl start tgt
for n in $(seq 50); do tgtadm --op show --mode sys > /dev/null && break; sleep 0.1; done
truncate -s 64M /root/vol.raw
printf 'written by a guest' | dd of=/root/vol.raw bs=4096 seek=3 conv=notrunc status=none
t="tgtadm --lld iscsi"
$t --op new --mode target --tid 1 -T iqn.2026-01.cloud.agentless:vol
$t --op new --mode logicalunit --tid 1 --lun 1 -b /root/vol.raw
$t --op bind --mode target --tid 1 -I ALL
$t --op new --mode account --user someone --password canary0canary0
$t --op bind --mode account --tid 1 --user someone
"""
SECRETS = "ps -eo args | grep canary | grep -v grep; ls /run/agentless-* 2>/dev/null; true"


def test_a_store_reads_a_volume(clean: Cloud) -> None:
    """By iSCSI with its secret, and not without."""
    cloud = clean
    cloud.host("k2", TARGET)
    address = cloud.host("k2", "hostname -I").split()[0]
    export = {"protocol": "iscsi", "portal": f"{address}:3260", "iqn": "iqn.2026-01.cloud.agentless:vol", "lun": 1}
    volume = {"id": str(uuid.uuid4()), "generation": 1, "export": export, "user": "someone"}

    def ask(**operation: Any) -> dict[str, Any]:
        task = {"agentless.cloud.image_backend": {"identity": identity, "payload": json.dumps([operation])}}
        play = {"hosts": "k1", "gather_facts": False, "tasks": [task]}
        (answer,) = cloud.run([play]).last["results"]
        assert answer["ok"], answer
        return dict(answer)

    identity = cloud.host("k1", "cat /etc/agentless/identity").strip()
    about = {"id": str(uuid.uuid4()), "generation": 1}
    bad = ask(op="import_begin", **about, volume={**volume, "secret": "wrong0wrong0wr"}, wait=30)
    assert (bad["state"], "could not be read" in bad["msg"]) == ("failed", True)
    assert ask(op="import_absent", **about)["changed"]
    good = ask(op="import_begin", **about, volume={**volume, "secret": "canary0canary0"}, wait=30)
    assert good["state"] == "done", good
    ask(op="import_keep", **about, checksum=good["checksum"], size=good["size"])
    path = f"{STORE}/sha256/{good['checksum'].removeprefix('sha256:')}"
    cloud.host("k1", f"qemu-img convert -f qcow2 -O raw {path} /root/read.raw")
    digests = [
        cloud.host(host, f"sha256sum /root/{name}").split()[0] for host, name in (("k1", "read.raw"), ("k2", "vol.raw"))
    ]
    assert digests[0] == digests[1]
    assert cloud.host("k1", SECRETS) == ""
    cloud.host("k1", f"rm {path} /root/read.raw")
    cloud.host("k2", "systemctl stop tgt; rm /root/vol.raw")
