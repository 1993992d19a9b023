# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of volumes look at, and what they put there beforehand."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as cloud_tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    CloudError,
)
from tests.unit.resources.cloud import Cloud
from tests.unit.volume_flows.bus import Bus

GIB = 2**30


def one(cloud: Cloud, name: str = "data") -> dict[str, Any]:
    (row,) = cloud.ask("volume_info", name=name).values["volumes"]
    return dict(row)


def used(cloud: Cloud) -> dict[str, int]:
    """What the project has used, and what backends have claimed."""
    usage = cloud.ask("project_info", name="default").values["projects"][0]["usage"]
    with cloud.conductor as conductor, conductor.read() as conn:
        claimed = {row["name"]: row["used"] for row in records.listing(conn, tables.volume_backends) if row["used"]}
    kinds = ("volumes", "gigabytes", "volume_snapshots", "volume_backups")
    return {**{kind: usage[kind] for kind in kinds if usage.get(kind)}, **claimed}


def empty(cloud: Cloud, bus: Bus) -> bool:
    return not (used(cloud) or bus.volumes or bus.snapshots or bus.exports or bus.backups)


def refused(cloud: Cloud, kind: type[CloudError], said: str, module: str = "volume", **args: Any) -> CloudError:
    """Both check mode and the real run refuse, and write nothing."""
    errors = []
    for check in (True, False):
        before = cloud.digest()
        with pytest.raises(kind, match=said) as caught:
            cloud.ask(module, check=check, **args)
        assert cloud.digest() == before
        errors.append(caught.value)
    assert errors[0].msg == errors[1].msg
    return errors[0]


def image(cloud: Cloud, **values: Any) -> None:
    row = {"status": "active", "checksum": f"sha256:{'0' * 64}", "disk_format": "qcow2", "size": 7, "min_disk": 0}
    row |= {"name": "debian", "virtual_size": 2 * GIB, "visibility": "private", "store_host": "store1", **values}
    with cloud.conductor as conductor, conductor.transaction() as conn:
        project = records.get(conn, cloud_tables.projects, "default")
        records.insert(conn, cloud_tables.images, project_id=project["id"], **row)


def attach(cloud: Cloud, volume: str = "data") -> None:
    """Write an attachment to a running guest, as the flow of instances does."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances

    with cloud.conductor as conductor, conductor.transaction() as conn:
        row = records.get(conn, tables.volumes, volume)
        about = {"project_id": row["project_id"], "name": "web1", "flavor": {}, "status": "ACTIVE"}
        guest = instances.create(conn, about)
        link = {"volume_id": row["id"], "instance_id": guest["id"], "host": "kvm1", "device": "vdb", "slot": 0}
        records.insert(conn, tables.volume_attachments, status="attached", **link)
        records.update(conn, tables.volumes, row["id"], status="in-use")
