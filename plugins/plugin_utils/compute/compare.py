# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between a wish and an instance that exists: one table says how each option is compared.

Options that can change in place become changes; those that cannot are refused with the name of what does it. Nothing
that was asked is ever ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.catalog import Found
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.wanted import Nic, Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import ChangeRefused

STATUS_OF = {"running": "ACTIVE", "stopped": "SHUTOFF", "rebooted": "ACTIVE"}


@dataclass(frozen=True)
class Difference:
    """What must change of one instance.

    :param values: new values of the record's columns.
    :param secgroups: IDs of the security groups that all ports are to have, by port id; only ports that differ.
    :param plug: networks to attach, as (position, nic).
    :param unplug: ports to detach.
    """

    guest: orders.Guest
    values: Mapping[str, Any] = field(default_factory=dict)
    secgroups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plug: Sequence[tuple[int, Nic]] = ()
    unplug: Sequence[orders.Port] = ()
    changes: Sequence[Change] = ()


def difference(wish: Wanted, found: Found, guest: orders.Guest) -> Difference:
    """Compare one instance with the wish.

    :raises ChangeRefused: an option differs that cannot change in place.
    """
    _refuse(wish, found, guest)
    values = _values(wish, guest.record)
    changes = [Change(key, guest.record[key], value) for key, value in values.items()]
    present = [port for port in guest.ports if not port.going]
    plug, unplug = _networks(wish, found, present)
    kept = [port for port in present if port not in unplug]
    if plug or unplug:
        before = [port.network["name"] for port in present]
        after = [port.network["name"] for port in kept]
        changes.append(
            Change("networks", before, after + [found.networks[nic.network]["name"] for _position, nic in plug])
        )
    groups = _secgroups(wish, found, kept)
    if groups:
        names = sorted({found.secgroups[name]["name"] for name in wish.security_groups or ()})
        changes.append(Change("security_groups", _group_names(kept), names))
    return Difference(guest, values, groups, plug, unplug, changes)


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
        "A running instance keeps its flavor; resizing is not part of this module yet. " + _REBOOT_ANEW,
    ),
    _Fixed(
        "image",
        lambda wish, found: found.image and found.image["id"],
        lambda guest: guest.record["image"]["id"],
        "Another image means another disk (rebuilding is not part of this module yet). " + _REBOOT_ANEW,
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
    return guest.record[fixed.option]["name"] if fixed.option in ("flavor", "image") else actual


def _values(wish: Wanted, record: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {
        "metadata": None if wish.metadata is None else dict(wish.metadata),
        "tags": None if wish.tags is None else list(wish.tags),
    }
    return {
        key: value for key, value in wanted.items() if value is not None and (record[key] or type(value)()) != value
    }


def _networks(
    wish: Wanted, found: Found, present: Sequence[orders.Port]
) -> tuple[list[tuple[int, Nic]], list[orders.Port]]:
    """Ports to add and to take away, so that each network has as many ports as the wish names."""
    if wish.nics is None:
        return [], []
    left = list(present)
    plug: list[tuple[int, Nic]] = []
    position = max((port.record["position"] for port in present), default=-1)
    for nic in wish.nics:
        network = found.networks[nic.network]
        fitting = next((port for port in left if port.network["id"] == network["id"] and _fits(port, nic)), None)
        if fitting is not None:
            left.remove(fitting)
            continue
        position += 1
        plug.append((position, nic))
    return plug, left


def _fits(port: orders.Port, nic: Nic) -> bool:
    addresses = {address["address"] for address in port.addresses}
    same_mac = nic.mac_address is None or nic.mac_address.lower() == port.record["mac_address"]
    return same_mac and (nic.fixed_ip is None or nic.fixed_ip in addresses)


def _secgroups(wish: Wanted, found: Found, ports: Sequence[orders.Port]) -> dict[str, list[str]]:
    if wish.security_groups is None:
        return {}
    wanted = sorted(found.secgroups[name]["id"] for name in wish.security_groups)
    own = {found.networks[nic.network]["id"] for nic in wish.nics or () if nic.security_groups is not None}
    return {
        port.record["id"]: wanted
        for port in ports
        if port.network["id"] not in own and sorted(port.secgroup_ids) != wanted
    }


def _group_names(ports: Sequence[orders.Port]) -> list[str]:
    return sorted({name for port in ports for name in port.secgroup_names})
