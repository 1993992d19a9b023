#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(secgroup); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secgroup
short_description: Make, change and remove security groups
version_added: 0.1.0
description:
  - Keeps a security group and its rules as described, in the database and as a port group of OVN. Guests that are
    running follow at once.
  - What no rule of a port's groups allows is dropped, in both directions. Whatever the rules say, a guest never sends
    from addresses that are not its own, never serves DHCP, and begins no conversation from UDP port 53.
  - OVN is asked in every run. What a run that was killed has left undone, or what someone has changed there by hand, is
    put right, and the task says so.
  - Each project has a group V(default), made when it is first needed. It allows everything outbound, and everything
    inbound from its own members. A port that names no group has that one.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the security group, unique in its project.
    type: str
    required: true
  state:
    description:
      - V(absent) removes the group. It is refused while ports have it, or rules of other groups name it.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What the group is for, in up to 255 characters.
    type: str
  stateful:
    description:
      - Whether answers to allowed traffic are allowed too. For a new group V(true) by default.
      - In a group that is not stateful, both directions need rules.
    type: bool
  purge_rules:
    description: Whether rules that are not in O(rules) are removed.
    type: bool
    default: true
  rules:
    description:
      - The rules of the group. Each allows something. Without this option, the rules stay as they are.
      - Where no rule is for V(egress), the two rules that allow everything outbound are kept, or made for a new group.
        List one rule for V(egress), and outbound traffic is exactly what is listed.
    type: list
    elements: dict
    suboptions:
      direction:
        description: V(ingress) is traffic to the guest, V(egress) traffic from it.
        type: str
        choices: [ingress, egress]
        default: ingress
      ether_type:
        description: By default the version of O(rules[].remote_ip_prefix), else V(IPv4).
        type: str
        choices: [IPv4, IPv6]
      protocol:
        description:
          - V(tcp), V(udp), V(sctp), V(icmp), V(icmpv6), V(any), another well-known name (V(ah), V(esp), V(gre),
            V(igmp), V(ospf), V(vrrp), V(ipip), V(dccp), V(udplite)), or the number of a protocol. V(any) is the
            default.
        type: str
      port_range_min:
        description: First port, or the ICMP type. V(-1) is the same as none.
        type: int
      port_range_max:
        description: Last port, or the ICMP code. By default the same as O(rules[].port_range_min) for ports.
        type: int
      remote_ip_prefix:
        description: The other end is in this prefix.
        type: str
      remote_group:
        description: The other end is a member of the security group of this name or ID.
        type: str
      description:
        description: What the rule is for, in up to 255 characters.
        type: str
seealso:
  - module: agentless.cloud.secgroup_info
  - module: agentless.cloud.network
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Web servers answer on two ports and to pings
  agentless.cloud.secgroup:
    name: web
    description: What the world may ask of a web server
    rules:
      - protocol: tcp
        port_range_min: 80
      - protocol: tcp
        port_range_min: 443
      - protocol: icmp

- name: A database answers web servers only
  agentless.cloud.secgroup:
    name: database
    rules:
      - protocol: tcp
        port_range_min: 5432
        remote_group: web

- name: One more rule, the others stay
  agentless.cloud.secgroup:
    name: web
    purge_rules: false
    rules:
      - protocol: tcp
        port_range_min: 22
        remote_ip_prefix: 192.0.2.0/24

- name: No database group
  agentless.cloud.secgroup:
    name: database
    state: absent
"""

RETURN = r"""
secgroup:
  description: The group; none with O(state=absent). In check mode, what is not known before it exists is left out.
  returned: success
  type: dict
  contains:
    id:
      description: UUID of the group.
      returned: always
      type: str
      sample: 5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11
    name:
      description: Name of the group.
      returned: always
      type: str
      sample: web
    project_id:
      description: UUID of the project that owns it.
      returned: always
      type: str
      sample: 2c9f0d4e-71b5-4f0a-8d8e-0f5d4bb1c0aa
    description:
      description: What the group is for.
      returned: always
      type: str
      sample: What the world may ask of a web server
    stateful:
      description: Whether answers to allowed traffic are allowed too.
      returned: always
      type: bool
      sample: true
    rules:
      description: Its rules.
      returned: always
      type: list
      elements: dict
      contains:
        id:
          description: UUID of the rule.
          returned: always
          type: str
          sample: 0f0b7c52-3a55-4f0f-a1cb-6d1f3b1f4a10
        direction:
          description: V(ingress) or V(egress).
          returned: always
          type: str
          sample: ingress
        ether_type:
          description: V(IPv4) or V(IPv6).
          returned: always
          type: str
          sample: IPv4
        protocol:
          description: The protocol, none for any.
          returned: always
          type: str
          sample: tcp
        port_range_min:
          description: First port, or the ICMP type.
          returned: always
          type: int
          sample: 443
        port_range_max:
          description: Last port, or the ICMP code.
          returned: always
          type: int
          sample: 443
        remote_ip_prefix:
          description: Where the other end is.
          returned: always
          type: str
          sample: 192.0.2.0/24
        remote_group_id:
          description: UUID of the group that the other end is a member of.
          returned: always
          type: str
          sample: 8a1c6f3e-1d53-4c0e-9f6b-7d4f0f8b2a11
        remote_group:
          description: Name of that group.
          returned: always
          type: str
          sample: web
        description:
          description: What the rule is for.
          returned: always
          type: str
          sample: HTTPS
    created_at:
      description: When it was made.
      returned: always
      type: str
      sample: "2026-01-31T12:00:00.000000Z"
    updated_at:
      description: When it was last changed.
      returned: always
      type: str
      sample: "2026-01-31T12:00:00.000000Z"
"""
