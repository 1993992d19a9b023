# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flavor extra specs and image properties, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import (
    TABLE,
    Options,
    options,
    topology,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput


@pytest.mark.parametrize(
    ("properties", "extra_specs", "expected"),
    [
        ({}, {}, {}),
        ({"hw_disk_bus": "scsi"}, {}, {"disk_bus": "scsi"}),
        ({"hw_vif_model": "E1000"}, {}, {"vif_model": "e1000"}),
        ({"hw_qemu_guest_agent": "no"}, {}, {"agent": False}),
        ({"hw_qemu_guest_agent": False}, {}, {"agent": False}),
        ({}, {"hw:cpu_policy": "shared"}, {"cpu_policy": "shared"}),
        ({"hw_cpu_cores": 2}, {"hw:cpu_cores": "4"}, {"cpu_cores": 4}),
        ({"os_distro": "debian", "os_admin_user": "debian"}, {}, {}),
        ({"hw_architecture": "x86_64", "hw_rescue_bus": "usb"}, {}, {}),
        ({}, {"aggregate_instance_extra_specs:ssd": "true", "capabilities:x": "y", "trait:A": "required"}, {}),
        ({}, {"quota:disk_total_iops_sec": "100"}, {"iotune": {"total_iops_sec": 100}}),
        (
            {},
            {"quota:disk_read_bytes_sec": 5, "quota:disk_read_bytes_sec_max": "9"},
            {"iotune": {"read_bytes_sec": 5, "read_bytes_sec_max": 9}},
        ),
    ],
)
def test_read(properties: dict[str, Any], extra_specs: dict[str, Any], expected: dict[str, Any]) -> None:
    """Given names set their field, names of others set nothing, and the flavor wins."""
    assert options(properties, extra_specs) == Options(**expected)


@pytest.mark.parametrize(
    ("properties", "extra_specs", "message"),
    [
        ({"hw_disk_bus": "floppy"}, {}, "one of virtio"),
        ({"hw_disk_buss": "scsi"}, {}, "Nearest: hw_disk_bus"),
        ({}, {"hw:cpu_policy": "dedicated"}, "must be one of shared"),
        ({}, {"hw:numa_nodes": "2"}, "not supported"),
        ({}, {"hw:mem_page_size": "large"}, "one of any, small"),
        ({}, {"quota:vif_inbound_average": "1"}, "not supported"),
        ({}, {"quota:cpu_shares": "1"}, "a number from 2"),
        ({}, {"quota:disk_total_iops_sec": "many"}, "a number"),
        ({}, {"quota:disk_iops": "5"}, "Nearest: .*quota:disk_"),
        ({}, {"quota:disk_total_iops_sec": "5", "quota:disk_read_iops_sec": "5"}, "quota:disk_.*goes with neither"),
        ({}, {"quota:disk_read_iops_sec_max": "5"}, "needs read_iops_sec"),
        ({"hw_boot_menu": "maybe"}, {}, "yes or no"),
        ({"hw_machine_type": "q35,accel=kvm"}, {}, "q35, pc"),
        ({"hw_disk_bus": "ide"}, {}, "hw_machine_type"),
        ({"os_secure_boot": "required"}, {}, "uefi"),
        ({"hw_cpu_cores": "1e3"}, {}, "a number"),
    ],
)
def test_refused(properties: dict[str, Any], extra_specs: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused with the way out; nothing asked for is silently left out."""
    with pytest.raises(BadInput, match=message):
        options(properties, extra_specs)


@pytest.mark.parametrize(
    ("given", "vcpus", "expected"),
    [
        ({}, 4, None),
        ({"hw:cpu_sockets": "2"}, 4, (2, 2, 1)),
        ({"hw:cpu_cores": "4"}, 4, (1, 4, 1)),
        ({"hw:cpu_threads": "2"}, 4, (2, 1, 2)),
        ({"hw:cpu_sockets": "1", "hw:cpu_cores": "2", "hw:cpu_threads": "2"}, 4, (1, 2, 2)),
    ],
)
def test_topology(given: dict[str, str], vcpus: int, expected: tuple[int, int, int] | None) -> None:
    """The missing numbers are filled in."""
    assert topology(options({}, given, vcpus), vcpus) == expected


@pytest.mark.parametrize("given", [{"hw:cpu_sockets": "3"}, {"hw:cpu_cores": "8"}])
def test_topology_that_does_not_fit(given: dict[str, str]) -> None:
    """Sockets, cores and threads make the flavor's vcpus or are refused."""
    with pytest.raises(BadInput, match="do not make"):
        options({}, given, 4)


def test_table_names_fields() -> None:
    """Each row of the table sets a field that exists, and each field has a row; limits share one."""
    fields = {"iotune" if spec and spec.startswith("quota:disk_") else field for _name, spec, field, _read in TABLE}
    assert sorted(fields) == sorted(Options.__dataclass_fields__)
