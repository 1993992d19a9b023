# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One volume in guests on two hosts, and what is left of it when one of the hosts loses power."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from agentless_lab import lab
from agentless_lab.system import PREREQUISITES, LabError, require

from tests.functional.compute.machine import CHECKOUT, Machine
from tests.functional.compute.test_volumes import SECRET, WHERE, places, secrets

pytestmark = [pytest.mark.lab, pytest.mark.slow]

TGT = "tgtadm --lld iscsi"


class Host(Machine):
    """One of two compute hosts; the target is on the first."""

    def __init__(self, lab_name: str, name: str) -> None:
        super().__init__(lab_name)
        self.host = lab.find(lab_name, name)

    def guest(self, volume: dict[str, Any]) -> str:
        """A guest that is ready, with the volume plugged in."""
        spec = self.spec("shared")
        assert self.run([self.spawn(spec)])[0]["ok"]
        self.ready(spec.id)
        self.one("attach_volume", spec.id, volume=volume)
        return spec.id

    def write(self, guest: str, text: str, place: int) -> None:
        """Have the guest write to a sector, past its page cache when that is done."""
        self.talk(guest, f"echo {text} | dd of=/dev/vdc bs=512 seek={place} conv=sync,fsync 2>/dev/null")

    def read(self, guest: str, place: int) -> str:
        """What the guest finds there, and not in its page cache."""
        fresh = "echo 3 > /proc/sys/vm/drop_caches"
        return self.talk(guest, f"{fresh}; dd if=/dev/vdc bs=512 skip={place} count=1 2>/dev/null | head -c 4").strip()


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts with libvirtd."""
    try:
        require(PREREQUISITES)
    except LabError as error:
        pytest.skip(str(error))
    name = f"shared{os.getpid()}"
    lab.up(lab.Plan(name=name, hosts=("c1", "c2")), timeout=60)
    try:
        made = Host(name, "c1"), Host(name, "c2")
        for each in made:
            each.prepare()
            each.shell("systemctl enable --quiet libvirtd")
        yield made
    finally:
        lab.down(name)


def offered(first: Host, names: list[str]) -> dict[str, Any]:
    """A volume that these initiators are let in to."""
    key = str(uuid.uuid4())
    iqn, path = f"iqn.2026-01.cloud.agentless:a.volume-{key}", f"{WHERE}/{key}"
    first.shell("systemctl start tgt; for n in $(seq 50); do tgtadm --op show --mode sys && break; sleep 0.1; done")
    first.shell(
        f"mkdir -p {WHERE}; truncate -s 64M {path} && {TGT} --op new --mode target --tid 1 -T {iqn} && "
        f"{TGT} --op new --mode logicalunit --tid 1 --lun 1 -b {path} && "
        f"{TGT} --op new --mode account --user {key} --password {SECRET} && "
        f"{TGT} --op bind --mode account --tid 1 --user {key}"
    )
    for name in names:
        first.shell(f"{TGT} --op bind --mode target --tid 1 -Q {name}")
    source = {"protocol": "iscsi", "portal": f"{first.host.address}:3260", "iqn": iqn, "lun": 1}
    about = {"id": key, "serial": key, "device": "vdc", "source": source, "user": key, "secret": SECRET}
    return {**about, "multiattach": True}


def power(host: Host, verb: str) -> None:
    """Pull the plug of a host, or put it back."""
    command = [CHECKOUT / "tests" / "lab" / "lab", verb, host.host.lab, host.host.name]
    subprocess.run(command, check=True, capture_output=True)


def test_shared_by_two_and_kept_through_a_power_cut(hosts: tuple[Host, Host]) -> None:
    """Each reads what the other wrote; one whose host lost power starts with it again; one may leave."""
    first, second = hosts
    names = [str(each.run([{"op": "discover"}])[0]["initiator"]) for each in hosts]
    volume = offered(first, names)
    refused = second.run([{"op": "attach_volume", "id": str(uuid.uuid4()), "volume": {**volume, "cache": "writeback"}}])
    assert "with multiattach, cache is none or directsync" in refused[0]["msg"]
    one, two = (each.guest(volume) for each in hosts)
    for each, guest in zip(hosts, (one, two), strict=True):
        assert each.shell(f"virsh dumpxml {guest}").count("<shareable/>") == 1
    first.write(one, "abcd", 8)
    assert second.read(two, 8) == "abcd"
    second.write(two, "efgh", 8)
    assert first.read(one, 8) == "efgh"

    power(second, "kill")
    first.write(one, "ijkl", 8)
    power(second, "start")
    assert volume["id"] in secrets(second)
    assert [second.one("start", two)["changed"] for _turn in range(2)] == [True, False]
    second.ready(two)
    assert second.read(two, 8) == "ijkl"

    assert second.one("detach_volume", two, volume={"id": volume["id"]})["released"] is True
    assert (secrets(second), places(second, two)) == ("", [[], []])
    first.shell(f"{TGT} --op unbind --mode target --tid 1 -Q {names[1]}")
    first.write(one, "mnop", 8)
    assert first.read(one, 8) == "mnop"
