# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes in a real Gluster of one brick, with a guest that reaches them by QEMU's own client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct

pytestmark = [pytest.mark.lab, pytest.mark.slow]

MADE = (
    "systemctl start glusterd && for n in $(seq 50); do gluster volume list >/dev/null 2>&1 && break; sleep 0.2; done; "
    "gluster --mode=script volume create vols {0}:/srv/brick force && "
    # What was killed is missed after so many seconds, not after 42.
    "gluster --mode=script volume set vols network.ping-timeout 4 && gluster --mode=script volume start vols"
)


@pytest.fixture(scope="module")
def host() -> Iterator[direct.Site]:
    """A volume of Gluster in one test host."""
    with direct.site() as made:
        made.install("glusterfs-server")
        made.shell(MADE.format(made.host.address))
        made.offer(driver="gluster", volume="vols", servers=[made.host.address])
        yield made


@pytest.fixture(scope="module")
def booted(host: direct.Site) -> tuple[str, str]:
    """A guest that boots from a volume in Gluster, and the volume that this is."""
    return direct.booted(host)


def test_life(host: direct.Site, booted: tuple[str, str]) -> None:
    """Of volumes beside the one that the guest booted from, and they leave the brick as it was."""
    assert '-blockdev {"driver":"gluster"' in host.shell("tr '\\0' ' ' < /proc/$(pgrep -n qemu-system)/cmdline")
    direct.life(host, booted[0])
    assert host.shell("ls /srv/brick").split() == [f"volume-{booted[1]}"]


def test_from_an_image(host: direct.Site) -> None:
    """Written through the mount."""
    direct.from_image(host)


def test_only_while_it_is_exported(host: direct.Site) -> None:
    """QEMU's user opens a volume while a host holds it, and nobody's volume otherwise; a lost mount is made anew."""
    key = str(uuid.uuid4())
    host.must("create", key, size=1)
    address = f"gluster://{host.host.address}/vols/volume-{key}"

    def opens() -> bool:
        line = f"setpriv --reuid libvirt-qemu --clear-groups qemu-io -f raw -c 'write 0 512' {address}"
        return host.shell(f"{line} >/dev/null 2>&1 && echo in || echo refused").strip() == "in"

    assert not opens()
    for one in ("a", "b"):
        host.must("export", key, shared=True, **host.login(key, f"iqn.2026-01.x.y:{one}"))
    assert opens()
    assert host.must("unexport", key, initiator="iqn.2026-01.x.y:a")["changed"]
    assert opens(), "the other host still holds it"
    host.shell("pkill -9 -x glusterfs; sleep 0.5")
    assert host.must("unexport", key)["changed"]
    assert not opens()
    host.must("delete", key)


@pytest.mark.skipif(FIGURES < 2, reason="another boot and ten seconds for closing: a long run has them")
def test_what_the_guest_wrote_is_kept(host: direct.Site, booted: tuple[str, str]) -> None:
    """Off, and on again."""
    direct.keeps(host, booted[0], off=True)


def test_the_guest_goes(host: direct.Site, booted: tuple[str, str]) -> None:
    """And its volume, of which the brick knows no more."""
    guest, key = booted
    host.one("destroy", guest)
    host.must("unexport", key)
    host.must("delete", key)
    assert host.shell("ls /srv/brick") == ""
