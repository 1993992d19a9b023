# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a guest on a real libvirtd: spawned, seen running, stopped, started, changed, destroyed."""

from __future__ import annotations

import re
import time

import pytest

from tests.functional.compute.machine import STATE, Machine

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_from_spawn_to_destroy(machine: Machine) -> None:
    """A guest boots from its disk, reads its seed, obeys, and leaves nothing behind."""
    spec = machine.spec("web1")
    assert machine.run([machine.spawn(spec)])[0] == {"ok": True, "changed": True, "state": "running"}
    assert machine.run([machine.spawn(spec)])[0] == {"ok": True, "changed": False, "state": "running"}
    machine.ready(spec.id)
    text = str(machine.one("console_log", spec.id, max_bytes=65536)["log"])
    assert f"GUEST-READY hostname=web1 instance-id={spec.id}" in text
    assert "\x1b" not in text

    modes = machine.shell(f"stat -c '%a %U %n' {STATE}/instances/{spec.id}/* | sed 's|/.*/||'").splitlines()
    assert sorted(modes)[:3] == ["600 libvirt-qemu disk.qcow2", "600 libvirt-qemu seed.iso", "600 root console.log"]
    assert machine.shell(f"stat -c '%a %U' {STATE}/images/{machine.digest}").strip() == "444 root"
    assert "hello" in machine.talk(spec.id, "echo hello")

    seen = machine.run([{"op": "inspect"}])[0]["instances"]
    assert list(seen) == [spec.id]
    assert seen[spec.id]["state"] == "running"
    assert [disk["target"] for disk in seen[spec.id]["disks"]] == ["vda", "vdb"]

    assert machine.one("stop", spec.id, timeout=30) == {
        "ok": True,
        "changed": True,
        "state": "shutdown",
        "forced": False,
    }
    assert machine.one("stop", spec.id)["changed"] is False
    assert machine.one("start", spec.id)["changed"] is True
    assert machine.one("start", spec.id)["changed"] is False
    machine.ready(spec.id)
    assert machine.one("reboot", spec.id, timeout=30)["forced"] is False
    machine.ready(spec.id)
    assert machine.one("reboot", spec.id, hard=True)["forced"] is True
    machine.shell(f"virsh -q snapshot-create {spec.id} --disk-only --no-metadata || true; virsh managedsave {spec.id}")
    assert machine.one("destroy", spec.id)["changed"] is True
    assert machine.one("destroy", spec.id)["changed"] is False
    assert machine.remains() == ""


def test_stop_of_a_guest_that_does_not_listen(machine: Machine) -> None:
    """Force comes after the time given, and not before."""
    spec = machine.spec()
    machine.run([machine.spawn(spec)])
    began = time.monotonic()
    assert machine.one("stop", spec.id, timeout=1)["forced"] is True  # still in its firmware
    assert 1 <= time.monotonic() - began < 10


def test_interfaces_come_and_go(machine: Machine) -> None:
    """Plugged into a running guest and out again, in the definition as well; twice is once."""
    machine.bridge()
    first, second = machine.nic(1), machine.nic(2)
    spec = machine.spec(nics=(first,))
    machine.run([machine.spawn(spec)])
    machine.ready(spec.id)
    xml = _interface(machine, spec.id, second)
    assert machine.one("attach_nic", spec.id, xml=xml)["changed"] is True
    assert machine.one("attach_nic", spec.id, xml=xml)["changed"] is False
    assert _macs(machine, spec.id) == {first.mac, second.mac}
    assert second.mac in machine.talk(spec.id, "cat /sys/class/net/*/address")
    assert machine.one("detach_nic", spec.id, mac=second.mac)["changed"] is True
    assert machine.one("detach_nic", spec.id, mac=second.mac)["changed"] is False
    assert _macs(machine, spec.id) == {first.mac}
    seen = machine.run([{"op": "inspect", "ids": [spec.id]}])[0]["instances"][spec.id]["nics"]
    assert seen == [{"mac": first.mac, "port_id": first.port_id, "target": first.tap, "up": True}]


def test_spawn_waits_for_ports(machine: Machine) -> None:
    """Without a controller that wires them, ports never come up, and the instance is taken back."""
    machine.bridge()
    lame, good = (machine.spec(halts=True, nics=(machine.nic(n),)) for n in (3, 4))
    wired = good.nics[0]
    machine.shell(
        f"(until ovs-vsctl --if-exists set Interface {wired.tap} external_ids:ovn-installed=true && "
        f"ovs-vsctl get Interface {wired.tap} external_ids:ovn-installed; do sleep 0.1; done) >/dev/null 2>&1 &"
    )
    results = machine.run([machine.spawn(spec, wait_ports=[spec.nics[0].port_id], timeout=5) for spec in (lame, good)])
    assert (results[0]["ok"], results[0]["error"]) == (False, "Timeout")
    assert lame.nics[0].port_id in results[0]["msg"]
    assert results[1]["state"] == "running"
    assert machine.shell("virsh list --all --name").split() == [good.id]


def _interface(machine: Machine, instance_id: str, nic: object) -> str:
    from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hardware

    return hardware.interface_xml(machine.spec(id=instance_id), nic)  # type: ignore[arg-type]


def _macs(machine: Machine, instance_id: str) -> set[str]:
    both = machine.shell(f"virsh domiflist {instance_id}; virsh domiflist {instance_id} --inactive")
    live, _blank, config = both.strip().partition("\n\n")
    found = [set(re.findall(r"fa:16:3e:[0-9a-f:]+", part)) for part in (live, config)]
    assert found[0] == found[1]
    return found[0]
