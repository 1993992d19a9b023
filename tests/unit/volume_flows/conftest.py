# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new cloud with two storage hosts for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backups, snapshots, types, volumes
from tests.unit.resources.cloud import FLOWS, Cloud, new
from tests.unit.volume_flows.bus import Bus

FLOWS.update({"volume": volumes, "volume_backup": backups, "volume_snapshot": snapshots, "volume_type": types})


def backend(name: str, driver: str = "lvm", total: int = 100) -> dict[str, object]:
    return {"name": name, "driver": driver, "total": total, "capabilities": {"thin": True}}


@pytest.fixture
def cloud(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    templates = tmp_path_factory.getbasetemp() / "templates"
    templates.mkdir(exist_ok=True)
    made = new(tmp_path, templates)
    made.rpc = Bus({"vol1": [backend("lvm1"), backend("files", "file")], "vol2": [backend("lvm2")]})
    made.groups = {"cloud_volume": ["vol1", "vol2"], "cloud_image": ["store1"]}
    for name in ("lvm1", "lvm2", "files"):
        made.ask("volume_type", name=name, backend=name)
    return made


@pytest.fixture
def bus(cloud: Cloud) -> Bus:
    assert isinstance(cloud.rpc, Bus)
    return cloud.rpc
