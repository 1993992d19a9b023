# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own initiator: the machine logs in to its own targets, by one address and by two at once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.compute.machine import CHECKOUT, TREE
from tests.functional.conductor.world import FIGURES
from tests.functional.volume.storage import Storage

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SECOND = "10.250.0.1"
USUAL = ("life by multipath", "strangers")
LONG = ("life", "restarted", "restarted by multipath", "killed", "killed by multipath")


@pytest.fixture(scope="module")
def able(host: Storage) -> Iterator[Storage]:
    """The storage host with a second address, and what the role compute would set up."""
    host.shell(f"ip address add {SECOND}/32 dev lo; mkdir -p /etc/multipath/conf.d")
    settings = CHECKOUT / "roles/compute/files/multipath.conf"
    host.shell("cat > /etc/multipath/conf.d/agentless.conf", stdin=settings.read_bytes())
    host.shell("systemctl start iscsid.socket iscsid.service multipathd.service")
    host.configure(portals=[f"{host.host.address}:3260", f"{SECOND}:3260"])
    host.shell(f"cat > {TREE}/on_initiator.py", stdin=Path(__file__).with_name("on_initiator.py").read_bytes())
    yield host
    host.configure()
    host.shell(f"systemctl stop multipathd.socket multipathd.service; ip address del {SECOND}/32 dev lo")


def ran(host: Storage, *names: str) -> dict[str, list[object]]:
    """What was wrong in each scenario."""
    argv = shlex.join(["python3", f"{TREE}/on_initiator.py", *names])
    said = host.shell(f"PYTHONPATH={TREE} {argv}")
    assert len(said.splitlines()) == len(names), said
    return {name: wrong for name, _seconds, wrong in map(json.loads, said.splitlines()) if wrong}


def test_by_the_host(able: Storage) -> None:
    """Two ways to one device, which comes, grows and goes without a trace; nothing else gets in under its name."""
    assert ran(able, *USUAL) == {}
    assert able.left() == ""


@pytest.mark.skipif(FIGURES <= 1, reason="some minutes on an emulated machine: AGENTLESS_FIGURES=2")
def test_killed_anywhere(able: Storage) -> None:
    """After a restart of the host, and before each effect of coming and going, by one way and by two."""
    assert ran(able, *LONG) == {}
    assert able.left() == ""
