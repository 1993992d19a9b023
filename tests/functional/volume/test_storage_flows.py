# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P6 on the machine: flows with real processes, LVM and the kernel's target, disturbed at their effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor
from tests.functional.conductor.world import FIGURES
from tests.functional.volume.kill_cases import CASES, DIGEST, FAULTS, IMAGE, cleared, disturbed, furnished
from tests.functional.volume.kill_hosts import Whole
from tests.functional.volume.kills import Bus, must, picture, run
from tests.functional.volume.storage import Storage
from tests.unit.resources.cloud import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.slow]

TYPES = {"one": "b1", "two": "files", "far": "thick"}
# The pool is small, and what is put into it here is next to nothing.
ROOM = {"volume_backends": [{"name": name, "allocation_ratio": 8.0} for name in TYPES.values()]}


@pytest.fixture
def cloud(host: Storage, tmp_path: Path) -> Cloud:
    """A cloud with the machine as its storage host."""
    host.shell(f"mkdir -p /var/lib/agentless/images; cat > /var/lib/agentless/images/{DIGEST}", stdin=IMAGE)
    Conductor.open(str(tmp_path / "cloud.db")).close()
    bus = Bus(Whole(host), tmp_path / "compute")
    return furnished(Cloud(tmp_path / "cloud.db", bus), {"vol1": {**ROOM, "ansible_host": host.host.address}}, TYPES)


# A long run (FIGURES) tries everything; every run the task with the most steps, at each fourth one.
@pytest.mark.parametrize("case", CASES if FIGURES > 1 else ["retype attached"])
def test_killed_anywhere(cloud: Cloud, case: str) -> None:
    """Run again it comes to the end that it has undisturbed; removed, nothing is left."""
    before, task = CASES[case]
    must(cloud, *before)
    whole = run(cloud, task)
    assert whole is not None
    assert whole.effects > 3, whole
    reference = picture(cloud, cloud.rpc)
    cleared(cloud)
    for number in range(1, whole.effects + 1) if FIGURES > 1 else range(4, whole.effects + 1, 4):
        disturbed(cloud, case, f"{number}:{FAULTS[1 + number % 2]}", reference)
