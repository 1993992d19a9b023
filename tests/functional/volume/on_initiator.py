# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on a whole machine that stores volumes and logs in to them itself, over two addresses of its own.

Each argument is the name of a scenario below; for each a line of JSON says how long it took and what was wrong.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections, host_initiator, iscsi_host
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.volume import config, operations, target

SECRET = "canary-secret-7Qx"
BACKEND = "b1"
GUEST = str(uuid.uuid4())
KEPT = (*iscsi_host.RECORDS, "/var/lib/agentless/connections")
ARGUMENTS: list[str] = []  # of every command that was run


class Host(backend.Context):
    """Remembers what it runs, and dies before the effect of a number."""

    def __init__(self, kill_at: int = 0) -> None:
        super().__init__()
        self.kill_at, self.seen = kill_at, 0

    def run(self, argv: Any, *more: Any, **options: Any) -> Any:
        ARGUMENTS.extend(argv)
        return super().run(argv, *more, **options)

    def effect(self, _name: str) -> None:
        self.seen += 1
        if self.seen == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def store(*listed: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of operations of the storage host, which must succeed."""
    done = operations.carry_out(backend.Context(), [{"backend": BACKEND, **op} for op in listed])
    assert all(one["ok"] for one in done), done
    return done


def volume(connection: str) -> dict[str, Any]:
    """A new volume of 1 GiB, exported to this host, as an operation describes it."""
    key = str(uuid.uuid4())
    login = {"initiator": initiator(), "user": f"volume-{key}", "secret": SECRET}
    _made, export = store({"op": "create", "id": key, "size": 1}, {"op": "export", "id": key, **login})
    source = {name: value for name, value in export.items() if name not in ("ok", "changed")}
    return {"id": key, "serial": key, "device": "vdb", "source": source, "connection": connection, **login}


def refused(one: dict[str, Any]) -> str:
    """Why it cannot be connected."""
    try:
        host_initiator.connect(Host(), GUEST, one)
    except backend.BackendError as exc:
        return exc.msg
    return "it was let in"


def shell(line: str) -> str:
    """What a line says."""
    done = subprocess.run(["/bin/sh", "-c", line], check=False, capture_output=True, text=True)
    return done.stdout.strip() + done.stderr.strip()


def left() -> list[str]:
    """What there still is of this host's way to volumes."""
    named = "multipath -v1 -l; ls /dev/disk/by-path | grep iscsi; grep -sv '^#' /etc/multipath/wwids"
    found = shell(f"{named}; ls /sys/class/iscsi_session; ls /var/lib/agentless/connections; ls /sys/block | grep sd")
    records = [str(path) for base in iscsi_host.RECORDS for path in pathlib.Path(base).glob("iqn*")]
    return [*found.split(), *records]


def write(path: str, text: str) -> None:
    """Write the first block past the page cache."""
    shell(f"printf {text} | dd of={path} bs=4096 conv=sync,fsync oflag=direct iflag=fullblock")


def read(one: dict[str, Any]) -> str:
    """The first word of the volume where it is stored, past the page cache: the target writes past it."""
    shell("udevadm settle --timeout=20")
    return shell(f"dd if=/dev/thin/volume-{one['id']} bs=4096 count=1 iflag=direct status=none | tr -d '\\0'")


def life(connection: str) -> list[Any]:
    """Connected, used, grown, had by two guests, left: each twice is once, and the secret is where it belongs."""
    one, paths = volume(connection), 2 if connection == "multipath" else 1
    path = connections.device_path(one)
    found: list[Any] = [host_initiator.connect(Host(), GUEST, one) for _turn in range(2)]
    write(path, "first")
    found += [read(one), len(iscsi_host.sessions(one["source"]["iqn"]))]
    kept = [each for base in KEPT for each in pathlib.Path(base).rglob("*") if each.is_file()]
    found.append(sorted({oct(each.stat().st_mode & 0o777) for each in kept}))
    found.append(SECRET in " ".join(ARGUMENTS) + shell("journalctl --no-pager; cat /var/lib/agentless/connections/*"))
    store({"op": "extend", "id": one["id"], "size": 2})
    host_initiator.grow(Host(), GUEST, one["id"], 2 << 30)
    found.append(iscsi_host.size(path) >> 30)
    other = str(uuid.uuid4())
    found += [host_initiator.connect(Host(), other, one), host_initiator.disconnect(Host(), GUEST, one["id"])]
    found += [os.path.exists(path), *(host_initiator.disconnect(Host(), other) for _turn in range(2)), left()]
    store({"op": "delete", "id": one["id"]})
    want = [True, False, "first", paths, ["0o600"], False, 2, True, True, True, True, False, []]
    return [] if found == want else [found, want]


def restarted(connection: str) -> list[Any]:
    """As when the host restarts: there is no map and nothing is logged in, and then all is that is to be.

    With several ways, one is lost then: the other goes on, and the next attach brings it back.
    """
    one, paths = volume(connection), 2 if connection == "multipath" else 1
    host_initiator.connect(Host(), GUEST, one)
    shell("multipath -F; iscsiadm -m session --logout; udevadm settle --timeout=20")
    found: list[Any] = [os.path.exists(connections.device_path(one))]
    shell("iscsiadm -m node --loginall=automatic")
    host_initiator.resume(Host(), GUEST)
    write(connections.device_path(one), "second")
    found += [read(one), len(iscsi_host.sessions(one["source"]["iqn"]))]
    if paths > 1:
        iscsi_host.logout(Host(), iscsi_host.sessions(one["source"]["iqn"])[0])
        write(connections.device_path(one), "third")
        found += [read(one), host_initiator.connect(Host(), GUEST, one)]
    host_initiator.disconnect(Host(), GUEST)
    store({"op": "delete", "id": one["id"]})
    want = [False, "second", paths, *(["third", True] if paths > 1 else []), []]
    return [] if [*found, left()] == want else [found, left(), want]


def strangers() -> list[Any]:
    """A wrong secret, and a device of another volume behind the right name: refused, and nothing stays of it."""
    one, wrong = volume("host"), []
    if "does not let this host in" not in (said := refused({**one, "secret": "other-secret-12"})):
        wrong.append(said)
    store({"op": "unexport", "id": one["id"]})
    made = target.Target(backend.Context(), config.Config(backend.Context()).portals, "iqn.2026-01.cloud.agentless")
    with made.changes():
        made.export(one["source"]["iqn"], f"/dev/thin/volume-{one['id']}", {**one, "id": str(uuid.uuid4())})
    if "not that of volume" not in (said := refused(one)):
        wrong.append(said)
    wrong += left()
    store({"op": "delete", "id": one["id"]})
    return wrong


def killed(connection: str) -> list[Any]:
    """Before each effect of connecting and of disconnecting: the next call comes to the same end."""
    wrong: list[Any] = []
    for leaving in (False, True):
        for number in range(1, 20):
            one = volume(connection)
            if leaving:
                host_initiator.connect(Host(), GUEST, one)
            child = os.fork()
            if child == 0:
                ctx = Host(number)
                _ended = host_initiator.disconnect(ctx, GUEST) if leaving else host_initiator.connect(ctx, GUEST, one)
                os._exit(0)
            dead = os.WIFSIGNALED(os.waitpid(child, 0)[1])
            if not leaving:
                host_initiator.connect(Host(), GUEST, one)
                write(connections.device_path(one), "here")
                wrong += [] if read(one) == "here" else [number, "not there"]
            host_initiator.disconnect(Host(), GUEST)
            wrong += [[leaving, number, *left()]] if left() else []
            store({"op": "delete", "id": one["id"]})
            if not dead:
                wrong += [] if number > 3 else ["too few effects"]
                break
    return wrong


SCENARIOS = {
    "life by multipath": lambda: life("multipath"),
    "life": lambda: life("host"),
    "strangers": strangers,
    "restarted by multipath": lambda: restarted("multipath"),
    "restarted": lambda: restarted("host"),
    "killed by multipath": lambda: killed("multipath"),
    "killed": lambda: killed("host"),
}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        began = time.monotonic()
        wrong = SCENARIOS[name]()
        print(json.dumps([name, round(time.monotonic() - began), wrong]), flush=True)
