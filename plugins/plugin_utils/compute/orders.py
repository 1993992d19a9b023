# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the backends are told about instances, gathered from the records in a bounded number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import attachments
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.attachments import Attachment
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, network
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import ports as wire

Record = dict[str, Any]


@dataclass(frozen=True)
class Port:
    """A port with all that a host or a guest must know of it.

    :param addresses: each ``{"subnet_id", "address"}``.
    :param subnets: the subnets of its network, by id.
    """

    record: Record
    addresses: tuple[Record, ...]
    network: Record
    subnets: Mapping[str, Record]
    secgroup_ids: tuple[str, ...]
    secgroup_names: tuple[str, ...] = ()

    @property
    def going(self) -> bool:
        """Whether it is being taken away, by a run that has not finished."""
        return bool(self.record["status"] == "UNPLUGGING")


@dataclass(frozen=True)
class Guest:
    """An instance, the host that its record names (None while it has none), its ports in order and its volumes."""

    record: Record
    host: Record | None
    ports: tuple[Port, ...]
    volumes: tuple[Attachment, ...] = ()

    @property
    def id(self) -> str:
        """UUID of the instance."""
        return str(self.record["id"])

    @property
    def name(self) -> str:
        """Name of the instance."""
        return str(self.record["name"])

    @property
    def boot_volume(self) -> Attachment | None:
        """What it boots from, where that is a volume that it has."""
        return next((each for each in self.volumes if each.boots and not each.going), None)


@dataclass(frozen=True)
class Wiring:
    """Networks and security groups that ports stand on, as the network backend must know them."""

    networks: Mapping[str, tuple[Record, tuple[Record, ...]]]
    secgroups: Mapping[str, tuple[Record, tuple[Record, ...]]]


def load(conn: Any, ids: Sequence[str]) -> list[Guest]:
    """The guests of these ids that exist, in the order of ``ids``."""
    instances = {row["id"]: row for row in _rows(conn, cell.instances, cell.instances.c.id, ids)}
    host_ids = {row["host_id"] for row in instances.values() if row["host_id"]}
    hosts = {row["id"]: row for row in _rows(conn, cell.hosts, cell.hosts.c.id, host_ids)}
    ports = _ports(conn, list(instances))
    volumes = attachments.load(conn, list(instances))
    return [
        Guest(
            instances[key],
            hosts.get(instances[key]["host_id"]),
            tuple(ports.get(key, ())),
            tuple(volumes.get(key, ())),
        )
        for key in ids
        if key in instances
    ]


def wiring(conn: Any, guests: Iterable[Guest]) -> Wiring:
    """The networks and security groups of the guests' ports, and the groups that those groups' rules name."""
    ports = [port for guest in guests for port in guest.ports]
    networks = {
        port.network["id"]: (port.network, tuple(port.subnets[key] for key in sorted(port.subnets))) for port in ports
    }
    wanted = {key for port in ports for key in port.secgroup_ids}
    rules = _rows(conn, network.secgroup_rules, network.secgroup_rules.c.secgroup_id, wanted)
    wanted |= {rule["remote_group_id"] for rule in rules if rule["remote_group_id"]}
    rules = _rows(conn, network.secgroup_rules, network.secgroup_rules.c.secgroup_id, wanted)
    by_group: dict[str, list[Record]] = defaultdict(list)
    for rule in rules:
        by_group[rule["secgroup_id"]].append(rule)
    groups = _rows(conn, network.secgroups, network.secgroups.c.id, wanted)
    return Wiring(networks, {group["id"]: (group, tuple(by_group[group["id"]])) for group in groups})


def network_operations(guests: Sequence[Guest], wires: Wiring) -> list[Record]:
    """Everything that the network backend must have for these guests. What is there already costs it nothing."""
    return [
        *(wire.network_operation(record, subnets) for record, subnets in wires.networks.values()),
        *(wire.secgroup_operation(record, rules) for record, rules in wires.secgroups.values()),
        *port_operations(guests),
    ]


def port_operations(guests: Sequence[Guest]) -> list[Record]:
    """The operations that make the ports themselves."""
    return [
        wire.port_operation(
            port.record,
            port.addresses,
            port.secgroup_ids,
            wire.dns_name(port.record, port.network, hostname(guest.name)),
        )
        for guest in guests
        for port in guest.ports
    ]


def hostname(name: str) -> str:
    """A name that a guest and DNS accept: letters, digits and hyphens, at most 63 (RFC 1123)."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    return kept.strip("-")[:63].strip("-") or "instance"


def _ports(conn: Any, instance_ids: Sequence[str]) -> dict[str, list[Port]]:
    records = _rows(conn, network.ports, network.ports.c.instance_id, instance_ids)
    ids = [row["id"] for row in records]
    network_ids = {row["network_id"] for row in records}
    networks = {row["id"]: row for row in _rows(conn, network.networks, network.networks.c.id, network_ids)}
    subnets: dict[str, dict[str, Record]] = defaultdict(dict)
    for row in _rows(conn, network.subnets, network.subnets.c.network_id, network_ids):
        subnets[row["network_id"]][row["id"]] = row
    addresses: dict[str, list[Record]] = defaultdict(list)
    for row in _rows(conn, network.addresses, network.addresses.c.port_id, ids):
        addresses[row["port_id"]].append(row)
    groups: dict[str, list[str]] = defaultdict(list)
    for row in _rows(conn, network.port_secgroups, network.port_secgroups.c.port_id, ids):
        groups[row["port_id"]].append(row["secgroup_id"])
    group_ids = {key for keys in groups.values() for key in keys}
    names = {row["id"]: row["name"] for row in _rows(conn, network.secgroups, network.secgroups.c.id, group_ids)}
    found: dict[str, list[Port]] = defaultdict(list)
    for row in sorted(records, key=lambda port: (port["position"], port["id"])):
        found[row["instance_id"]].append(
            Port(
                record=row,
                addresses=tuple(sorted(addresses[row["id"]], key=lambda address: address["number"])),
                network=networks[row["network_id"]],
                subnets=subnets[row["network_id"]],
                secgroup_ids=tuple(sorted(groups[row["id"]])),
                secgroup_names=tuple(sorted(names[key] for key in groups[row["id"]])),
            )
        )
    return found


def _rows(conn: Any, table: Any, column: Any, values: Iterable[str]) -> list[Record]:
    """The rows whose column is one of the values. SQLite takes a limited number of parameters, so in slices."""
    wanted = sorted(set(values))
    found: list[Record] = []
    for start in range(0, len(wanted), 500):
        query = sa.select(table).where(column.in_(wanted[start : start + 500]))
        found.extend(dict(row) for row in conn.execute(query).mappings())
    return found
