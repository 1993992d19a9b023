# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between a wish and an instance that exists: one table says how each option is compared.

Options that can change in place become changes; those that cannot are refused with the name of what does it. Nothing
that was asked is ever ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import attachments, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic, Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ChangeRefused
from ansible_collections.agentless.cloud.plugins.plugin_utils.network.secgroups import DEFAULT

_Row = dict[str, Any]  # a port as a diff shows it

STATUS_OF = {"running": "ACTIVE", "stopped": "SHUTOFF", "rebooted": "ACTIVE"}


@dataclass(frozen=True)
class Difference:
    """What must change of one instance.

    :param values: new values of the record's columns.
    :param secgroups: IDs of the security groups that a port is to have, by port id; only ports that differ.
    :param plug: networks to attach, as (position, nic).
    :param unplug: ports to detach.
    """

    guest: orders.Guest
    values: Mapping[str, Any] = field(default_factory=dict)
    secgroups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plug: Sequence[tuple[int, Nic]] = ()
    unplug: Sequence[orders.Port] = ()
    changes: Sequence[Change] = ()
    volumes: attachments.Differing = attachments.SAME


def difference(wish: Wanted, found: Found, guest: orders.Guest) -> Difference:
    """Compare one instance with the wish.

    :raises ChangeRefused: an option differs that cannot change in place.
    """
    _refuse(wish, found, guest)
    values = _values(wish, guest.record)
    changes = [Change(key, guest.record[key], value) for key, value in values.items()]
    present = [port for port in guest.ports if not port.going]
    kept, plug = _pair(wish, found, present)
    unplug = [port for port in present if port.record["id"] not in kept]
    groups: dict[str, list[str]] = {}
    after = []
    for port in present:
        key = port.record["id"]
        if key not in kept:
            continue
        wanted = _groups(wish, found, kept[key])
        if wanted is not None and sorted(wanted) != sorted(port.secgroup_ids):
            groups[key] = sorted(wanted)
        after.append(_row(port.network, _addresses(port), port.secgroup_names if wanted is None else wanted.values()))
    for _position, nic in plug:
        addresses = [nic.fixed_ip] if nic.fixed_ip else []
        after.append(_row(found.networks[nic.network], addresses, groups_of(wish, found, nic)))
    if plug or unplug or groups:
        changes += _wire_changes([_row(p.network, _addresses(p), p.secgroup_names) for p in present], after)
    goes = wish.boot_volume.delete_on_termination if wish.boot_volume else None
    data = None if wish.volumes is None else list(found.volumes.values())
    volumes = attachments.differ(guest.volumes, data, goes)
    return Difference(guest, values, groups, plug, unplug, [*changes, *volumes.changes], volumes)


@dataclass(frozen=True)
class _Fixed:
    """An option that cannot change in place: what the wish says, what the record says, and what does it instead."""

    option: str
    wanted: Callable[[Wanted, Found], Any]
    actual: Callable[[orders.Guest], Any]
    instead: str


_REBOOT_ANEW = "Remove the instance (state: absent) and boot it again."

_FIXED = (
    _Fixed(
        "flavor",
        lambda wish, found: found.flavor and found.flavor["id"],
        lambda guest: guest.record["flavor"]["id"],
        "An instance keeps its flavor; resizing it comes with a later release. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "image",
        lambda wish, found: found.image and found.image["id"],
        lambda guest: (guest.record["image"] or {}).get("id"),
        "Another image means another disk: that is state: rebuilt, which comes with a later release. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "boot_volume.volume",
        lambda wish, found: found.boot_volume and found.boot_volume["name"],
        lambda guest: guest.boot_volume and guest.boot_volume.name,
        "An instance keeps what it boots from. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "boot_volume.size",
        lambda wish, found: wish.boot_volume and wish.boot_volume.size,
        lambda guest: guest.boot_volume and guest.boot_volume.volume.record["size"],
        "A volume is grown by the module agentless.cloud.volume, and never shrinks.",
    ),
    _Fixed(
        "boot_volume.volume_type",
        lambda wish, found: found.boot_type and found.boot_type["name"],
        lambda guest: guest.boot_volume and guest.boot_volume.type and guest.boot_volume.type["name"],
        "The module agentless.cloud.volume gives a volume another type.",
    ),
    _Fixed(
        "key_name",
        lambda wish, found: wish.key_name,
        lambda guest: guest.record["key_name"],
        "The guest read its key when it first booted; put another key there by its own means. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "userdata",
        lambda wish, found: wish.userdata,
        lambda guest: guest.record["userdata"],
        "The guest read its user data when it first booted. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "config_drive",
        lambda wish, found: wish.config_drive,
        lambda guest: bool(guest.record["config_drive"]),
        "The drive is a disk that the guest got when it was booted. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "scheduler_hints",
        lambda wish, found: dict(wish.hints) or None,
        lambda guest: guest.record["hints"] or {},
        "Hints are for the scheduler, which has chosen already. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "server_group",
        lambda wish, found: found.server_group and found.server_group["id"],
        lambda guest: guest.record["server_group_id"],
        "A server group decides where an instance is placed, so it is joined at boot. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "host",
        lambda wish, found: wish.host,
        lambda guest: guest.host and guest.host["name"],
        "Moving an instance is a migration. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "zone",
        lambda wish, found: wish.zone,
        lambda guest: guest.host and guest.host["zone"],
        "Moving an instance is a migration. " + _REBOOT_ANEW,
    ),
)


def _refuse(wish: Wanted, found: Found, guest: orders.Guest) -> None:
    for fixed in _FIXED:
        wanted = fixed.wanted(wish, found)
        if wanted is None or wanted == fixed.actual(guest):
            continue
        shown = "" if fixed.option == "userdata" else f" from {_shown(fixed, guest)!r}"
        raise ChangeRefused(
            f"The {fixed.option} of instance {guest.name!r} differs{shown} and cannot change in place. {fixed.instead}",
            option=fixed.option,
            instance=guest.name,
        )


def _shown(fixed: _Fixed, guest: orders.Guest) -> Any:
    actual = fixed.actual(guest)
    return (guest.record[fixed.option] or {}).get("name") if fixed.option in ("flavor", "image") else actual


def _values(wish: Wanted, record: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {
        "metadata": None if wish.metadata is None else dict(wish.metadata),
        "tags": None if wish.tags is None else list(wish.tags),
    }
    return {
        key: value for key, value in wanted.items() if value is not None and (record[key] or type(value)()) != value
    }


def _pair(
    wish: Wanted, found: Found, present: Sequence[orders.Port]
) -> tuple[dict[str, Nic | None], list[tuple[int, Nic]]]:
    """Which nic of the wish each port that stays is, by port id, and the nics that are to be added with their position.

    Each network keeps as many ports as the wish names. Without any nic in the wish every port stays.
    """
    if wish.nics is None:
        return {port.record["id"]: None for port in present}, []
    left = list(present)
    kept: dict[str, Nic | None] = {}
    missing: list[int] = []
    # A nic that names an address chooses first: one that names none would do with any port of its network.
    for place, nic in sorted(enumerate(wish.nics), key=lambda numbered: not _particular(numbered[1])):
        key = found.networks[nic.network]["id"]
        fitting = next((port for port in left if port.network["id"] == key and _fits(port, nic)), None)
        if fitting is None:
            missing.append(place)
        else:
            left.remove(fitting)
            kept[fitting.record["id"]] = nic
    first = max((port.record["position"] for port in present), default=-1) + 1
    return kept, [(first + number, wish.nics[place]) for number, place in enumerate(sorted(missing))]


def _particular(nic: Nic) -> bool:
    return nic.fixed_ip is not None or nic.mac_address is not None


def _fits(port: orders.Port, nic: Nic) -> bool:
    addresses = {address["address"] for address in port.addresses}
    same_mac = nic.mac_address is None or nic.mac_address.lower() == port.record["mac_address"]
    return same_mac and (nic.fixed_ip is None or nic.fixed_ip in addresses)


def _groups(wish: Wanted, found: Found, nic: Nic | None) -> dict[str, str] | None:
    """Names by id of the groups that the wish gives a port: the nic's own, else the instance's; None: it gives none."""
    own = None if nic is None else nic.security_groups
    names = wish.security_groups if own is None else own
    return None if names is None else {found.secgroups[name]["id"]: found.secgroups[name]["name"] for name in names}


def groups_of(wish: Wanted, found: Found, nic: Nic) -> list[str]:
    """Names of the groups that a nic to come gets: what the wish gives it, else the project's default."""
    given = _groups(wish, found, nic)
    return [DEFAULT] if given is None else list(given.values())


def _wire_changes(before: Sequence[_Row], after: Sequence[_Row]) -> list[Change]:
    """What a diff shows of ports: their networks, all their groups, and each port where those two do not say it all."""
    changes = []
    even = True
    groups = []
    for side in (before, after):
        groups.append(sorted({name for row in side for name in row["security_groups"]}))
        even = even and all(row["security_groups"] == groups[-1] for row in side)
    networks = [[row["network"] for row in side] for side in (before, after)]
    for what, (old, new) in (("networks", networks), ("security_groups", groups)):
        if old != new:
            changes.append(Change(what, old, new))
    if not even or not changes:
        changes.append(Change("nics", list(before), list(after)))
    return changes


def _row(network: Mapping[str, Any], addresses: Sequence[str], groups: Iterable[str]) -> _Row:
    return {"network": network["name"], "addresses": list(addresses), "security_groups": sorted(groups)}


def _addresses(port: orders.Port) -> list[str]:
    return [address["address"] for address in port.addresses]
