# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names in a task looked up: flavor, image, networks, security groups, keypair, server group.

One read transaction for the whole task; everything later works on the records found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic, Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NotFound

Record = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a task names, as records. None where it names nothing."""

    project_id: str
    flavor: Record | None
    image: Record | None
    keypair: Record | None
    server_group: Record | None
    networks: Mapping[str, Record]  # by the word used in the task
    secgroups: Mapping[str, Record]
    volumes: Mapping[str, Record] = field(default_factory=dict)  # by the word used in the task
    boot_volume: Record | None = None
    boot_type: Record | None = None  # the volume type of one to be made


def look_up(conn: Any, wish: Wanted, project_id: str) -> Found:
    """Find every record that the task names.

    :raises NotFound: one does not exist; names it and the nearest names.
    :raises BadInput: a network is named that has no subnet, or an image that is not ready.
    """

    def one(table: Any, name: str | None) -> Record | None:
        return None if name is None else records.get(conn, table, name, project_id=project_id)

    nics, boot = wish.nics or (), wish.boot_volume
    return Found(
        project_id=project_id,
        flavor=one(cloud.flavors, wish.flavor),
        image=_ready(one(cloud.images, wish.image)),
        keypair=one(cloud.keypairs, wish.key_name),
        server_group=one(cloud.server_groups, wish.server_group),
        networks={nic.network: records.get(conn, cloud.networks, nic.network, project_id=project_id) for nic in nics},
        secgroups=_secgroups(conn, wish, project_id),
        volumes={name: records.get(conn, tables.volumes, name, project_id=project_id) for name in wish.volumes or ()},
        boot_volume=one(tables.volumes, boot.volume) if boot else None,
        boot_type=one(tables.volume_types, boot.volume_type) if boot else None,
    )


def for_boot(wish: Wanted, found: Found) -> tuple[Record, Record]:
    """The flavor and image that a boot cannot do without; a volume that is booted from brings its image, or none.

    :raises BadInput: one of them is not given, or the flavor or the volume is too small for the image.
    """
    image = found.image if found.boot_volume is None else found.boot_volume["image"] or {}
    if found.flavor is None or image is None:
        missing = " and ".join(n for n, v in (("flavor", found.flavor), ("image", image)) if v is None)
        raise BadInput(f"Instance {wish.names[0]!r} does not exist yet; to boot it, give {missing}.")
    _fitting(wish, found.flavor, image)
    return found.flavor, image


def _fitting(wish: Wanted, flavor: Record, image: Record) -> None:
    gib = flavor["disk"]
    needed = max(image.get("min_disk") or 0, -(-(image.get("virtual_size") or 0) // 1024**3))
    boot = wish.boot_volume
    if boot is not None and boot.size is not None and boot.size < needed:
        raise BadInput(f"boot_volume.size is {boot.size} GiB; image {image['name']!r} needs {needed} GiB.")
    if boot is None and gib < needed:
        raise BadInput(
            f"Flavor {flavor['name']!r} has a disk of {gib} GiB; image {image['name']!r} needs {needed} GiB. "
            "Take a flavor with a larger disk."
        )
    if flavor["ram"] < (image.get("min_ram") or 0):
        raise BadInput(
            f"Flavor {flavor['name']!r} has {flavor['ram']} MiB of RAM; "
            f"image {image['name']!r} needs {image['min_ram']} MiB."
        )


def groups_of(nic: Nic, wish: Wanted, found: Found, default_id: str) -> list[str]:
    """IDs of the security groups of one port: its own, else the instance's, else the project's default."""
    names = nic.security_groups if nic.security_groups is not None else wish.security_groups
    if names is None:
        return [default_id]
    return [found.secgroups[name]["id"] for name in names]


def _secgroups(conn: Any, wish: Wanted, project_id: str) -> dict[str, Record]:
    names = set(wish.security_groups or ())
    for nic in wish.nics or ():
        names.update(nic.security_groups or ())
    return {name: records.get(conn, cloud.secgroups, name, project_id=project_id) for name in sorted(names)}


def _ready(image: Record | None) -> Record | None:
    if image is not None and image["status"] != "active":
        raise NotFound(
            f"Image {image['name']!r} is {image['status']}, not active: run the task that registers it again.",
            kind="image",
            name=image["name"],
        )
    return image
