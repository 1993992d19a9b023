# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""LVM and the kernel's target on a whole machine, with another host that comes to it over iSCSI."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct
from tests.functional.volume.storage import BACKENDS, INITIATOR, OTHER, Storage

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ALL = sorted(BACKENDS)


@pytest.mark.parametrize("backend", ALL)
def test_life(host: Storage, backend: str) -> None:
    """Made, opened, written, grown, deleted; twice is once, check mode says the same, and the next one reads zeros."""
    key = str(uuid.uuid4())

    def both(op: str, **more: Any) -> dict[str, Any]:
        asked = [{"op": op, "id": key, "backend": backend, **more}]
        told = [host.call(asked, check=True)[0], host.call(asked)[0], host.call(asked)[0]]
        assert [(one["ok"], one["changed"]) for one in told] == [(True, True), (True, True), (True, False)], told
        return told[1]

    both("create", size=1)
    export = both("export", **host.login(key))
    host.does(export, "read -P 0 0 32M")
    host.does(export, "write -P 0xa5 0 32M")
    both("extend", size=2)
    assert host.must("inspect", key, backend=backend)["size"] == 2 << 30
    host.does(export, "read -P 0xa5 0 32M")
    host.does(export, "read -P 0 1G 32M")
    host.does(export, "write -P 0xa5 1G 32M")
    both("delete")
    assert host.left() == ""

    host.must("create", key, backend=backend, size=2)
    export = host.must("export", key, backend=backend, **host.login(key))
    for place in ("0", "1G"):
        host.does(export, f"read -P 0 {place} 32M")
    host.must("delete", key, backend=backend)
    assert host.left() == ""


def test_many_go_at_once(host: Storage) -> None:
    """One that is still open, one that somebody holds and the others; whoever goes is told once that it went."""
    keys = [str(uuid.uuid4()) for _each in range(4)]
    host.call([{"op": "create", "id": key, "backend": "b1", "size": 1} for key in keys])
    host.must("export", keys[0], **host.login(keys[0]))
    device = f"/dev/{BACKENDS['b1']['vg']}/volume-{keys[1]}"
    host.shell(f"nohup sleep 600 <{device} >/dev/null 2>&1 & echo $! >/run/holder")
    asked = [{"op": op, "id": key, "backend": "b1"} for key in keys for op in ("unexport", "delete")]
    told = [one["ok"] and one["changed"] for one in host.call(asked)]
    host.shell("kill $(cat /run/holder)")
    assert told == [True, True, False, False, False, True, False, True]
    assert [one["changed"] for one in host.call(asked)] == [False] * 3 + [True] + [False] * 4
    assert host.left() == ""


def test_a_file_grows_while_it_is_open(host: Storage) -> None:
    """Also after a call that grew the file and was killed before the target heard of it; it is saved with its size."""
    key = str(uuid.uuid4())
    host.must("create", key, backend="files", size=1)
    export = host.must("export", key, backend="files", **host.login(key))
    for gib in (2, 3):
        if gib == 3:
            host.shell(f"truncate -s {gib}G /srv/files/volume-{key}")
        asked = [host.must("extend", key, backend="files", size=gib)["changed"] for _turn in range(2)]
        assert asked == [True, False]
        assert f"{gib} GiB" in host.io(export, "length").stdout.decode()
        assert f'"size": {gib << 30}' in host.shell("cat /etc/rtslib-fb-target/saveconfig.json")
        host.does(export, f"write -P {gib} {gib * 1024 - 1}M 1M")
    host.shell("targetctl clear && targetctl restore")
    for gib in (2, 3):
        host.does(export, f"read -P {gib} {gib * 1024 - 1}M 1M")
    host.must("delete", key, backend="files")
    assert host.left() == ""


def test_who_is_let_in(host: Storage) -> None:
    """Only the initiator with the volume's secret; not another one that stole it, nor this one without it."""
    key = f"0b{str(uuid.uuid4())[2:]}"  # how base64 begins, says the kernel
    host.must("create", key, size=1)
    export = host.must("export", key, **host.login(key))
    host.does(export, "read 0 4k")
    for wrong in (
        {"password": "other-secret-12"},
        {"user": "x"},
        {"initiator-name": OTHER},
        {"user": None, "password": None},
    ):
        assert host.io(export, "read 0 4k", **wrong).returncode != 0, wrong
    host.must("export", key, **host.login(key, OTHER))
    assert host.io(export, "read 0 4k").returncode != 0
    assert host.io(export, "read 0 4k", **{"initiator-name": OTHER}).returncode == 0
    host.must("export", key, shared=True, **host.login(key))
    assert [host.io(export, "read 0 4k", **{"initiator-name": name}).returncode for name in (INITIATOR, OTHER)] == [
        0,
        0,
    ]
    assert direct.SECRET not in host.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl --no-pager")
    assert host.shell("stat -c %a /etc/rtslib-fb-target/saveconfig.json").strip() == "600"
    host.must("delete", key)
    assert host.left() == ""


def test_the_target_starts_again(host: Storage) -> None:
    """Everything is back, what could not come back is not forgotten, and what is deleted meanwhile stays away."""
    keys = [str(uuid.uuid4()) for _each in range(3)]
    made = [{"op": "create", "id": key, "backend": "b1", "size": 1} for key in keys]
    opened = [{"op": "export", "id": key, "backend": "b1", **host.login(key)} for key in keys]
    results = host.call(made + opened)
    assert all(one["ok"] for one in results), results
    exports = results[3:]
    host.does(exports[0], "write -P 7 0 1M")
    host.shell(f"targetctl clear && lvchange -an thin/volume-{keys[1]} && targetctl restore", check=False)
    host.does(exports[0], "read -P 7 0 1M")
    assert host.io(exports[1], "read 0 4k").returncode != 0
    host.must("unexport", keys[2])  # saves
    host.shell(f"targetctl clear && lvchange -ay -K thin/volume-{keys[1]} && targetctl restore")
    host.does(exports[1], "read -P 0 0 1M")
    assert host.io(exports[2], "read 0 4k").returncode != 0
    host.shell("targetctl clear")
    results = host.call([{"op": "delete", "id": key, "backend": "b1"} for key in keys])
    assert all(one["ok"] for one in results), results
    assert host.left() == ""


@pytest.mark.parametrize("to", [{"file": ""}, {"backend": "files"}][: 2 if FIGURES > 1 else 1])
def test_backups(host: Storage, to: dict[str, str]) -> None:
    """Whole and by increment; each brings back what was, a damaged one is refused. A long run: both kinds, twice."""
    key, new, first, second = (str(uuid.uuid4()) for _each in range(4))
    wheres = [{"file": each} if "file" in to else to for each in (first, second)]
    host.must("create", key, size=1)
    export = host.must("export", key, **host.login(key))
    host.does(export, "write -P 1 0 16M")
    turns = [{"volume": key, "to": wheres[0]}] * 2
    assert [host.must("backup", first, **asked)["changed"] for asked in turns] == [True, False]
    host.does(export, "write -P 2 8M 4M")
    host.must("backup", second, volume=key, to=wheres[1], since=first)
    made = [(second, wheres[1], "2"), (first, wheres[0], "1")]
    for backup, where, there in made if FIGURES > 1 else made[:1]:
        host.must("create", new, size=1)
        for _turn in range(2 if FIGURES > 1 else 1):
            host.must("restore", new, backup=backup, **{"from": where})
        copy = host.must("export", new, **host.login(new))
        for command in ("-P 1 0 8M", f"-P {there} 8M 4M", "-P 1 12M 4M", "-P 0 16M 4M"):
            host.does(copy, f"read {command}")
        host.must("unexport", new)
        if "file" in to:
            host.shell(
                f"printf x | dd of=/var/lib/agentless/backups/backup-{first} bs=1 seek=64 conv=notrunc status=none"
            )
            assert "damaged" in host.ask("restore", new, backup=backup, **{"from": where})["msg"]
            host.shell(
                f"printf '\\1' | dd of=/var/lib/agentless/backups/backup-{first} bs=1 seek=64 conv=notrunc status=none"
            )
        host.must("delete", new)
    for backup, where, _there in made:
        assert [host.must("backup_absent", backup, to=where)["changed"] for _turn in range(2)] == [True, False]
    host.must("delete", key)
    assert host.left() == ""


def cases() -> list[dict[str, Any]]:
    """What is killed: the operation, what it needs, and how all of it is undone."""
    login = {"initiator": INITIATOR, "user": "$A", "secret": direct.SECRET}
    made: list[dict[str, Any]] = []
    for backend in ALL:
        new = {"op": "create", "id": "$A", "backend": backend, "size": 1}
        gone = {"op": "delete", "id": "$A", "backend": backend}
        export = {"op": "export", "id": "$A", "backend": backend, **login}
        made.append({"before": [], "op": new, "after": [gone]})
        made.append({"before": [new], "op": export, "after": [gone]})
        made.append(
            {"before": [new, export], "op": {"op": "unexport", "id": "$A", "backend": backend}, "after": [gone]}
        )
        made.append({"before": [new], "op": {**new, "op": "extend", "size": 2}, "after": [gone]})
        made.append({"before": [new, export], "op": {**new, "op": "extend", "size": 2}, "after": [gone]})
        made.append({"before": [new, export], "op": gone, "after": [gone]})
    new, gone = made[0]["op"], made[0]["after"][0]
    snapshot = {"op": "snapshot", "id": "$B", "volume": "$A", "backend": "b1"}
    dropped = {**snapshot, "op": "snapshot_absent"}
    clone = {"op": "create", "id": "$C", "backend": "b1", "size": 2, "source": {"snapshot": "$B"}}
    cloned = {"op": "delete", "id": "$C", "backend": "b1"}
    backup = {"op": "backup", "id": "$B", "volume": "$A", "backend": "b1", "to": {"file": "$B"}}
    made.append({"before": [new], "op": snapshot, "after": [dropped, gone]})
    made.append({"before": [new, snapshot], "op": clone, "after": [cloned, dropped, gone]})
    made.append({"before": [new], "op": backup, "after": [{**backup, "op": "backup_absent"}, gone]})
    return made


def usual(case: dict[str, Any]) -> bool:
    """Whether every run tries it; a long one (FIGURES) tries all."""
    op = case["op"]
    return op["backend"] == "b1" and (op["op"] == "export" or "source" in op)


def test_killed_anywhere(host: Storage) -> None:
    """Before each effect: the next call comes to the same end, and deleting leaves nothing."""
    for place, case in enumerate(each for each in cases() if FIGURES > 1 or usual(each)):
        found = host.asked(case)
        assert found["wrong"] == [], (place, case["op"], found)
        assert found["effects"] > 0, (place, case["op"])


def test_a_full_pool(host: Storage) -> None:
    """Writes wait until the pool has grown, and nothing that was written is lost."""
    keys = [str(uuid.uuid4()) for _each in range(2)]
    for key in keys:
        host.must("create", key, size=1)
    exports = [host.must("export", key, **host.login(key)) for key in keys]
    host.does(exports[0], "write -P 3 0 700M")
    ended: list[int] = []
    worker = threading.Thread(target=lambda: ended.append(host.io(exports[1], "write -P 4 0 500M").returncode))
    worker.start()
    worker.join(20)
    assert worker.is_alive(), "the pool was not full"
    host.shell("lvextend -qq -L +512M thin/pool")
    worker.join(100)
    assert ended == [0]
    host.does(exports[0], "read -P 3 0 700M")
    host.does(exports[1], "read -P 4 0 500M")
    for key in keys:
        host.must("delete", key)
    assert host.left() == ""
