# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security group rules as OVN access control lists. Pure.

A group is a port group; its rules are ACLs that allow, at one priority. What no rule allows is dropped by one shared
port group that holds every port with port security, so a port without a group (or whose group failed to be written)
lets nothing through: it fails closed. Above the rules stand the drops that no group can open: a guest does not serve
DHCP, and begins nothing from UDP port 53. What port security checks (source MAC and addresses, ARP and neighbour
discovery included) is judged by OVN before any ACL.

Router advertisements are dropped there too, but OVN (23.03 to 26.03) lets ``nd_ra`` past all ACLs, those after load
balancers included, and its QoS rules, the one other stage in which a rule of ours counts, can drop nothing for sure.
What stops them is port security, on ports without an IPv6 address; a guest that has one can advertise itself as a
router. Guests that follow their seed do not listen: it says ``accept-ra: false``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.network import values

Acl = dict[str, Any]

DROP_GROUP = "ag_drop"
OWNER = "agentless:secgroup"
RULE = "agentless:rule"

NEVER, BASIC, ALLOW, DROP = 1010, 1004, 1002, 1001

_WITH_PORTS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "sctp": "sctp", "132": "sctp"}
_ICMP = {"icmp", "1", "icmpv6", "ipv6-icmp", "58"}
_NAMED = {"ah": 51, "esp": 50, "gre": 47, "igmp": 2, "ospf": 89, "vrrp": 112, "ipip": 4, "dccp": 33, "udplite": 136}


def group_name(secgroup_id: str) -> str:
    """The legal port group name of a security group; its address sets are this with ``_ip4`` and ``_ip6``."""
    return "ag_" + secgroup_id.replace("-", "_")


def acls(secgroup_id: str, stateful: bool, rules: list[dict[str, Any]]) -> list[Acl]:
    """The ACL rows of a group.

    :raises BackendError: a rule that means nothing.
    """
    action = "allow-related" if stateful else "allow-stateless"
    return [_acl(secgroup_id, rule, action) for rule in rules]


def match(pg_name: str, rule: Mapping[str, Any]) -> str:
    """The match expression of one rule."""
    inbound = _choice(rule, "direction", ("ingress", "egress")) == "ingress"
    version = 4 if _choice(rule, "ether_type", ("IPv4", "IPv6")) == "IPv4" else 6
    parts = [f"{'outport' if inbound else 'inport'} == @{pg_name}", f"ip{version}"]
    parts += _remote(rule, version, "src" if inbound else "dst")
    parts += _protocol(rule, version)
    return " && ".join(parts)


def drop_acls() -> list[Acl]:
    """The ACLs of the shared drop group."""
    source, target = f"inport == @{DROP_GROUP}", f"outport == @{DROP_GROUP}"
    from_guest = [
        (NEVER, "drop", "ip4 && udp.src == 67 && udp.dst == 68"),
        (NEVER, "drop", "ip6 && udp.src == 547 && udp.dst == 546"),
        (NEVER, "drop", "nd_ra"),
        # Where a switch has DNS records, OVN lets UDP from port 53 in past every group. Answers of a guest that serves
        # DNS are part of a tracked connection and are not judged here.
        (NEVER, "drop", "udp.src == 53"),
        (BASIC, "allow", "arp"),
        (BASIC, "allow", "nd || nd_rs || mldv1 || mldv2"),
        (BASIC, "allow", "ip4 && udp.src == 68 && udp.dst == 67"),
        (BASIC, "allow", "ip6.dst == ff02::1:2 && udp.src == 546 && udp.dst == 547"),
    ]
    to_guest = [(BASIC, "allow", "arp"), (BASIC, "allow", "nd || nd_ra")]
    drops = [_row("from-lport", DROP, source, "drop"), _row("to-lport", DROP, target, "drop")]
    return [
        {**row, "external_ids": {OWNER: "drop"}}
        for row in (
            [_row("from-lport", priority, f"{source} && ({text})", action) for priority, action, text in from_guest]
            + [_row("to-lport", priority, f"{target} && ({text})", action) for priority, action, text in to_guest]
            + drops
        )
    ]


def _acl(secgroup_id: str, rule: Mapping[str, Any], action: str) -> Acl:
    direction = "to-lport" if rule.get("direction") == "ingress" else "from-lport"
    row = _row(direction, ALLOW, match(group_name(secgroup_id), rule), action)
    return {**row, "external_ids": {OWNER: secgroup_id, RULE: values.uuid_text(rule.get("id"), "rule id")}}


def _row(direction: str, priority: int, expression: str, action: str) -> Acl:
    return {"direction": direction, "priority": priority, "match": expression, "action": action}


def _choice(rule: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = rule.get(key)
    if value not in allowed:
        raise values.refused(key, value, f"is not one of {', '.join(allowed)}")
    return str(value)


def _remote(rule: Mapping[str, Any], version: int, end: str) -> list[str]:
    prefix, group = rule.get("remote_ip_prefix"), rule.get("remote_group_id")
    if prefix and group:
        raise values.refused("remote_ip_prefix", prefix, "excludes a remote group in the same rule")
    if group:
        return [f"ip{version}.{end} == ${group_name(values.uuid_text(group, 'remote_group_id'))}_ip{version}"]
    if not prefix:
        return []
    net = values.network(prefix, "remote_ip_prefix")
    if net.version != version:
        raise values.refused("remote_ip_prefix", prefix, f"is not IPv{version} as the rule's ether_type")
    return [f"ip{version}.{end} == {net}"] if net.prefixlen else []


def _protocol(rule: Mapping[str, Any], version: int) -> list[str]:
    named = rule.get("protocol")
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    protocol = "any" if named is None else str(named).lower()
    if protocol in _WITH_PORTS:
        return _ports(_WITH_PORTS[protocol], low, high)
    if protocol in _ICMP:
        return _icmp(protocol, version, low, high)
    if low is not None or high is not None:
        raise values.refused("protocol", named, "has no ports")
    if protocol == "any":
        return []
    if protocol in _NAMED:
        return [f"ip.proto == {_NAMED[protocol]}"]
    if not (protocol.isascii() and protocol.isdigit()):
        raise values.refused("protocol", named, "is not known; use its number")
    return [f"ip.proto == {values.number(int(protocol), 'protocol', 0, 255)}"]


def _ports(protocol: str, low: int | None, high: int | None) -> list[str]:
    first = values.optional_number(low, "port_range_min", 65535)
    last = values.optional_number(high, "port_range_max", 65535)
    if first is None and last is None:
        return [protocol]
    if first is None or last is None or first > last:
        raise values.refused("port_range", (low, high), "is not a range from a lower to a higher port")
    if first == last:
        return [protocol, f"{protocol}.dst == {first}"]
    return [protocol, f"{protocol}.dst >= {first}", f"{protocol}.dst <= {last}"]


def _icmp(protocol: str, version: int, kind: int | None, code: int | None) -> list[str]:
    if version == 4 and protocol not in ("icmp", "1"):
        raise values.refused("protocol", protocol, "needs ether_type IPv6")
    field = "icmp4" if version == 4 else "icmp6"
    wanted = values.optional_number(kind, "port_range_min (ICMP type)", 255)
    detail = values.optional_number(code, "port_range_max (ICMP code)", 255)
    if wanted is None and detail is not None:
        raise values.refused("port_range_max", code, "is an ICMP code without a type in port_range_min")
    parts = [field]
    if wanted is not None:
        parts.append(f"{field}.type == {wanted}")
    if detail is not None:
        parts.append(f"{field}.code == {detail}")
    return parts
