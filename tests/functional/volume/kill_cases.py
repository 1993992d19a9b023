# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every task of volumes: what it begins with, what it comes to after a fault, and how all of it is removed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tests.functional.conductor.world import FIGURES
from tests.functional.volume.kills import Ended, Task, must, picture, run
from tests.unit.instance_volumes.hosts import COMPUTE
from tests.unit.resources.cloud import Cloud
from tests.unit.volume_flows.looks import image

IMAGE = b"image".ljust(1 << 20, b"\0")
DIGEST = hashlib.sha256(IMAGE).hexdigest()
DATA: Task = ("volume", {"name": "data", "size": 1, "volume_type": "one"})
ROOT: Task = ("volume", {"name": "root", "image": "debian", "volume_type": "one"})
MONDAY: Task = ("volume_snapshot", {"name": "monday", "volume": "data"})
SUNDAY: Task = ("volume_backup", {"name": "sunday", "volume": "data"})
GUEST = {"name": "web", "flavor": "small", "image": "debian", "host": "c1"}
WEB: Task = ("instance", {**GUEST, "volumes": ["data"]})
BOOT: Task = ("instance", {**GUEST, "boot_volume": {"size": 2, "volume_type": "two"}, "volumes": ["data"]})
GIVEN = {"name": "web", "flavor": "small", "host": "c1", "boot_volume": {"volume": "root"}}

CASES: dict[str, tuple[list[Task], Task]] = {
    "create": ([], DATA),
    "create several": ([], ("volume", {"name": "data", "count": 3, "size": 1, "volume_type": "one"})),
    "create from an image": ([], ROOT),
    "create from a snapshot": ([DATA, MONDAY], ("volume", {"name": "copy", "snapshot": "monday"})),
    "create from a volume": ([DATA], ("volume", {"name": "copy", "source_volume": "data"})),
    "create from a backup": ([DATA, SUNDAY], ("volume", {"name": "copy", "backup": "sunday"})),
    "extend": ([DATA], ("volume", {"name": "data", "size": 2})),
    "extend attached": ([DATA, WEB], ("volume", {"name": "data", "size": 2})),
    "take a snapshot": ([DATA], MONDAY),
    "delete a snapshot": ([DATA, MONDAY], ("volume_snapshot", {"name": "monday", "state": "absent"})),
    "back up": ([DATA], SUNDAY),
    "back up an increment": (
        [DATA, SUNDAY],
        ("volume_backup", {"name": "tuesday", "volume": "data", "incremental": True}),
    ),
    "delete a backup": ([DATA, SUNDAY], ("volume_backup", {"name": "sunday", "state": "absent"})),
    "retype": ([DATA], ("volume", {"name": "data", "volume_type": "two"})),
    "retype to another host": ([DATA], ("volume", {"name": "data", "volume_type": "far"})),
    "retype attached": ([DATA, WEB], ("volume", {"name": "data", "volume_type": "two"})),
    "delete": ([DATA], ("volume", {"name": "data", "state": "absent"})),
    "delete with snapshots": (
        [DATA, MONDAY],
        ("volume", {"name": "data", "state": "absent", "delete_snapshots": True}),
    ),
    "attach": ([DATA, ("instance", GUEST)], ("instance", {"name": "web", "volumes": ["data"]})),
    "detach": ([DATA, WEB], ("instance", {"name": "web", "volumes": []})),
    "boot from a new volume": ([DATA], BOOT),
    "boot from one that is there": ([ROOT], ("instance", GIVEN)),
    "delete an instance and its volume": ([DATA, BOOT], ("instance", {"name": "web", "state": "absent"})),
    "delete an instance alone": ([ROOT, ("instance", GIVEN)], ("instance", {"name": "web", "state": "absent"})),
}
FAULTS = ("killed", "killed_after", "reply_lost", "error", "locked", "command_killed", "disk_full")


def furnished(made: Cloud, hosts: Mapping[str, Any], types: Mapping[str, str]) -> Cloud:
    """Types by name with their backends, a flavor and an image.

    :param hosts: the variables of storage hosts.
    """
    made.groups = {"cloud_volume": list(hosts), "cloud_image": ["store1"], "cloud_compute": list(COMPUTE)}
    made.hostvars = {**{name: {} for name in (*COMPUTE, "store1")}, **hosts}
    for name in COMPUTE:
        made.ask("host", name=name)
    for name, backend in types.items():
        made.ask("volume_type", name=name, backend=backend)
    made.ask("flavor", name="small", vcpus=1, ram=64, disk=2)
    about = {"disk_format": "raw", "size": len(IMAGE), "virtual_size": len(IMAGE), "min_disk": 1}
    image(made, checksum=f"sha256:{DIGEST}", **about)
    return made


def cleared(cloud: Cloud) -> None:
    """Remove all there is, and see that nothing is left anywhere."""
    for kind in ("instance", "volume_backup", "volume"):
        rows = cloud.ask(f"{kind}_info").values[f"{kind}s"]
        if kind == "volume_backup":  # increments first
            rows = sorted(rows, key=lambda row: not row["incremental"])
        more = {"delete_snapshots": True} if kind == "volume" else {}
        must(cloud, *((kind, {"name": row["name"], "state": "absent", **more}) for row in rows))
    assert not (found := audited(cloud)), found
    assert picture(cloud, cloud.rpc) == {}


def audited(cloud: Cloud) -> list[str]:
    """What an audit finds, everything unfinished included."""
    found = cloud.ask("audit", unfinished_after=0).values["findings"]
    return [f"{each['kind']} {each['what']}: {each['says']}" for each in found]


def disturbed(cloud: Cloud, case: str, fault: str, reference: dict[str, Any]) -> Ended | None:
    """The task with a fault, and what comes of it; removed in the end. Returns how the task ended."""
    before, task = CASES[case]
    must(cloud, *before)
    ended = run(cloud, task, fault)
    must(cloud, task)
    assert not (found := audited(cloud)), (fault, found)
    assert picture(cloud, cloud.rpc) == reference, fault
    assert not run(cloud, task).changed, fault
    cleared(cloud)
    if FIGURES > 1 and fault.partition(":")[2] in FAULTS[1:3] and task[1].get("state") != "absent":
        must(cloud, *before)
        run(cloud, task, fault)
        cleared(cloud)
    return ended
