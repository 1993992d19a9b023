# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes in a real Ceph of one node, with a guest that reaches them by QEMU's own client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx
from tests.functional.volume import direct

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CLUSTER = Path(__file__).with_name("ceph.sh")


@pytest.fixture(scope="module")
def host() -> Iterator[direct.Site]:
    """A cluster in one test host."""
    with direct.site() as made:
        made.install("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common", "python3-rados", "python3-rbd")
        made.shell(f"bash -s {made.host.address}", stdin=CLUSTER.read_bytes())
        made.offer(driver="rbd", pool="volumes", user="agentless")
        yield made


@pytest.fixture(scope="module")
def guest(host: direct.Site) -> str:
    """A guest that is ready."""
    return host.guest()


def test_life(host: direct.Site, guest: str) -> None:
    """And nothing is left in the pool, nor a user."""
    direct.life(host, guest)
    assert (
        host.shell("rbd ls volumes; rbd trash ls --all volumes; ceph auth ls 2>/dev/null | grep agentless-; true") == ""
    )


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
    key, clone = str(uuid.uuid4()), str(uuid.uuid4())
    host.must("create", key, size=1)
    host.must("create", clone, size=1, source={"volume": key})
    assert host.must("delete", key)["changed"]
    assert host.must("inspect", clone)["size"] == 1 << 30
    assert host.must("delete", clone)["changed"]
    assert host.shell("rbd ls volumes; rbd trash ls --all volumes") == ""
