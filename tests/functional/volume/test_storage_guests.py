# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest that writes to a volume notices of a pool that is full, of a target that restarts, of one that grows."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct
from tests.functional.volume.storage import Storage

pytestmark = [pytest.mark.lab, pytest.mark.slow]

MIB = 40  # what a guest writes: more than the small pool holds
LINE = "what was written is what is read\n"
UNIT = "rtslib-fb-targetctl"
WAITS = "/sys/module/dm_thin_pool/parameters/no_space_timeout"


class Compute(direct.Site):
    """The compute host, whose volumes are on the storage host."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.client.lab)
        self.storage = storage
        self.backend = "b1"

    def ask(self, op: str, volume_id: str, **more: Any) -> dict[str, Any]:
        """The result of one operation of the storage host."""
        return self.storage.ask(op, volume_id, **{"backend": self.backend, **more})

    def state(self, guest: str) -> str:
        """Whether the guest runs, and why."""
        return self.shell(f"virsh domstate --reason {guest}").strip()

    def begin(self, guest: str) -> None:
        """Have the guest write, and then read what it wrote; it goes on by itself."""
        wrote = f"yes '{LINE.strip()}' | head -c {MIB << 20} | dd of=/dev/vdc bs=64k conv=fsync; echo $? >/tmp/code"
        read = (
            f"echo 3 >/proc/sys/vm/drop_caches; head -c {MIB << 20} /dev/vdc | md5sum >/tmp/sum; mv /tmp/sum /tmp/end"
        )
        self.talk(guest, f"rm -f /tmp/code /tmp/end; ({wrote}; {read}) >/dev/null 2>&1 &")

    def has(self, guest: str, name: str) -> str:
        """A small file of the guest; nothing where it is not there yet."""
        return self.talk(guest, f"cat {name} 2>/dev/null; true").strip()

    def ends(self, guest: str, patience: float = 400) -> None:
        """The guest comes to the end without an error, and what it wrote is there."""
        until(lambda: self.has(guest, "/tmp/end") != "", patience)
        assert self.has(guest, "/tmp/code") == "0", self.talk(guest, "dmesg | tail -n 5")
        whole = (LINE * ((MIB << 20) // len(LINE) + 1)).encode()[: MIB << 20]
        assert self.has(guest, "/tmp/end").split()[0] == hashlib.md5(whole, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def compute(host: Storage) -> Compute:
    """The compute host of the same lab."""
    made = Compute(host)
    made.prepare()
    return made


@pytest.fixture(scope="module")
def guest(compute: Compute) -> Iterator[str]:
    """A guest that is ready."""
    made = compute.guest()
    yield made
    compute.one("destroy", made)


@pytest.fixture
def small(compute: Compute) -> Iterator[Compute]:
    """The volumes are in a pool that is soon full."""
    storage = compute.storage
    waits = storage.shell(f"cat {WAITS}").strip()
    storage.shell("lvcreate -qq -y --type thin-pool --zero y -L 16M -n small thin")
    storage.configure(small={"driver": "lvm", "vg": "thin", "pool": "small", "thin": True})
    compute.backend = "small"
    yield compute
    compute.backend = "b1"
    storage.configure()
    storage.shell(f"lvremove -qq -y thin/small; echo {waits} >{WAITS}")


@pytest.fixture
def volume(compute: Compute, guest: str) -> Iterator[str]:
    """A volume of the guest."""
    key = str(uuid.uuid4())
    compute.must("create", key, size=1)
    compute.plug(guest, key)
    yield key
    compute.unplug(guest, key)
    compute.must("delete", key)


def until(true: Callable[[], bool], patience: float = 300) -> None:
    """Wait for it."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(1)


LONG = 600  # seconds, so that no busy machine is slower; the kernel's own are 60
LATER = pytest.mark.skipif(FIGURES <= 1, reason="much of it is seen elsewhere in a short run: AGENTLESS_FIGURES=2")


@pytest.mark.parametrize(
    ("when_full", "seconds"),
    [
        pytest.param("n", LONG, id="waits", marks=LATER),
        pytest.param("n", 3, id="waited in vain", marks=LATER),
        pytest.param("y", LONG, id="fails at once"),
    ],
)
def test_a_full_pool(small: Compute, volume: str, guest: str, when_full: str, seconds: int) -> None:
    """The guest waits, or stands still and is started again; when the pool has grown all that it wrote is there."""
    storage = small.storage
    storage.shell(f"lvchange -qq --errorwhenfull {when_full} thin/small; echo {seconds} >{WAITS}")
    small.begin(guest)
    waits = (when_full, seconds) == ("n", LONG)
    if waits:
        until(lambda: "100.00" in storage.shell("lvs --noheadings -o data_percent thin/small"))
        time.sleep(5)
        assert small.state(guest).startswith("running")
        assert small.has(guest, "/tmp/code") == ""
    else:
        until(lambda: small.state(guest) == "paused (I/O error)")
    storage.shell("lvextend -qq -L +128M thin/small")
    if not waits:
        assert [small.one("start", guest)[key] for key in ("changed", "state")] == [True, "running"]
    small.ends(guest)


def test_a_target_that_restarts(compute: Compute, volume: str, guest: str) -> None:
    """The guest writes on when it is back, and nothing is lost."""
    compute.begin(guest)
    for seconds in (0, 0, 15):
        compute.storage.shell(f"systemctl stop {UNIT} && sleep {seconds} && systemctl start {UNIT}")
        time.sleep(3)
    assert compute.state(guest).startswith("running")
    compute.ends(guest)


@LATER
def test_a_file_that_grows(compute: Compute, guest: str) -> None:
    """A running guest sees the new size, and uses it."""
    key = str(uuid.uuid4())
    compute.backend = "files"
    try:
        compute.must("create", key, size=1)
        compute.plug(guest, key)
        direct.write(compute, guest, "first")
        assert [compute.must("extend", key, size=2)["changed"] for _turn in range(2)] == [True, False]
        assert compute.one("resize_volume", guest, volume={"id": key, "size": 2})["changed"] is True
        assert "4194304" in compute.talk(guest, "cat /sys/block/vdc/size")
        end = "bs=1M seek=2047 conv=fsync"
        compute.talk(guest, f"echo last | dd of=/dev/vdc {end} && echo 3 >/proc/sys/vm/drop_caches")
        assert "last" in compute.talk(guest, "tail -c 1048576 /dev/vdc | head -c 4")
        assert direct.read(compute, guest) == "first"
        compute.unplug(guest, key)
        compute.must("delete", key)
    finally:
        compute.backend = "b1"
