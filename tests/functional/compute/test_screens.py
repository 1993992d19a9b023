# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A port scan of a compute host: nothing listens for the screens of its guests."""

from __future__ import annotations

import pytest

from tests.functional.compute.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def listening(machine: Machine) -> list[str]:
    """What QEMU has open on the host, TCP and UDP, and whatever listens where screens are usually found."""
    lines = machine.shell("ss -Hlntup").splitlines()
    return [line for line in lines if "qemu" in line or ":59" in line.split()[4]]


def test_no_port_of_a_guest(machine: Machine) -> None:
    """A guest that has booted, with its graphics card."""
    spec = machine.spec("quiet")
    assert machine.run([machine.spawn(spec)])[0]["ok"]
    machine.ready(spec.id)
    assert "<video>" in machine.shell(f"virsh dumpxml {spec.id}")
    assert listening(machine) == []


def test_a_guest_of_an_earlier_release(machine: Machine) -> None:
    """It keeps its open port, which the scan finds, and is not restarted for it; its next start closes the port."""
    spec = machine.spec("old", halts=True)
    where = machine.host.address
    listen = f'<listen type="address" address="{where}"/>'
    old = f'<graphics type="vnc" port="-1" autoport="yes" listen="{where}">{listen}</graphics><video>'
    made = machine.spawn(spec)
    assert machine.run([{**made, "xml": made["xml"].replace("<video>", old)}])[0]["ok"]
    assert len(listening(machine)) == 1
    pid = machine.shell("pgrep qemu-system")
    for _again in range(2):
        assert machine.run([machine.spawn(spec)])[0] == {"ok": True, "changed": False, "state": "running"}
        assert machine.one("start", spec.id)["changed"] is False
    assert machine.shell("pgrep qemu-system") == pid
    assert machine.run([{"op": "inspect"}])[0]["instances"][spec.id]["screens"] == ["vnc"]
    machine.one("reboot", spec.id, hard=True)
    assert machine.shell("pgrep qemu-system") != pid
    assert listening(machine) == []
    assert machine.run([{"op": "inspect"}])[0]["instances"][spec.id]["screens"] == []
    machine.one("destroy", spec.id)
    assert machine.remains() == ""
