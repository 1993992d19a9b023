# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps 1 and 2 of a boot, which are one transaction: quota, claim, ports, addresses and the record itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import (
    attachments,
    builder,
    catalog,
    orders,
    placement,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic, Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import (
    claims,
    groups,
    instances,
    ipam,
    ports,
    quota,
    records,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import volumes as rooms
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.clock import new_id
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import Conflict
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import secgroups
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import reach

TRIES = 3  # hosts that one run tries for an instance

_OF_IMAGE = ("id", "name", "checksum", "size", "disk_format", "properties", "store_host", "stores")
OF_FLAVOR = ("id", "name", "vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")

Explanations = dict[str, Mapping[str, Any]]  # by instance id


def enter(conn: Any, request: Request, wish: Wanted, found: Found, names: Sequence[str]) -> Explanations:
    """Give each name an instance in BUILD with its claim, its ports and its addresses: all of them, or none.

    Runs in the caller's transaction under the lock ``placement``. Returns what the scheduler said, by instance id.

    :raises CloudError: BadInput, QuotaExceeded, NoValidHost, AddressExhausted, AddressInUse, AlreadyExists.
    """
    flavor, image = catalog.for_boot(wish, found)
    nics = wish.nics or ()
    quota.take(
        conn,
        found.project_id,
        instances=len(names),
        vcpus=flavor["vcpus"] * len(names),
        ram=flavor["ram"] * len(names),
        ports=len(nics) * len(names),
    )
    ids = {name: new_id() for name in names}
    rows = [{**_shared_values(wish, found, flavor, image), "id": key, "name": name} for name, key in ids.items()]
    needed = reach.ways(
        conn, [*found.volumes.values(), *([found.boot_volume] if found.boot_volume else [])], found.boot_type
    )
    for row in rows if needed else ():
        row["spec"] = {**row["spec"], "connections": needed}
    for name, boot in volumes.begin(conn, wish, found, names).items():
        row = rows[names.index(name)]
        row["spec"] = {**row["spec"], "boot": boot}
    placed = _place(conn, wish, found.server_group, rows)
    instances.create_many(conn, [{**row, "host_id": placed[row["id"]].host_id} for row in rows])
    instances.begin_actions(conn, list(ids.values()), "create", request.conductor.actor)
    _give_ports(conn, wish, found, placed)
    for row in rows:
        volumes.claim(conn, found, row, placed[row["id"]].host)
    return {key: one.explanation for key, one in placed.items()}


def resume(conn: Any, wish: Wanted, waiting: Iterable[Mapping[str, Any]]) -> Explanations:
    """Take over instances whose builder is dead, or which no host could take before.

    :raises Conflict: another task has taken one over, or finished it, since it was read.
    """
    explanations: Explanations = {}
    for read in waiting:
        record = records.get(conn, cell.instances, read["id"])
        held = builder.alive((record["spec"] or {}).get("builder"))
        if held or record["generation"] != read["generation"]:
            raise Conflict(f"Instance {record['name']!r} was taken over by another run.", kind="instance")
        spec = {**(record["spec"] or {}), "builder": builder.mark(wish.timeout * TRIES)}
        renewed = instances.move(conn, record["id"], {"BUILD", "ERROR"}, status="BUILD", spec=spec)
        if renewed["host_id"] is None:
            explanations[record["id"]] = _settle(conn, wish, renewed)
    return explanations


def place_again(request: Request, wish: Wanted, guest: orders.Guest, *, residue: Iterable[str]) -> None:
    """Give back the claim on the host that failed and claim another; the ports keep their addresses.

    :param residue: hosts that could not be cleared and must be visited when the instance is deleted.
    :raises NoValidHost: there is no other; the claim on the failed host is given back all the same.
    """
    before = guest.host["name"] if guest.host else None
    with request.conductor.transaction(lock="placement") as conn:
        spec = dict(guest.record["spec"] or {})
        spec["tried"] = sorted({*spec.get("tried", []), before} - {None})
        spec["residue"] = sorted({*spec.get("residue", []), *residue})
        release(conn, guest.id)
        record = move_mine(conn, guest, host_id=None, spec=spec)
    with request.conductor.transaction(lock="placement") as conn:
        _settle(conn, wish, record)


def move_mine(conn: Any, guest: orders.Guest, **values: Any) -> dict[str, Any]:
    """Change an instance in BUILD that nobody has touched since it was read.

    :raises Conflict: another run has taken it over.
    """
    expected = {"status": "BUILD", "generation": guest.record["generation"]}
    return records.update(conn, cell.instances, guest.id, expected, **values)


def release(conn: Any, instance_id: str) -> None:
    """Give back the claim and the place in the server group."""
    claims.release(conn, instance_id)
    groups.leave(conn, instance_id)


def close_action(conn: Any, instance_id: str, result: str, detail: Mapping[str, Any] | None = None) -> None:
    """Finish the newest open entry of the instance's log."""
    log = cell.instance_actions
    query = (
        sa.select(log.c.id)
        .where(log.c.instance_id == instance_id, log.c.finished_at.is_(None))
        .order_by(log.c.started_at.desc())
    )
    for key in conn.execute(query).scalars().all():
        instances.finish_action(conn, key, result, detail)


def _settle(conn: Any, wish: Wanted, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Choose and claim a host for an instance that is recorded already; returns what the scheduler said."""
    key = record["server_group_id"]
    group = None if key is None else records.get(conn, cloud.server_groups, key)
    placed = _place(conn, wish, group, [record])[record["id"]]
    records.update(conn, cell.instances, record["id"], host_id=placed.host_id)
    ports.move(conn, record["id"], placed.host)
    rooms.rehost(conn, record["id"], placed.host)
    return placed.explanation


def _place(
    conn: Any, wish: Wanted, group: Mapping[str, Any] | None, wanting: Sequence[Mapping[str, Any]]
) -> dict[str, placement.Placed]:
    """Choose and claim the host of each instance."""
    wants = [
        placement.Want(record["id"], _request_spec(conn, wish, group, record), seed=record["name"])
        for record in wanting
    ]
    return {placed.instance_id: placed for placed in placement.place(conn, wants)}


def _request_spec(conn: Any, wish: Wanted, group: Mapping[str, Any] | None, record: Mapping[str, Any]) -> Any:
    flavor, needed = record["flavor"], (record["spec"] or {}).get("connections", [])
    return placement.request_spec(
        conn,
        flavor={**flavor, "disk": 0} if attachments.boot_of(record) else flavor,
        image=record["image"],
        group=group,
        hints=record["hints"] or {},
        zone=record["zone"],
        force_host=wish.host,
        exclude=frozenset((record["spec"] or {}).get("tried", [])),
        real=True,
        connections=tuple(needed),
        able=reach.able(conn, needed),
        project_id=record["project_id"],
    )


def _shared_values(wish: Wanted, found: Found, flavor: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "project_id": found.project_id,
        "status": "BUILD",
        "flavor": {key: flavor[key] for key in OF_FLAVOR},
        "image": {key: image.get(key) for key in _OF_IMAGE} if image else None,
        "key_name": found.keypair["name"] if found.keypair else None,
        "public_key": found.keypair["public_key"] if found.keypair else None,
        "userdata": wish.userdata,
        "metadata": dict(wish.metadata or {}),
        "tags": list(wish.tags or ()),
        "server_group_id": found.server_group["id"] if found.server_group else None,
        "zone": wish.zone,
        "config_drive": wish.config_drive is not False,
        "hints": dict(wish.hints),
        "spec": {"builder": builder.mark(wish.timeout * TRIES)},
    }


def _give_ports(conn: Any, wish: Wanted, found: Found, placed: Mapping[str, placement.Placed]) -> None:
    """One port for each instance and network wanted, all in one batch."""
    nics = wish.nics or ()
    if not nics:
        return
    default = secgroups.ensure_default(conn, found.project_id)["id"]
    ipam.create_ports(
        conn,
        [
            port_values(wish, found, nic, default, position) | {"instance_id": key, "host": one.host}
            for key, one in placed.items()
            for position, nic in enumerate(nics)
        ],
    )


def port_values(wish: Wanted, found: Found, nic: Nic, default: str, position: int) -> dict[str, Any]:
    """What ipam must know to make the port of one nic; ``default`` is the id of the project's default group."""
    record = found.networks[nic.network]
    return {
        "project_id": found.project_id,
        "network_id": record["id"],
        "position": position,
        "fixed_ips": [{"address": nic.fixed_ip}] if nic.fixed_ip else None,
        "mac_address": nic.mac_address,
        "secgroup_ids": catalog.groups_of(nic, wish, found, default),
        "port_security_enabled": record["port_security_enabled"],
    }
