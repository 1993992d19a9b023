# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes over NFS, with a guest that reaches them by QEMU's own client; the server runs in user space."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.volume import direct

pytestmark = [pytest.mark.lab, pytest.mark.slow]

WHERE = "/srv/nfs"
# What the role tells the kernel's server: a client's root is nobody, and QEMU comes from a port above 1023. Unlike the
# kernel's, this server has to be told that it is not alone with the files.
GANESHA = f"""
NFS_CORE_PARAM {{ Protocols = 3; mount_path_pseudo = true; Enable_NLM = false; Enable_RQUOTA = false; }}
EXPORT {{ Export_Id = 7; Path = {WHERE}; Pseudo = {WHERE}; Protocols = 3; Transports = TCP;
 Access_Type = None; SecType = sys; Squash = Root_Squash; PrivilegedPort = false; Attr_Expiration_Time = 0;
 FSAL {{ Name = VFS; }}
 CLIENT {{ Clients = 10.213.0.0/16; Access_Type = RW; }} }}
"""
# File handles need a file system that has them; the one below a test host has not.
MADE = (
    f"mkdir -p {WHERE} && mount -t tmpfs -o size=4G,mode=711 none {WHERE} && cat > /etc/ganesha/ganesha.conf && "
    "systemctl start rpcbind nfs-ganesha && for n in $(seq 50); do rpcinfo -t localhost nfs 3 && break; sleep 0.2; done"
)


@pytest.fixture(scope="module")
def host() -> Iterator[direct.Site]:
    """A server in one test host."""
    with direct.site() as made:
        made.install("nfs-ganesha-vfs", "rpcbind")
        made.shell(MADE, stdin=GANESHA.encode())
        made.offer(driver="nfs", path=WHERE, server=made.host.address)
        yield made


@pytest.fixture(scope="module")
def guest(host: direct.Site) -> str:
    """A guest that is ready."""
    return host.guest()


def test_life(host: direct.Site, guest: str) -> None:
    """And the directory is empty."""
    direct.life(host, guest)
    assert host.shell(f"ls -A {WHERE}") == ""


def test_from_an_image(host: direct.Site) -> None:
    """Written where it lies."""
    direct.from_image(host)


def test_shut_out(host: direct.Site, guest: str) -> None:
    """The server asks at each write whose the file is."""
    direct.shut_out(host, guest)
