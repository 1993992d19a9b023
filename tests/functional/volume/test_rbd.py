# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes in a real Ceph of one node, with a guest that reaches them by QEMU's own client."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx
from tests.functional.compute.machine import STORE, STORE_PORT, TREE
from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CLUSTER = Path(__file__).with_name("ceph.sh")
# Makes a volume from an image, killed before each of its effects in turn, and then once more.
KILLED = """
import json, os, signal, sys, uuid
from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.volume import operations

def call(listed, kill_at=0):
    read, write = os.pipe()
    if not os.fork():
        seen = [0]
        def effect(self, name):
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        backend.Context.effect = effect
        os.write(write, json.dumps(operations.carry_out(backend.Context(), listed)).encode())
        os._exit(0)
    os.close(write)
    said = os.fdopen(read, "rb").read()
    os.wait()
    return json.loads(said) if said else None

source, wrong, step = json.loads(sys.argv[1]), [], 0
name = "image-" + source["image"]["checksum"][7:] + "-raw"
while step < 20:
    step += int(sys.argv[2])
    about = {"backend": "b1", "id": str(uuid.uuid4()), "generation": 1}
    make = {"op": "create", "size": 1, "source": source, **about}
    killed = call([make], step) is None
    replies = call([make, {"op": "delete", **about}])
    if not all(one["ok"] for one in replies):
        wrong.append([step, replies])
    left = os.popen("rbd ls volumes").read().split()
    if [one for one in left if not one.startswith("image-")]:
        wrong.append([step, left])
    if not killed:
        break
    os.system("rbd snap unprotect volumes/" + name + "@base 2>/dev/null; rbd snap purge volumes/" + name
              + " 2>/dev/null; rbd rm volumes/" + name + " >/dev/null 2>&1")
print(json.dumps({"steps": step, "wrong": wrong}))
"""


@pytest.fixture(scope="module")
def host() -> Iterator[direct.Site]:
    """A cluster in one test host."""
    with direct.site() as made:
        made.install("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common", "python3-rados", "python3-rbd")
        made.shell(f"bash -s {made.host.address}", stdin=CLUSTER.read_bytes())
        made.offer(driver="rbd", pool="volumes", user="agentless")
        yield made


@pytest.fixture(scope="module")
def booted(host: direct.Site) -> tuple[str, str]:
    """A guest that boots from a clone of an image, and the volume that this is."""
    return direct.booted(host)


@pytest.fixture
def guest(booted: tuple[str, str]) -> str:
    """The guest."""
    return booted[0]


def left(host: direct.Site) -> str:
    """What there is in the pool, but for images."""
    return host.shell("rbd ls volumes | grep -v ^image-; rbd trash ls --all volumes; true")


def bases(host: direct.Site) -> list[str]:
    """The images in the pool."""
    return host.shell("rbd ls volumes | grep ^image-; true").split()


def test_life(host: direct.Site, booted: tuple[str, str]) -> None:
    """And nothing is left in the pool, nor a user."""
    direct.life(host, booted[0])
    assert left(host).split() == [f"volume-{booted[1]}"]
    users = host.shell("ceph auth ls 2>/dev/null | grep client.agentless-; true").split()
    assert [one for one in users if booted[1] not in one] == []


def test_from_an_image(host: direct.Site) -> None:
    """Written by QEMU's tools."""
    direct.from_image(host)


def test_shut_out(host: direct.Site, guest: str) -> None:
    """The lock on the map of blocked clients does it."""
    direct.shut_out(host, guest)


def test_a_stolen_key(host: direct.Site) -> None:
    """It opens one volume and no other, lists nothing, makes nothing, and is worth nothing after the export."""
    key, other = str(uuid.uuid4()), str(uuid.uuid4())
    for each in (key, other):
        host.must("create", each, size=1)
    made = host.must("export", key, **host.login(key))
    ring = cephx.keyring(made["user"], cephx.key(direct.SECRET, host.initiator()), "")
    host.shell("umask 077; cat > /run/stolen", stdin=ring.encode())
    rbd = f"timeout 20 rbd --id {made['user']} --keyring /run/stolen"

    def refused(line: str) -> bool:
        return host.shell(f"{line} >/dev/null 2>&1 && echo in || echo refused").strip() == "refused"

    assert not refused(f"{rbd} status volumes/volume-{key}")
    assert refused(f"{rbd} status volumes/volume-{other}")
    assert refused(f"{rbd} ls volumes")
    assert refused(f"{rbd} create --size 1G volumes/mine")
    assert refused(f"{rbd} rm volumes/volume-{other}")
    assert refused(f"timeout 20 ceph --id {made['user']} --keyring /run/stolen auth ls")
    assert host.must("unexport", key)["changed"]
    assert refused(f"{rbd} status volumes/volume-{key}")
    for each in (key, other):
        host.must("delete", each)


def test_clones_outlive_what_they_came_from(host: direct.Site) -> None:
    """A volume goes while its clone lives; its room is free when the clone has gone."""
    before = left(host)
    key, clone = str(uuid.uuid4()), str(uuid.uuid4())
    host.must("create", key, size=1)
    host.must("create", clone, size=1, source={"volume": key})
    assert host.must("delete", key)["changed"]
    assert host.must("inspect", clone)["size"] == 1 << 30
    assert host.must("delete", clone)["changed"]
    assert left(host) == before


def test_a_guest_on_a_clone_of_an_image(host: direct.Site, booted: tuple[str, str]) -> None:
    """What it writes is its own and is kept; who steals its key reads the image, but neither writes it nor another."""
    (guest, key), other = booted, str(uuid.uuid4())
    host.must("create", other, size=1, source=direct.image(host))
    base = f"image-{host.digest}-qcow2"
    for each in (key, other):
        assert f"volumes/{base}@base" in host.shell(f"rbd info volumes/volume-{each}")
    direct.keeps(host, guest, off=FIGURES > 1)

    user, opened = cephx.user(key, host.initiator()), "timeout 20 rados -p volumes --keyring /run/stolen"
    ring = cephx.keyring(user, cephx.key(direct.SECRET, host.initiator()), "")
    host.shell("umask 077; cat > /run/stolen", stdin=ring.encode())

    def may(what: str, image: str, block: int = 0) -> bool:
        info = json.loads(host.shell(f"rbd info --format json volumes/{image}"))
        first = f"{info['block_name_prefix']}.{block:016x}"
        host.shell(f"rados -p volumes stat {first}")
        line = f"{opened} --id {user} {what} {first} /run/block"
        return host.shell(f"{line} >/dev/null 2>&1 && echo in || echo refused").strip() == "in"

    assert may("get", f"volume-{key}", 100 // 4)
    assert may("get", base)
    assert not may("put", base)
    host.shell(f"rbd bench --io-type write --io-size 4K --io-total 4K volumes/volume-{other} >/dev/null 2>&1")
    assert not may("get", f"volume-{other}")
    assert not may("put", f"volume-{other}")
    host.must("delete", other)
    host.one("destroy", guest)
    host.must("delete", key)
    assert left(host) == ""


def test_an_image_is_brought_in_once(host: direct.Site) -> None:
    """By those who ask at once, and after a kill at each step; it goes when it was not used for long, not before."""
    before = left(host)
    name = hashlib.sha256(b"raw image").hexdigest()
    host.shell(f"printf 'raw image' > {STORE}/{name}")
    url = f"https://127.0.0.1:{STORE_PORT}/{name}"
    raw = {"image": {"checksum": f"sha256:{name}", "format": "raw", "url": url, "size": 9}}
    killed = json.loads(
        host.shell(f"PYTHONPATH={TREE} python3 - '{json.dumps(raw)}' {1 if FIGURES > 1 else 3}", stdin=KILLED.encode())
    )
    assert killed["steps"] >= 6
    assert killed["wrong"] == []

    def age(image: str, days: int) -> None:
        host.shell(f"rados -p volumes setomapval agentless_images {image} $(($(date +%s) - {days} * 86400))")

    held, loose = str(uuid.uuid4()), str(uuid.uuid4())
    host.must("create", held, size=1, source=direct.image(host))
    host.must("create", loose, size=1, source=raw)
    host.must("delete", loose)
    first = f"image-{host.digest}-qcow2"
    for each in bases(host):
        age(each, 31)
    other = hashlib.sha256(b"another").hexdigest()
    host.shell(f"printf another > {STORE}/{other}")
    new = {"image": {**raw["image"], "checksum": f"sha256:{other}", "url": url.replace(name, other), "size": 7}}
    ids = [str(uuid.uuid4()) for _each in range(4)]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda key: host.must("create", key, size=1, source=new), ids))
    assert all(one["changed"] for one in made)
    assert set(bases(host)) == {first, f"image-{other}-raw"}
    assert host.shell("cat /run/image-store.log").count(f"GET /{other}") == 1
    assert host.shell(f"rbd export volumes/volume-{ids[3]} - 2>/dev/null | head -c 7") == "another"
    for each in (*ids, held):
        host.must("delete", each)
    assert left(host) == before


def test_backups(host: direct.Site) -> None:
    """Of a clone, and an increment of what changed, to files, to another backend and into the pool; nothing is left."""
    key, one, two, copy, into, new, other = (str(uuid.uuid4()) for _each in range(7))
    before = left(host)
    pool, files = "rbd:volumes/volume-", f"{direct.FILES}/volume-"
    host.must("create", key, size=1, source=direct.image(host))

    def does(where: str, *commands: str) -> None:
        told = " ".join(f"-c '{command}'" for command in commands)
        said = host.shell(f"qemu-io -f raw {told} {where} 2>&1; qemu-io -f raw -r -c 'read -v 0 512' {where}")
        assert "failed" not in said, said
        assert "55 aa" in said, "the image's own boot sector"

    old = ("read -P 1 100M 9M", "read -P 2 400M 1M", "read -P 0 500M 500M")
    now = ("read -P 3 30M 1k", "read -P 0 100M 5M", "read -P 1 105M 4M", "read -P 2 400M 1M", "read -P 4 2047M 1M")
    does(pool + key, "write -P 1 100M 9M", "write -P 2 400M 1M")
    assert host.must("backup", one, volume=key, to={"file": one})["checksum"]
    host.must("extend", key, size=2)
    does(pool + key, "write -P 3 30M 1k", "write -z -u 100M 5M", "write -P 4 2047M 1M")
    whole = host.must("backup", two, volume=key, to={"file": two}, since=one)["checksum"]
    assert host.shell(f"rbd snap ls volumes/volume-{key} | grep -o 'kept-[^ ]*'").split() == [f"kept-{two}"]
    assert int(host.shell(f"du -m /var/lib/agentless/backups/backup-{two}").split()[0]) <= 20
    assert host.must("backup", copy, volume=key, to={"backend": "files"})["checksum"] == whole

    host.must("create", new, size=2)
    for backup, want in ((two, now), (one, old)):
        host.must("restore", new, backup=backup, **{"from": {"file": backup}})
        does(pool + new, *want)
    host.must("create", other, size=2, backend="files")
    host.must("restore", other, backend="files", backup=copy, **{"from": {"backend": "files"}})
    does(files + other, *now)
    made = host.must("backup", into, volume=other, backend="files", to={"backend": direct.BACKEND})
    assert made["checksum"] == whole
    does(f"rbd:volumes/backup-{into}", *now)

    host.must("backup_absent", into, backend="files", to={"backend": direct.BACKEND})
    for each in (two, one):
        host.must("backup_absent", each, to={"file": each})
    host.must("delete", key)
    host.must("backup_absent", copy, to={"backend": "files"})
    host.must("delete", new)
    host.must("delete", other, backend="files")
    assert left(host) == before
    assert host.shell(f"ls /var/lib/agentless/backups {direct.FILES} | grep -e '-'; true") == ""
    assert host.shell("rados -p volumes listomapkeys agentless_snapshots") == ""
