# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security group rules: what the user wrote in canonical form, and sets of them compared. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.network import rules as acls
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.values import description

Rule = dict[str, Any]

KEY = (
    "direction",
    "ether_type",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)
_ALIASES = {"any": None, "0": None, "6": "tcp", "17": "udp", "132": "sctp", "1": "icmp", "58": "icmpv6"}
_ANY = "00000000-0000-0000-0000-000000000000"
_PORTS = ("tcp", "udp", "sctp")


def normalized(given: Mapping[str, Any], groups: Mapping[str, str]) -> Rule:
    """A rule in the one form in which it is stored and compared.

    :param groups: IDs of the remote groups by the name (or id) that rules use.
    :raises BadInput: it means nothing.
    """
    prefix = _prefix(given.get("remote_ip_prefix"))
    version = prefix.version if prefix is not None else 4
    ether_type = given.get("ether_type") or f"IPv{version}"
    protocol = _protocol(given.get("protocol"), ether_type)
    low, high = (None if value == -1 else value for value in (given.get("port_range_min"), given.get("port_range_max")))
    if protocol in _PORTS and (low is None) != (high is None):
        low = high = low if high is None else high
    remote = given.get("remote_group")
    about = given.get("description")
    rule = {
        "direction": given.get("direction") or "ingress",
        "ether_type": ether_type,
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": str(prefix) if prefix is not None else None,
        "remote_group_id": groups[remote] if remote else None,
        "description": None if about is None else description("description of a rule", about),
    }
    try:
        # A group that names itself may not exist yet; the ids of groups are ours, so any stands for them here.
        acls.match("ag_x", {**rule, "remote_group_id": _ANY if remote else None})
    except BackendError as exc:
        raise BadInput(f"The rule {text({**rule, 'remote_group': remote})} cannot be: {exc.msg}") from exc
    return rule


def wanted(given: Sequence[Rule]) -> list[Rule]:
    """The rules that a group is to have: those given, and everything outbound where no rule speaks of outbound.

    :raises BadInput: two say the same.
    """
    seen: dict[tuple[Any, ...], Rule] = {}
    for rule in given:
        if key(rule) in seen:
            raise BadInput(f"The rule {text(rule)} is given twice.")
        seen[key(rule)] = rule
    outbound = any(rule["direction"] == "egress" for rule in given)
    return [*given, *([] if outbound else allow_outbound())]


def allow_outbound() -> list[Rule]:
    """The rules of every new group: all traffic from the guest, as in Neutron."""
    return [_rule(direction="egress", ether_type=version) for version in ("IPv4", "IPv6")]


def allow_members(group_id: str) -> list[Rule]:
    """The rules of the default group beside that: all traffic from its own members."""
    return [_rule(direction="ingress", ether_type=version, remote_group_id=group_id) for version in ("IPv4", "IPv6")]


def key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rules the same: all but id and description."""
    return tuple(rule[column] for column in KEY)


def text(rule: Mapping[str, Any]) -> str:
    """A rule in one line, for messages and diffs."""
    parts = [rule["direction"], rule["ether_type"], rule["protocol"] or "any"]
    low, high = rule["port_range_min"], rule["port_range_max"]
    if low is not None:
        parts.append(str(low) if high in (None, low) else f"{low}-{high}")
    remote = rule["remote_ip_prefix"] or rule.get("remote_group") or rule["remote_group_id"]
    if remote:
        parts.append(f"{'from' if rule['direction'] == 'ingress' else 'to'} {remote}")
    return " ".join(str(part) for part in parts)


def _rule(**values: Any) -> Rule:
    return {**dict.fromkeys((*KEY, "description")), **values}


def _protocol(given: Any, ether_type: str) -> str | None:
    if given is None:
        return None
    name = str(given).strip().lower()
    if name in _ALIASES:
        name = _ALIASES[name] or ""
    if name == "ipv6-icmp" or (name == "icmp" and ether_type == "IPv6"):
        name = "icmpv6"
    return name or None


def _prefix(given: Any) -> Any:
    if not given:
        return None
    try:
        return ipaddress.ip_network(str(given))
    except ValueError as exc:
        raise BadInput(f"remote_ip_prefix {str(given)[:60]!r} is not a network prefix without host bits.") from exc
