# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes on their way to instances and back.

In: the attachment is claimed in the records, its storage host lets the compute host in, the guest gets the disk, the
record says so. Out: the guest lets go, the storage host shuts the compute host out, the record goes. A volume is never
shut before its guest has let go of it, and never free for others before it is shut. Whatever is killed in between, the
attachment's status says what is left to do, and each step may be done twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import attachments, exports, guests, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.attachments import ATTACHING, Attachment
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.exports import Failures, Sources
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    CloudError,
    InUse,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import create, reach, wanted

Record = dict[str, Any]


def refuse(
    conn: Any, wish: Wanted, found: Found, missing: Sequence[str], coming: Mapping[str, Sequence[Record]]
) -> None:
    """What cannot be meant, told before anything is claimed, and in check mode.

    :param missing: names of instances to come.
    :param coming: volumes that instances lack, by instance id.
    :raises InUse: somebody else has a volume, or it is not ready.
    :raises BadInput: one volume for several, or one that nothing can boot from.
    :raises AlreadyExists: there is a volume of the name that the boot volume would get.
    """
    given = [found.boot_volume] if found.boot_volume else []
    several = [each for each in [*found.volumes.values(), *given] if not each["multiattach"]]
    if len(wish.names) > 1 and several:
        name = several[0]["name"]
        raise BadInput(f"Volume {name!r} is not multiattach: it cannot go to {len(wish.names)} instances.")
    if missing and found.boot_volume and not found.boot_volume["bootable"]:
        raise BadInput(f"Volume {found.boot_volume['name']!r} was made from no image: nothing can boot from it.")
    reach.refuse(conn, coming)
    for key, wanting in coming.items():
        for each in wanting:
            volumes.may_attach(conn, each["id"], key)
    for each in [*found.volumes.values(), *given] if missing else ():
        volumes.may_attach(conn, each["id"])
    if missing and wish.boot_volume and wish.boot_volume.size:
        names = [_boot_name(name) for name in missing]
        taken = records.listing(conn, tables.volumes, project_id=found.project_id, name=names)
        if taken:
            raise AlreadyExists(
                f"There is a volume {taken[0]['name']!r} already. Boot from it (boot_volume.volume), or remove it.",
                kind="volume",
                name=taken[0]["name"],
            )


def begin(conn: Any, wish: Wanted, found: Found, names: Sequence[str]) -> dict[str, Record]:
    """How each instance to come boots from a volume, by its name; volumes to be made for that are claimed here.

    Runs in the caller's transaction under the lock ``placement``.
    """
    boot = wish.boot_volume
    if boot is None:
        return {}
    if found.boot_volume is not None:
        key = found.boot_volume["id"]
        return {name: {"volume": key, "made": False, "delete": boot.goes} for name in names}
    args = {"name": _boot_name(names[0]), "size": boot.size, "image": wish.image, "volume_type": boot.volume_type}
    first = wanted.new(conn, args, found.project_id)
    made = create.begin(conn, [replace(first, name=_boot_name(name)) for name in names])
    return {
        name: {"volume": row["id"], "made": True, "delete": boot.goes} for name, row in zip(names, made, strict=True)
    }


def claim(conn: Any, found: Found, record: Mapping[str, Any], host: str) -> None:
    """Give a new instance the volumes that exist, in the transaction that makes its record.

    :raises InUse: somebody else has one, whoever asked at the same moment.
    """
    boot = attachments.boot_of(record)
    if boot and not boot["made"]:
        _attach_boot(conn, record, host)
    taken = {boot["volume"]} if boot else set()
    coming = {row["id"]: row for row in found.volumes.values() if row["id"] not in taken}
    _attach(conn, record, host, list(coming.values()), ())


def provide(
    request: Request, crowd: Sequence[orders.Guest], timeout: int
) -> tuple[list[orders.Guest], Sources, Failures]:
    """Step 4 of a boot: have what instances boot from made, and every volume of theirs open to their hosts.

    Returns the instances as they are now, what their volumes are reached by, and what failed.
    """
    if not any(guest.volumes or attachments.boot_of(guest.record) for guest in crowd):
        return list(crowd), {}, {}
    failed = _make(request, [guest for guest in crowd if _unmade(guest)], timeout)
    with request.conductor.read() as conn:
        crowd = orders.load(conn, [guest.id for guest in crowd if guest.id not in failed])
    held = [(guest, each) for guest in crowd for each in guest.volumes]
    places = sorted({(each.volume.backend or {}).get("host", "?") for _guest, each in held})
    request.progress(f"4 volumes  {', '.join(each.name for _guest, each in held)} from {', '.join(places)}")
    sources, refused = exports.offer(request, held, timeout)
    return [guest for guest in crowd if guest.id not in refused], sources, failed | refused


def mark(conn: Any, guest: orders.Guest, differing: attachments.Differing) -> None:
    """Write down which volumes an instance is to get and to lose, in the caller's transaction.

    :raises InUse: somebody else has taken one.
    """
    for each in differing.detach:
        volumes.detaching(conn, each.id)
    for key, goes in (differing.keep or {}).items():
        volumes.keep(conn, key, goes=goes)
    taken = [each.device for each in guest.volumes if not each.going]  # what was going has gone by now
    _attach(conn, guest.record, guests.host_of(guest)["name"], differing.attach, taken)


def settle(request: Request, crowd: Iterable[orders.Guest], timeout: int, *, out_only: bool = False) -> None:
    """Bring volumes of guests to where their attachments say: those that go first, which makes room.

    :raises CloudError: the first failure; the attachments stay as they are for the next run.
    """
    held = [(guest, each) for guest in crowd for each in guest.volumes]
    going = [pair for pair in held if pair[1].going]
    if going:
        _on_hosts(request, "detach_volume", [(guest, each, {"id": each.volume.id}) for guest, each in going], timeout)
        _raise_first(exports.close(request, going, timeout))
        with request.conductor.transaction(label="volumes detached") as conn:
            for _guest, each in going:
                volumes.detach(conn, each.id)
    coming = [] if out_only else [pair for pair in held if pair[1].record["status"] == ATTACHING]
    if coming:
        sources, refused = exports.offer(request, coming, timeout)
        _raise_first(refused)
        disks = [(guest, each, attachments.disk(each, sources[each.id]).described()) for guest, each in coming]
        _on_hosts(request, "attach_volume", disks, timeout)
        with request.conductor.transaction(label="volumes attached") as conn:
            for _guest, each in coming:
                volumes.attached(conn, each.id)


def _make(request: Request, waiting: Sequence[orders.Guest], timeout: int) -> Failures:
    """Make the volumes that these instances boot from, one call to each storage host, and give them to them."""
    if not waiting:
        return {}
    keys = {guest.id: str((attachments.boot_of(guest.record) or {})["volume"]) for guest in waiting}
    why: CloudError | None = None
    try:
        create.finish(request, list(keys.values()), timeout=timeout)
    except CloudError as exc:
        why = exc
    failed: Failures = {}
    with request.conductor.transaction(label="boot volumes attached") as conn:
        there = {row["id"]: row for row in records.listing(conn, tables.volumes, id=list(keys.values()))}
        for guest in waiting:
            row = there.get(keys[guest.id])
            if row is None or row["status"] != "available":
                status = row["status"] if row else "gone"
                failed[guest.id] = why or InUse(f"The volume that {guest.name!r} is to boot from is {status}.")
                continue
            # Only while the instance is still ours to build: else nobody would ever give the volume back.
            expected = {"status": "BUILD", "generation": guest.record["generation"]}
            record = records.update(conn, cell.instances, guest.id, expected)
            _attach_boot(conn, record, guests.host_of(guest)["name"])
    return failed


def _unmade(guest: orders.Guest) -> bool:
    """Whether the volume that it boots from is not its own yet."""
    boot = attachments.boot_of(guest.record)
    return bool(boot and boot["made"] and guest.boot_volume is None)


def _attach_boot(conn: Any, record: Mapping[str, Any], host: str) -> None:
    boot = attachments.boot_of(record) or {}
    device = attachments.root_device((record["image"] or {}).get("properties"), record["flavor"].get("extra_specs"))
    about = {"boot_index": 0, "delete_on_termination": boot["delete"]}
    volumes.attach(conn, boot["volume"], record["id"], host=host, device=device, **about)


def _attach(conn: Any, record: Mapping[str, Any], host: str, coming: Sequence[Record], taken: Sequence[str]) -> None:
    devices = attachments.free_devices(record, taken, len(coming)) if coming else []
    for each, device in zip(coming, devices, strict=True):
        volumes.attach(conn, each["id"], record["id"], host=host, device=device)


def _on_hosts(request: Request, op: str, told: Iterable[tuple[orders.Guest, Attachment, Record]], timeout: int) -> None:
    """One call to each compute host; raises the first failure when all have been called."""
    by_host: dict[str, list[Record]] = defaultdict(list)
    for guest, _each, about in told:
        operation = {"op": op, "id": guest.id, "generation": guest.record["generation"], "volume": about}
        by_host[guests.host_of(guest)["name"]].append(operation)
    calls = [Call(host, "compute_backend", there, timeout=timeout) for host, there in sorted(by_host.items())]
    for reply in request.rpc.map(calls) if calls else []:
        request.rpc.results(reply)


def _raise_first(failed: Failures) -> None:
    if failed:
        raise next(iter(failed.values()))


def _boot_name(instance: str) -> str:
    return f"{instance}-boot"
