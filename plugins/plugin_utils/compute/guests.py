# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts are told about one instance: the spawn operation, finished down to the XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import attachments, hardware, orders, seed
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import Conflict
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import store
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import central as network


def central(request: Request) -> str:
    """The host that holds OVN's northbound database.

    :raises BadInput: the inventory names none.
    """
    return network.host(request.groups)


def host_of(guest: orders.Guest) -> dict[str, Any]:
    """The host record of an instance that must have one.

    :raises Conflict: it has none.
    """
    if guest.host is None:
        raise Conflict(f"Instance {guest.name!r} has no host; run the task again.")
    return guest.host


def spawn_operation(
    request: Request, wish: Wanted, guest: orders.Guest, sources: Mapping[str, attachments.Source]
) -> dict[str, Any]:
    """The operation that brings the guest to life on its host.

    :param sources: what each of its volumes is reached by, by the attachment's id.
    """
    record = guest.record
    return {
        **hardware.spawn_operation(
            domain_spec(request, guest, sources),
            generation=record["generation"],
            seed=_seed(guest) if record["config_drive"] else None,
            start=wish.state != "stopped",
        ),
        "wait_ports": [port.record["id"] for port in guest.ports] if wish.wait else [],
        "timeout": wish.timeout,
    }


def domain_spec(
    request: Request, guest: orders.Guest, sources: Mapping[str, attachments.Source] | None = None
) -> hardware.DomainSpec:
    """The virtual hardware of the guest on its host; without ``sources`` as far as volumes do not matter."""
    record, host = guest.record, host_of(guest)
    image, flavor = record["image"] or {}, record["flavor"]
    own = (
        () if attachments.boot_of(record) else (hardware.Disk(size=flavor["disk"], image=_image(request, image, host)),)
    )
    virt_types = host["virt_types"] or ["qemu"]
    return hardware.DomainSpec(
        id=guest.id,
        name=guest.name,
        project=record["project_id"],
        vcpus=flavor["vcpus"],
        ram=flavor["ram"],
        virt_type="kvm" if "kvm" in virt_types else virt_types[0],
        arch=(host["cpu"] or {}).get("arch") or "x86_64",
        disks=own,
        volumes=tuple(attachments.disk(each, sources[each.id]) for each in guest.volumes) if sources else (),
        nics=tuple(_nic(host, port) for port in guest.ports),
        seed=bool(record["config_drive"]),
        image_properties=image.get("properties") or {},
        extra_specs=flavor["extra_specs"] or {},
    )


def _image(request: Request, image: dict[str, Any], host: dict[str, Any]) -> hardware.Image:
    url, *mirrors = store.sources(image, request.hostvars, request.groups, host=host["name"], zone=host["zone"])
    return hardware.Image(
        checksum=image["checksum"],
        format=image["disk_format"],
        url=url,
        size=image["size"] or 0,
        mirrors=tuple(mirrors),
    )


def nic_xml(request: Request, guest: orders.Guest, port: orders.Port) -> str:
    """The interface element of one port, to be plugged into a guest that exists."""
    return hardware.interface_xml(domain_spec(request, guest), _nic(host_of(guest), port))


def _nic(host: dict[str, Any], port: orders.Port) -> hardware.Nic:
    return hardware.Nic(
        mac=port.record["mac_address"],
        port_id=port.record["id"],
        network=port.network["name"],
        mtu=port.network["mtu"],
        offload=(host["facts"] or {}).get("datapath") != "netdev",
    )


def _seed(guest: orders.Guest) -> dict[str, str]:
    """The files of the guest's config drive."""
    key = guest.record["public_key"]
    return seed.files(
        instance_id=guest.id,
        hostname=orders.hostname(guest.name),
        public_keys=[key] if key else [],
        userdata=guest.record["userdata"],
        nics=[seed.nic(port.record, port.addresses, port.network, port.subnets) for port in guest.ports],
    )
