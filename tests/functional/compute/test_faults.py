# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold on a host when something goes wrong: killed anywhere, many at once, lied to, mistaken for another."""

from __future__ import annotations

import uuid

import pytest

from tests.functional.compute.machine import STATE, Machine

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize("place", ["image", "disk", "seed", "define", "start"])
def test_killed_spawn_is_finished_by_the_next(machine: Machine, place: str) -> None:
    """Killed before each of its effects and run again: there once, and running."""
    spec = machine.spec(halts=True)
    assert machine.run([machine.spawn(spec)], kill_before=place) == []
    assert machine.run([machine.spawn(spec)])[0] == {"ok": True, "changed": True, "state": "running"}
    assert machine.shell("virsh list --all --name").split() == [spec.id]
    assert machine.shell(f"find {STATE} -name '*.new' -o -name '*.part'") == ""
    machine.one("destroy", spec.id)
    assert machine.remains() == ""


@pytest.mark.parametrize("place", ["disk", "define", "start"])
def test_killed_spawn_is_undone_by_destroy(machine: Machine, place: str) -> None:
    """Whatever a killed spawn has left, destroy finds it."""
    spec = machine.spec(halts=True)
    machine.run([machine.spawn(spec)], kill_before=place)
    machine.one("destroy", spec.id)
    assert machine.remains() == ""


def test_killed_download(machine: Machine) -> None:
    """Killed while the image comes in; the next spawn starts it over and nothing is left of the first."""
    spec = machine.spec(halts=True)
    assert machine.run([machine.spawn(spec)], kill_before="second block") == []
    assert machine.shell(f"ls -A {STATE}/images").split() == [f"{machine.halt[0]}.part"]
    assert machine.run([machine.spawn(spec)])[0]["state"] == "running"
    assert machine.shell(f"ls -A {STATE}/images").split() == [machine.halt[0]]


def test_ten_at_once_download_once(machine: Machine) -> None:
    """Two calls of five spawns each at the same time: one download, ten guests; then none."""
    specs = [machine.spec(f"g{n}", halts=True, ram=64) for n in range(10)]
    calls = [machine.start([machine.spawn(spec) for spec in half]) for half in (specs[:5], specs[5:])]
    results = [result for call in calls for result in machine.finish(call)]
    assert [result.get("state") for result in results] == ["running"] * 10, results
    assert machine.downloads(machine.halt[0]) == 1
    assert sorted(machine.shell("virsh list --name").split()) == sorted(spec.id for spec in specs)
    machine.run([{"op": "destroy", "id": spec.id} for spec in specs])
    assert machine.remains() == ""


def test_wrong_checksum(machine: Machine) -> None:
    """Refused, and nothing is stored: no image, no directory, no domain. The others of the call go on."""
    good, bad = machine.spec(halts=True), machine.spec(halts=True)
    wrong = machine.spawn(bad)
    wrong["disks"][0]["image"]["checksum"] = "sha256:" + "0" * 64
    results = machine.run([wrong, machine.spawn(good)])
    assert (results[0]["ok"], results[0]["error"]) == (False, "ImageRefused")
    assert results[1]["state"] == "running"
    machine.one("destroy", good.id)
    assert machine.remains() == ""
    assert machine.shell(f"ls -A {STATE}/images").split() == [machine.halt[0]]


def test_spawn_that_cannot_start(machine: Machine) -> None:
    """libvirt's own reason is told, and what was made is taken back."""
    spec = machine.spec(halts=True, nics=(machine.nic(9),))
    operation = machine.spawn(spec)
    operation["xml"] = operation["xml"].replace("br-int", "br-nowhere")
    result = machine.run([operation])[0]
    assert result["ok"] is False
    assert "libvirt" in result["msg"]
    assert machine.remains() == ""


def test_domains_of_others_are_left_alone(machine: Machine) -> None:
    """A domain without our record, or with the record of another instance, is neither started nor destroyed."""
    spec = machine.spec(halts=True)
    for record in ("", spec.id.replace(spec.id[:8], "00000000")):
        xml = machine.spawn(spec)["xml"].replace(f'id="{spec.id}"', f'id="{record}"')
        machine.shell("virsh -q define /dev/stdin", stdin=xml.encode())
        for operation in (machine.spawn(spec), {"op": "destroy", "id": spec.id}, {"op": "start", "id": spec.id}):
            result = machine.run([operation])[0]
            assert result["ok"] is False, result
            assert "no record" in result["msg"]
        seen = machine.run([{"op": "inspect", "ids": [spec.id]}])[0]["instances"]
        assert seen[spec.id]["state"] == "foreign"
        assert machine.shell("virsh list --all --name").split() == [spec.id]
        machine.shell(f"virsh -q undefine {spec.id}")


def test_orders_that_are_too_old(machine: Machine) -> None:
    """A controller that woke up late changes nothing."""
    spec = machine.spec(halts=True)
    machine.run([machine.spawn(spec)])
    result = machine.run([{"op": "destroy", "id": spec.id, "generation": 1}])[0]
    assert result["error"] == "StaleGeneration"
    assert machine.shell("virsh list --name").split() == [spec.id]


def test_another_machine(machine: Machine) -> None:
    """Under another identity, nothing is done."""
    own, machine.identity = machine.identity, str(uuid.uuid4())
    try:
        with pytest.raises(AssertionError, match="HostMismatch"):
            machine.run([{"op": "inspect"}])
    finally:
        machine.identity = own


def test_discover(machine: Machine) -> None:
    """The host tells what it can do; the probe that decides about KVM says yes where a guest really runs."""
    found = machine.run([{"op": "discover"}])[0]
    assert "qemu" in found["virt_types"]
    assert found["capacity"]["vcpus"] >= 1
    assert found["capacity"]["ram"] > 256
    assert found["address"] == machine.host.address
    ran = machine.shell(
        "PYTHONPATH=/opt/agentless-tree python3 -c 'from ansible_collections.agentless.cloud.plugins.module_utils."
        "compute import probe; from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context; "
        'print(probe._try(Context(), "qemu-system-x86_64", "tcg", "max"))\''
    )
    assert ran.strip() == "True"
