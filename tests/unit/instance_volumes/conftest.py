# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new cloud with two compute hosts and two storage hosts for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hosts as compute_hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import instances
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import snapshots, types, volumes
from tests.unit.instance_volumes.hosts import COMPUTE, Hosts
from tests.unit.resources.cloud import FLOWS, Cloud, new
from tests.unit.volume_flows.conftest import backend
from tests.unit.volume_flows.looks import image

FLOWS.update({"host": compute_hosts, "instance": instances})
FLOWS.update({"volume": volumes, "volume_snapshot": snapshots, "volume_type": types})


@pytest.fixture
def cloud(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    templates = tmp_path_factory.getbasetemp() / "templates"
    templates.mkdir(exist_ok=True)
    made = new(tmp_path, templates)
    made.rpc = Hosts({"vol1": [backend("lvm1")], "vol2": [backend("lvm2")]})
    made.groups = {"cloud_volume": ["vol1", "vol2"], "cloud_image": ["store1"], "cloud_compute": list(COMPUTE)}
    made.hostvars = {name: {} for name in (*COMPUTE, "vol1", "vol2", "store1")}
    for name in COMPUTE:
        made.ask("host", name=name)
    for name in ("lvm1", "lvm2"):
        made.ask("volume_type", name=name, backend=name)
    made.ask("flavor", name="small", vcpus=1, ram=64, disk=3)
    image(made)
    yield made
    assert made.rpc.wrong == []


@pytest.fixture
def hosts(cloud: Cloud) -> Hosts:
    assert isinstance(cloud.rpc, Hosts)
    return cloud.rpc
