# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domain XML: golden files, the schema of libvirt as judge, and what must never be in it.

``AGENTLESS_GOLDEN=write`` writes the golden files anew.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hardware
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import (
    Disk,
    DomainSpec,
    Image,
    Nic,
    VolumeDisk,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
ID = "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
PORTS = ("0b9f7a64-0d0f-4f5e-8d0c-3a6f1c8e2b01", "1c2e8d5a-7b1f-4a3d-9e2b-5f7c9d0a4b02")
IMAGE = Image("sha256:" + "c0ffee00" * 8, "qcow2", "http://192.0.2.9:8480/sha256/" + "c0ffee00" * 8, 20971520)
PLAIN = DomainSpec(
    id=ID,
    name="web1",
    project="default",
    vcpus=1,
    ram=512,
    disks=(Disk(size=10, image=IMAGE),),
    nics=(Nic("fa:16:3e:00:00:01", PORTS[0], "internal", 1442),),
    seed=True,
)
RATES = {
    f"{which}_{unit}_sec{burst}": number
    for which in ("read", "write")
    for unit, rate in (("bytes", 1 << 20), ("iops", 500))
    for burst, number in (("", rate), ("_max", rate * 2), ("_max_length", 30))
}
TOTALS = {name.replace("read", "total"): value for name, value in RATES.items() if name.startswith("read")}
TUNED: dict[str, dict[str, Any]] = {
    PORTS[0]: {"cache": "writeback", "discard": "ignore", "detect_zeroes": "on", "iotune": RATES, "iothread": 1},
    PORTS[1]: {"cache": "writethrough", "detect_zeroes": "unmap", "iotune": TOTALS, "iothread": 3},
    ID: {"cache": "directsync", "multiattach": True, "iotune": {"read_iops_sec": 5, "size_iops_sec": 4096}},
}
SPECS = {
    "plain": PLAIN,
    "kvm": dataclasses.replace(
        PLAIN,
        virt_type="kvm",
        vcpus=4,
        cpu_mode="host-passthrough",
        extra_specs={"hw:cpu_sockets": "1", "hw:cpu_threads": 2, "hw:vif_multiqueue_enabled": "true"},
    ),
    "uefi": dataclasses.replace(
        PLAIN,
        virt_type="kvm",
        image_properties={"hw_firmware_type": "uefi", "os_secure_boot": "required", "hw_boot_menu": True},
    ),
    "scsi": dataclasses.replace(
        PLAIN,
        disks=(Disk(size=10, image=IMAGE), Disk("data.raw", "raw", 5, serial=PORTS[1])),
        image_properties={"hw_disk_bus": "scsi", "hw_cdrom_bus": "scsi"},
    ),
    "old": dataclasses.replace(
        PLAIN,
        image_properties={
            "hw_machine_type": "pc",
            "hw_disk_bus": "ide",
            "hw_vif_model": "e1000",
            "hw_video_model": "vga",
        },
    ),
    "windows": dataclasses.replace(
        PLAIN,
        virt_type="kvm",
        nics=tuple(Nic(f"fa:16:3e:00:00:0{n}", port) for n, port in enumerate(PORTS)),
        image_properties={
            "os_type": "windows",
            "hw_pointer_model": "usbtablet",
            "hw_time_hpet": "yes",
            "img_hide_hypervisor_id": "true",
            "hw_disk_bus": "sata",
        },
    ),
    "bare": DomainSpec(
        id=ID,
        name="bare",
        project="default",
        vcpus=2,
        ram=64,
        console_log=False,
        image_properties={"hw_qemu_guest_agent": "no", "hw_video_model": "none", "hw_watchdog_action": "reset"},
        extra_specs={
            "hw_rng:allowed": "false",
            "quota:cpu_shares": "512",
            "quota:cpu_quota": "50000",
            "quota:disk_total_iops_sec": "500",
        },
        disks=(Disk(size=1),),
    ),
    "volumes": dataclasses.replace(
        PLAIN,
        disks=(),
        volumes=(
            VolumeDisk(
                PORTS[0],
                "vda",
                {"protocol": "iscsi", "portal": "192.0.2.5:3260", "iqn": f"iqn.2026-01.x:volume-{PORTS[0]}", "lun": 0},
                user=PORTS[0],
                secret="canary",
                boot_index=0,
                iotune={"total_iops_sec": 500, "total_iops_sec_max": 1000, "total_iops_sec_max_length": 10},
                iothread=1,
            ),
            VolumeDisk(
                PORTS[1],
                "vdc",
                {
                    "protocol": "rbd",
                    "pool": "pool",
                    "name": f"volume-{PORTS[1]}",
                    "monitors": ["192.0.2.6:3300"],
                    "user": "agentless-host",
                },
                user=PORTS[1],
                multiattach=True,
            ),
            VolumeDisk(
                ID,
                "vdd",
                {"protocol": "nfs", "host": "192.0.2.7", "path": f"/srv/nfs/volume-{ID}", "uid": 1234567890},
                readonly=True,
            ),
        ),
    ),
    # Each key that a volume type or a flavor may say of disks.
    "tuned": dataclasses.replace(
        PLAIN,
        extra_specs={
            **{f"quota:disk_{name}": str(value) for name, value in RATES.items()},
            "quota:disk_size_iops_sec": "4096",
        },
        volumes=tuple(
            VolumeDisk(
                key,
                f"vd{chr(ord('c') + place)}",
                {"protocol": "iscsi", "portal": "192.0.2.5:3260", "iqn": f"iqn.2026-01.x:volume-{key}", "lun": 0},
                **tuned,
            )
            for place, (key, tuned) in enumerate(TUNED.items())
        ),
    ),
}
SCHEMA = "usr/share/libvirt/schemas/domain.rng"


def schema() -> Path | None:
    """libvirt's schema, of this system or of the cached root of the test hosts."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = [Path("/") / SCHEMA, *sorted(cache.glob(f"agentless-lab/root-full-*/{SCHEMA}"))]
    return next((path for path in found if path.is_file()), None)


@pytest.mark.parametrize("name", SPECS)
def test_golden(name: str) -> None:
    """The XML is as the golden file says, byte for byte."""
    made = hardware.domain_xml(SPECS[name])
    path = GOLDEN / f"{name}.xml"
    if os.environ.get("AGENTLESS_GOLDEN") == "write":
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SPECS)
def test_schema(name: str) -> None:
    """libvirt's own schema accepts it."""
    path = schema()
    if path is None:
        pytest.skip("libvirt's schemas are not installed")
    judge = etree.RelaxNG(etree.parse(str(path)))
    judge.assertValid(etree.fromstring(hardware.domain_xml(SPECS[name])))


def test_no_golden_file_is_left_over() -> None:
    """Each golden file belongs to a spec."""
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(SPECS)


@pytest.mark.parametrize(
    "text", ['"><x/>', "]]>", "&amp;", "a'b", "ü🐧", "--", "{{ lookup('pipe', 'id') }}", "%n$(id)`id`"]
)
def test_text_is_data(text: str) -> None:
    """Any text comes out of the XML as it went in, in the two places where a person's text is."""
    tree = etree.fromstring(hardware.domain_xml(dataclasses.replace(PLAIN, name=text, project=text)))
    record = tree.find("metadata")[0]
    assert tree.findtext("title") == text
    assert [child.text for child in record] == [text, text]
    assert tree.findtext("name") == tree.findtext("uuid") == record.get("id") == ID


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "\ufffe"])
def test_text_that_xml_cannot_carry_is_refused(text: str) -> None:
    """Control characters are an error, not a broken domain."""
    with pytest.raises(BadInput):
        hardware.domain_xml(dataclasses.replace(PLAIN, name=text))


@pytest.mark.parametrize("name", SPECS)
def test_nothing_listens(name: str) -> None:
    """No screen is shown on any address, and no serial port or channel is a socket of the network."""
    tree = etree.fromstring(hardware.domain_xml(SPECS[name]))
    assert tree.findall("devices/graphics") == []
    kinds = {one.get("type") for kind in ("serial", "console", "channel") for one in tree.iterfind(f"devices/{kind}")}
    assert kinds <= {"pty", "unix"}
    assert tree.find(".//listen") is None


def test_formats_are_explicit_down_the_chain() -> None:
    """No format is left for libvirt or qemu to guess, and the chain ends where it is said to end."""
    for spec in SPECS.values():
        for disk in etree.fromstring(hardware.domain_xml(spec)).iterfind("devices/disk"):
            assert disk.find("driver").get("type") in ("raw", "qcow2")
            for backing in disk.iter("backingStore"):
                assert len(backing) == 0 or backing.find("format").get("type") in ("raw", "qcow2")
            if disk.find("readonly") is None:
                assert len(list(disk.iter("backingStore"))[-1]) == 0


def test_spawn_operation_and_xml_agree() -> None:
    """Each disk of the operation has its device and its file in the XML."""
    operation = hardware.spawn_operation(SPECS["scsi"], generation=3, seed={"meta-data": ""})
    devices = {
        disk.find("target").get("dev"): disk.find("source").get("file")
        for disk in etree.fromstring(operation["xml"]).iterfind("devices/disk")
    }
    assert {disk["target"]: devices[disk["target"]].rpartition("/")[2] for disk in operation["disks"]} == {
        "sda": "disk.qcow2",
        "sdb": "data.raw",
    }
    assert devices["sdc"].endswith("/seed.iso")
    assert (operation["op"], operation["id"], operation["generation"], operation["start"]) == ("spawn", ID, 3, True)


def test_config_drive_is_in_both_or_in_none() -> None:
    """A mistake of the caller is found at once."""
    with pytest.raises(ValueError, match="config drive"):
        hardware.spawn_operation(PLAIN, generation=1)


def test_too_many_disks() -> None:
    """Names of devices end with the alphabet."""
    spec = dataclasses.replace(PLAIN, disks=tuple(Disk(f"d{n}.qcow2", size=1) for n in range(27)))
    with pytest.raises(BadInput, match="at most 26"):
        hardware.domain_xml(spec)


def test_volumes_in_the_spawn_operation() -> None:
    """The secret goes with the operation and never into the XML; the seed takes a name that no volume has."""
    operation = hardware.spawn_operation(SPECS["volumes"], generation=1, seed={})
    assert [volume["secret"] for volume in operation["volumes"]] == ["canary", None, None]
    assert "canary" not in operation["xml"]
    assert "canary" not in repr(SPECS["volumes"])
    names = [target.get("dev") for target in etree.fromstring(operation["xml"]).iterfind("devices/disk/target")]
    assert names == ["vda", "vdc", "vdd", "vdb"]
