# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts are told about one instance: the spawn operation, finished down to the XML."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import orders, seed
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware import domain_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, Conflict
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import store


def central(request: Request) -> str:
    """The host that holds OVN's northbound database.

    :raises BadInput: the inventory names none.
    """
    hosts = request.groups.get("cloud_network") or []
    if not hosts:
        raise BadInput("The inventory has no host in the group cloud_network, so there is nobody to make networks.")
    return str(hosts[0])


def host_of(guest: orders.Guest) -> dict[str, Any]:
    """The host record of an instance that must have one.

    :raises Conflict: it has none.
    """
    if guest.host is None:
        raise Conflict(f"Instance {guest.name!r} has no host; run the task again.")
    return guest.host


def spawn_operation(request: Request, wish: Wanted, guest: orders.Guest) -> dict[str, Any]:
    """The operation that brings the guest to life on its host."""
    record, host = guest.record, host_of(guest)
    return {
        "op": "spawn",
        "id": guest.id,
        "generation": record["generation"],
        "xml": domain_xml(domain_spec(guest)),
        "disks": [
            {
                "target": "vda",
                "name": "disk.qcow2",
                "format": "qcow2",
                "size": record["flavor"]["disk"],
                "image": {
                    "checksum": record["image"]["checksum"],
                    "format": record["image"]["disk_format"],
                    "size": record["image"]["size"],
                    "url": store.url_for(record["image"], request.hostvars, request.groups),
                },
            }
        ],
        "seed": seed_files(guest) if record["config_drive"] else None,
        "start": wish.state != "stopped",
        "ports": [port.record["id"] for port in guest.ports] if wish.wait else [],
        "timeout": wish.timeout,
    }
