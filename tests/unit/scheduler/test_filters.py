# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every filter: given a host and a request, the reason why not, or none."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.filters import FILTERS
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.values import Candidate
from tests.unit.scheduler.samples import group, host, request

Values = dict[str, Any]

CPU = {"arch": "x86_64", "model": "EPYC-Rome", "vendor": "AMD", "features": ["avx2", "aes", "sse4.2", "sha-ni", "svm"]}
SSD = {"fast": {"ssd": "true", "rack": "r1, r2", "size": "12"}, "slow": {"ssd": "false"}}


def spec(key: str, value: str) -> Values:
    return {"extra_specs": {key: value}}


def image(key: str, value: str) -> Values:
    return {"image_properties": {key: value}}


def aggregate(key: str, value: str) -> Values:
    return spec(f"aggregate_instance_extra_specs:{key}", value)


# filter, the host, the request, the reason: None passes, and "-" means that the question is not asked at all.
TABLE: list[tuple[str, Values, Values, str | None]] = [
    ("HostEnabled", {}, {}, None),
    ("HostEnabled", {"state": "disabled"}, {}, "disabled"),
    ("HostEnabled", {"state": "maintenance", "reason": "new disks"}, {}, "maintenance: new disks"),
    ("HostEnabled", {"planned": True}, {}, None),
    (
        "HostEnabled",
        {"planned": True},
        {"real": True},
        "planned: registered with resources, without a machine",
    ),
    ("ForcedHost", {}, {}, "-"),
    ("ForcedHost", {}, {"force_host": "a"}, None),
    ("ForcedHost", {}, {"force_host": "b"}, "b was asked for"),
    ("Retry", {}, {}, "-"),
    ("Retry", {}, {"exclude": frozenset({"b"})}, None),
    ("Retry", {}, {"exclude": frozenset({"a"})}, "tried already"),
    ("Connections", {}, {}, "-"),
    ("Connections", {}, {"able": frozenset({"a", "b"}), "connections": ("host",)}, None),
    ("Connections", {}, {"able": frozenset({"b"}), "connections": ("multipath",)}, "cannot reach volumes by multipath"),
    ("Zone", {"zone": "east"}, {}, "-"),
    ("Zone", {"zone": "east"}, {"zone": "east"}, None),
    ("Zone", {"zone": "east"}, {"zone": "west"}, "zone is east, not west"),
    ("Zone", {}, {"zone": "west"}, "zone is not set, not west"),
    ("VirtType", {}, {}, "-"),
    ("VirtType", {"virt_types": ("kvm", "qemu")}, image("img_hv_type", "QEMU"), None),
    ("VirtType", {}, image("img_hv_type", "qemu"), "offers kvm, not qemu"),
    ("VirtType", {"virt_types": ()}, spec("hypervisor_type", "lxc"), "offers nothing, not lxc"),
    ("VirtType", {}, spec("capabilities:hypervisor_type", "s== KVM"), None),
    ("VirtType", {}, spec("capabilities:hypervisor_type", "<or> lxc <or> qemu"), "offers kvm, not <or> lxc <or> qemu"),
    ("VmMode", {}, {}, "-"),
    ("VmMode", {}, image("hw_vm_mode", "hvm"), None),
    ("VmMode", {"virt_types": ("lxc",)}, image("hw_vm_mode", "exe"), None),
    ("VmMode", {}, image("hw_vm_mode", "exe"), "runs hvm, not exe"),
    ("CpuArchitecture", {"cpu": CPU}, {}, "-"),
    ("CpuArchitecture", {"cpu": CPU}, image("hw_architecture", "x86_64"), None),
    ("CpuArchitecture", {"cpu": CPU}, image("hw_architecture", "amd64"), None),
    ("CpuArchitecture", {"cpu": CPU}, image("hw_architecture", "aarch64"), "architecture is x86_64, not aarch64"),
    ("CpuArchitecture", {}, image("hw_architecture", "aarch64"), "architecture is not known, not aarch64"),
    ("CpuModel", {"cpu": CPU}, {}, "-"),
    ("CpuModel", {"cpu": CPU}, spec("capabilities:cpu_info:model", "EPYC-Rome"), None),
    ("CpuModel", {"cpu": CPU}, spec("capabilities:cpu_info:model", "<in> EPYC"), None),
    ("CpuModel", {"cpu": CPU}, spec("capabilities:cpu_info:vendor", "Intel"), "cpu vendor is AMD, not Intel"),
    ("CpuModel", {}, spec("capabilities:cpu_info:arch", "x86_64"), "cpu arch is not known, not x86_64"),
    ("CpuFeatures", {"cpu": CPU}, {}, "-"),
    ("CpuFeatures", {"cpu": CPU}, spec("capabilities:cpu_info:features", "avx2"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("capabilities:cpu_info:features", "<in> aes"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("capabilities:cpu_info:features", "<all-in> aes avx2"), None),
    (
        "CpuFeatures",
        {"cpu": CPU},
        spec("capabilities:cpu_info:features", "<in> avx"),
        "cpu features do not meet '<in> avx'",
    ),
    ("CpuFeatures", {"cpu": CPU}, spec("trait:HW_CPU_X86_AVX2", "required"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("trait:HW_CPU_X86_SSE42", "required"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("trait:HW_CPU_X86_AESNI", "required"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("trait:HW_CPU_X86_SHA", "required"), None),
    ("CpuFeatures", {"cpu": CPU}, spec("trait:HW_CPU_X86_AVX512F", "forbidden"), None),
    (
        "CpuFeatures",
        {"cpu": CPU},
        spec("trait:HW_CPU_X86_AVX512F", "required"),
        "cpu lacks avx512f (HW_CPU_X86_AVX512F)",
    ),
    (
        "CpuFeatures",
        {"cpu": CPU},
        image("trait:HW_CPU_X86_AMD_SVM", "forbidden"),
        "cpu has svm, which is forbidden (HW_CPU_X86_AMD_SVM)",
    ),
    ("Traits", {}, spec("trait:HW_CPU_X86_AVX2", "required"), "-"),
    ("Traits", {}, spec("trait:CUSTOM_GOLD", "forbidden"), "-"),
    ("Traits", {}, spec("trait:CUSTOM_GOLD", "required"), "trait CUSTOM_GOLD is not known of any host"),
    ("Capabilities", {}, spec("capabilities:cpu_info:model", "x"), "-"),
    (
        "Capabilities",
        {},
        spec("capabilities:cpu_info:topology:cores", "4"),
        "capabilities:cpu_info:topology:cores is not reported by hosts",
    ),
    ("AggregateExtraSpecs", {"aggregates": SSD}, spec("hw:cpu_policy", "shared"), "-"),
    ("AggregateExtraSpecs", {"aggregates": SSD}, aggregate("ssd", "true"), None),
    ("AggregateExtraSpecs", {"aggregates": SSD}, aggregate("rack", "r2"), None),
    ("AggregateExtraSpecs", {"aggregates": SSD}, aggregate("size", ">= 12"), None),
    ("AggregateExtraSpecs", {"aggregates": SSD}, aggregate("size", "= 13"), "size is 12, wanted = 13"),
    ("AggregateExtraSpecs", {"aggregates": SSD}, aggregate("ssd", "maybe"), "ssd is false, true, wanted maybe"),
    ("AggregateExtraSpecs", {}, aggregate("ssd", "true"), "ssd is in no aggregate, wanted true"),
    ("SameHost", {}, {}, "-"),
    ("SameHost", {}, {"same_host": frozenset({"a", "b"})}, None),
    ("SameHost", {}, {"same_host": frozenset({"b"})}, "has none of the instances of same_host"),
    ("SameHost", {}, {"same_host": frozenset()}, "has none of the instances of same_host"),
    ("DifferentHost", {}, {}, "-"),
    ("DifferentHost", {}, {"different_host": frozenset({"b"})}, None),
    ("DifferentHost", {}, {"different_host": frozenset({"a"})}, "has an instance of different_host"),
    ("Affinity", {}, {"group": group("soft-affinity", {"b": 1})}, "-"),
    ("Affinity", {}, {"group": group("affinity")}, None),
    ("Affinity", {}, {"group": group("affinity", {"a": 2})}, None),
    ("Affinity", {}, {"group": group("affinity", {"b": 1})}, "the group is on b"),
    ("AntiAffinity", {}, {"group": group("soft-anti-affinity", {"a": 1})}, "-"),
    ("AntiAffinity", {}, {"group": group("anti-affinity", {"b": 1})}, None),
    ("AntiAffinity", {}, {"group": group("anti-affinity", {"a": 1}, max_per_host=2)}, None),
    ("AntiAffinity", {}, {"group": group("anti-affinity", {"a": 1})}, "has 1 of the group already"),
    ("Ram", {"ram": 512}, {}, None),
    ("Ram", {"ram": 511}, {}, "511 MiB of RAM left, 512 wanted"),
    ("Vcpus", {"vcpus": 1}, {}, None),
    ("Vcpus", {"vcpus": 0}, {}, "0 vCPUs left, 1 wanted"),
    ("Disk", {"disk": 10}, {}, None),
    ("Disk", {"disk": 9}, {}, "9 GiB of disk left, 10 wanted"),
]


@pytest.mark.parametrize(("name", "machine", "wanted", "reason"), TABLE)
def test_filter(name: str, machine: Values, wanted: Values, reason: str | None) -> None:
    found = next(one for one in FILTERS if one.name == name)
    asked = request(**wanted)
    if reason == "-":
        assert not found.concerns(asked)
        return
    members = asked.group.hosts.get("a", 0) if asked.group else 0
    assert found.concerns(asked)
    assert found.why_not(Candidate(host(**machine), members), asked) == reason


def test_every_filter_is_in_the_table_passing_and_refusing() -> None:
    passing = {name for name, _host, _request, reason in TABLE if reason is None}
    refusing = {name for name, _host, _request, reason in TABLE if reason not in (None, "-")}
    names = {one.name for one in FILTERS}
    assert refusing == names
    # These two are asked only where every host fails.
    assert passing == names - {"Traits", "Capabilities"}
    assert len(names) == len(FILTERS)
