# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks with their subnets: one plan for check mode, diff and the real run; records first, then OVN.

OVN is asked in every run, also in one that finds the records as wanted: what a killed run left undone, or what someone
changed by hand, is put right, and the task says whether it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network.rows import MTU, PHYSICAL
from ansible_collections.agentless.cloud.plugins.plugin_utils import limits, names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.ports import holders
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import network as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import central, ports, subnets
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal

Record = dict[str, Any]

IN_OVN = Change("ovn", "not as recorded", "as recorded")
IPV4_MTU, IPV6_MTU, LARGEST_MTU = 68, 1280, 65535  # RFC 791, RFC 8200
_PLAIN = ("mtu", "external", "shared", "port_security_enabled")
_PROVIDER = ("network_type", "physical_network", "segmentation_id")
_SHOWN = ("id", "name", "project_id", *_PLAIN)
_SUBNET_SHOWN = (
    "id",
    "name",
    "cidr",
    "ip_version",
    "gateway_ip",
    "allocation_pools",
    "enable_dhcp",
    "dns_nameservers",
    "host_routes",
)


@dataclass(frozen=True)
class Plan:
    """What is to become of a network.

    :param found: its record, None while there is none.
    :param values: columns to set.
    :param added: subnets to make.
    :param altered: columns to set, by subnet id.
    :param dropped: subnets to remove.
    """

    project_id: str
    found: Record | None
    values: Mapping[str, Any]
    changes: Sequence[Change]
    added: Sequence[Record] = ()
    altered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dropped: Sequence[Record] = ()


def apply(request: Request) -> Outcome:
    """Make the network as the task says."""
    central.host(request.groups)
    name = names.label("name of a network", request.args["name"])
    if request.args["state"] == "absent":
        return _absent(request, name)
    with request.conductor.read() as conn:
        plan = planned(conn, request.args, request.principal)
        before = _loaded(conn, plan.found)
    header = f"network {name}"
    if request.check:
        predicted = plan.found is not None and not plan.changes and central.push(request, [_operation(before)])
        listed = [*plan.changes, IN_OVN] if predicted else list(plan.changes)
        return Outcome(bool(listed), {"network": _predicted(plan, before)}, listed, header)
    if plan.changes:
        with request.conductor.transaction(lock=f"network:{name}") as conn:
            plan = planned(conn, request.args, request.principal)
            before = _loaded(conn, _carried_out(conn, plan))
    corrected = central.push(request, [_operation(before)])
    listed = list(plan.changes) or ([IN_OVN] if corrected else [])
    return Outcome(bool(listed), {"network": shown(*before)}, listed, header)


def info(request: Request) -> Outcome:
    """The networks that the project can use."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        found = records.listing(conn, tables.networks, project_id=project["id"])
        parts = records.listing(conn, tables.subnets, network_id=[row["id"] for row in found])
    rows = [shown(row, [part for part in parts if part["network_id"] == row["id"]]) for row in found]
    return answer("networks", rows, request.args)


def planned(conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> Plan:
    """Compare what the task says with the record.

    :raises BadInput: a prefix, an address or a combination cannot be meant.
    :raises ChangeRefused: an option cannot change in place.
    """
    project = projects.resolve(conn, args["project"], principal)
    found = _own(conn, args["name"], project["id"])
    limits.check("subnets", "subnets", args.get("subnets") or ())
    given = None if args.get("subnets") is None else [subnets.normalized(item) for item in args["subnets"]]
    subnets.apart(given or ())
    _carried(args.get("mtu"), given or ())
    values = {key: args[key] for key in _PLAIN if args.get(key) is not None}
    provider = _provider(args)
    if found is None:
        return _creation(project["id"], args["name"], values, provider, given or [])
    if provider is not None and provider != (found["provider"] or None):
        raise ChangeRefused("The provider options of a network cannot change: remove the network and make it again.")
    changes = compare(values, found)
    present = records.listing(conn, tables.subnets, network_id=found["id"])
    if given is None:
        return Plan(project["id"], found, values, changes)
    added, altered, dropped = _matched(given, present)
    changes += [Change(f"subnet {item['cidr']}", None, item) for item in added]
    by_id = {item["id"]: item for item in present}
    for key, differing in altered.items():
        what = f"subnet {by_id[key]['cidr']}"
        changes += [Change(f"{what} {column}", by_id[key][column], value) for column, value in differing.items()]
    for item in dropped:
        _unused(conn, item)
    changes += [Change(f"subnet {item['cidr']}", item["cidr"], None) for item in dropped]
    return Plan(project["id"], found, values, changes, added, altered, dropped)


def shown(network: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> Record:
    """A network as modules return it."""
    provider = network["provider"] or {}
    return {
        **{key: network[key] for key in _SHOWN},
        "mtu": network["mtu"] or MTU,
        **{f"provider_{key}": provider.get(key) for key in _PROVIDER},
        "subnets": [
            {key: part[key] for key in _SUBNET_SHOWN}
            for part in sorted(parts, key=lambda part: (part["ip_version"], part["cidr"]))
        ],
        "created_at": network["created_at"],
        "updated_at": network["updated_at"],
    }


def _creation(
    project_id: str, name: str, values: Mapping[str, Any], provider: Record | None, given: Sequence[Record]
) -> Plan:
    whole = {"mtu": MTU, "external": False, "shared": False, "port_security_enabled": True, **values}
    added = [subnets.completed(item) for item in given]
    changes = created({"name": name, **whole, "provider": provider})
    changes += [Change(f"subnet {item['cidr']}", None, item) for item in added]
    return Plan(project_id, None, {"name": name, **whole, "provider": provider}, changes, added)


def _matched(
    given: Sequence[Record], present: Sequence[Record]
) -> tuple[list[Record], dict[str, dict[str, Any]], list[Record]]:
    """Subnets wanted and there, paired by name, else by prefix: those to add, to alter and to drop."""
    added: list[Record] = []
    altered: dict[str, dict[str, Any]] = {}
    kept: set[str] = set()
    for wanted in given:
        named = [row for row in present if wanted["name"] is not None and row["name"] == wanted["name"]]
        actual = next(iter(named or [row for row in present if row["cidr"] == wanted["cidr"]]), None)
        if actual is None:
            added.append(subnets.completed(wanted))
            continue
        kept.add(actual["id"])
        differing = subnets.changes(wanted, actual)
        if differing:
            altered[actual["id"]] = differing
    return added, altered, [row for row in present if row["id"] not in kept]


def _carried_out(conn: sa.Connection, plan: Plan) -> Record:
    """The plan as records, in the caller's transaction."""
    network = plan.found
    if network is None:
        quota.take(conn, plan.project_id, networks=1, subnets=len(plan.added))
        network = records.insert(conn, tables.networks, project_id=plan.project_id, **plan.values)
    elif plan.changes:
        quota.take(conn, plan.project_id, subnets=len(plan.added))
        quota.give(conn, plan.project_id, subnets=len(plan.dropped))
        # also when only subnets change: the network's generation stands for them too
        network = records.update(conn, tables.networks, network["id"], **plan.values)
    for part in plan.dropped:
        records.delete(conn, tables.subnets, part["id"])
    for key, values in plan.altered.items():
        records.update(conn, tables.subnets, key, **values)
    for part in plan.added:
        records.insert(conn, tables.subnets, network_id=network["id"], **part)
    return network


def _absent(request: Request, name: str) -> Outcome:
    """OVN first: a run that is killed in between finds the record and finishes."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        network, parts = _loaded(conn, _own(conn, name, project["id"]))
        if network:
            _empty(conn, network)
    if not network:
        return Outcome(False, {"network": None})
    changes = removed(shown(network, parts), ("name", "subnets"))
    if not request.check:
        central.push(request, [ports.absent("network", network)])
        with request.conductor.transaction(lock=f"network:{name}") as conn:
            if _own(conn, network["id"], project["id"]) is not None:
                _empty(conn, network)
                records.delete(conn, tables.networks, network["id"])
                quota.give(conn, project["id"], networks=1, subnets=len(parts))
    return Outcome(True, {"network": None}, changes, f"network {name}")


def _own(conn: sa.Connection, name: str, project_id: str) -> Record | None:
    """The project's network of that name; one that another project shares is not ours to change."""
    found = records.find(conn, tables.networks, name, project_id=project_id)
    return found if found is not None and found["project_id"] == project_id else None


def _loaded(conn: sa.Connection, network: Record | None) -> tuple[Record, list[Record]]:
    if network is None:
        return {}, []
    return network, records.listing(conn, tables.subnets, network_id=network["id"])


def _operation(loaded: tuple[Record, Sequence[Record]]) -> ports.Operation:
    return ports.network_operation(*loaded)


def _predicted(plan: Plan, before: tuple[Record, Sequence[Record]]) -> Record:
    """The network as it would be; what is not known before it exists is left out."""
    network, parts = before
    kept = [
        {**part, **plan.altered.get(part["id"], {})}
        for part in parts
        if part["id"] not in {item["id"] for item in plan.dropped}
    ]
    blank = dict.fromkeys((*_SHOWN, "provider", "created_at", "updated_at"))
    whole = shown({**blank, **network, **plan.values}, [*kept, *({"id": None, **part} for part in plan.added)])
    unknown = {"id", "created_at", "updated_at", "project_id"} if plan.found is None else set()
    return {key: value for key, value in whole.items() if key not in unknown}


def _carried(mtu: int | None, given: Sequence[Mapping[str, Any]]) -> None:
    """The packet size is one that guests can have."""
    least = IPV6_MTU if any(item["ip_version"] == 6 for item in given) else IPV4_MTU
    if mtu is not None and not least <= mtu <= LARGEST_MTU:
        raise BadInput(f"mtu is {mtu}; with these subnets it must be from {least} to {LARGEST_MTU}.")


def _provider(args: Mapping[str, Any]) -> Record | None:
    given: Record = {key: args.get(f"provider_{key}") for key in _PROVIDER}
    if all(value is None for value in given.values()):
        return None
    kind = given["network_type"]
    if given["physical_network"] and not PHYSICAL.fullmatch(given["physical_network"]):
        raise BadInput("provider_physical_network has up to 64 letters, digits, dots, dashes and underscores.")
    if kind not in ("flat", "vlan") or not given["physical_network"]:
        raise BadInput("A provider network needs provider_network_type flat or vlan and provider_physical_network.")
    if (kind == "vlan") != (given["segmentation_id"] is not None):
        raise BadInput("provider_segmentation_id is the VLAN of a provider network of type vlan, and only of that.")
    if kind == "vlan" and not 1 <= given["segmentation_id"] <= 4094:
        raise BadInput("provider_segmentation_id is from 1 to 4094.")
    return given


def _empty(conn: sa.Connection, network: Record) -> None:
    named = holders(conn, tables.ports.c.network_id == network["id"])
    if named:
        listed = ", ".join(named)
        raise InUse(f"Network {network['name']} has ports of {listed}. Remove these instances first.", instances=named)


def _unused(conn: sa.Connection, subnet: Record) -> None:
    query = sa.select(tables.addresses.c.address).where(tables.addresses.c.subnet_id == subnet["id"]).limit(3)
    used = list(conn.execute(query).scalars())
    if used:
        raise InUse(f"Subnet {subnet['cidr']} has addresses in use: {', '.join(used)}. Remove their instances first.")
