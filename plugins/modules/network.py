#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(network); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Make, change and remove networks with their subnets
version_added: 0.1.0
description:
  - Keeps a network and its subnets as described, in the database and as a logical switch of OVN.
  - OVN is asked in every run. What a run that was killed has left undone, or what someone has changed there by hand, is
    put right, and the task says so.
  - Only options that are given are compared with an existing network.
  - The inventory needs a host in the group C(cloud_network), where OVN's databases run.
  - On a network with an IPv6 subnet, a guest with an IPv6 address can advertise itself as a router to the others, since
    OVN lets router advertisements past every rule. The seed tells guests to ignore them (C(accept-ra) false); a guest
    that does not follow its seed, or sets up its interfaces itself, should be told so too.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the network, unique in its project.
    type: str
    required: true
  state:
    description:
      - V(absent) removes the network and its subnets. It is refused while ports are on the network.
    type: str
    choices: [present, absent]
    default: present
  subnets:
    description:
      - All subnets that the network is to have. They must not overlap. One that is left out is removed, unless its
        addresses are in use.
      - A subnet is recognized by its name, and one without a name by its prefix.
      - Without this option, the subnets stay as they are.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the subnet, unique in the network.
        type: str
      cidr:
        description:
          - The prefix, such as V(10.0.0.0/24) or V(fd00:1::/64). It cannot change.
        type: str
        required: true
      ip_version:
        description: Version of the prefix. It follows from O(subnets[].cidr), and is checked where it is given.
        type: int
        choices: [4, 6]
      gateway_ip:
        description:
          - The address of the router, which DHCP tells the guests.
          - For a new subnet, the first address by default. An empty text means no gateway.
        type: str
      allocation_pools:
        description:
          - The ranges that guests get their addresses from. For a new subnet, all but the gateway by default.
        type: list
        elements: dict
        suboptions:
          start:
            description: First address of the range.
            type: str
            required: true
          end:
            description: Last address of the range.
            type: str
            required: true
      enable_dhcp:
        description: Whether OVN answers DHCP for the subnet. For a new subnet V(true) by default.
        type: bool
      dns_nameservers:
        description: Resolvers that DHCP tells the guests.
        type: list
        elements: str
      host_routes:
        description: Further routes that DHCP tells the guests (IPv4).
        type: list
        elements: dict
        suboptions:
          destination:
            description: The prefix to be reached.
            type: str
            required: true
          nexthop:
            description: The router on the way there.
            type: str
            required: true
  mtu:
    description:
      - Largest packet in bytes, which DHCP tells the guests.
      - For a new network V(1442) by default, which fits into Geneve tunnels over an underlay of 1500.
    type: int
  external:
    description: Whether the network reaches outside the cloud, so that routers may use it as a gateway.
    type: bool
  shared:
    description:
      - Whether instances of other projects may have ports on the network.
      - DNS on a network answers all its guests alike, so that plain names are those of the network's own project. An
        instance of another project is found as C(NAME.PROJECT_ID), in whatever order they were booted.
    type: bool
  port_security_enabled:
    description:
      - Whether new ports let only their own addresses out and are filtered by security groups. For a new network
        V(true) by default.
    type: bool
  provider_network_type:
    description:
      - V(flat) and V(vlan) join the network to a physical one. Without it, the network lives in tunnels between hosts.
      - The provider options are for a new network; they cannot change.
    type: str
    choices: [flat, vlan]
  provider_physical_network:
    description: Name of the physical network, as in C(ovn-bridge-mappings) of the hosts.
    type: str
  provider_segmentation_id:
    description: The VLAN of a network of type V(vlan).
    type: int
seealso:
  - module: agentless.cloud.network_info
  - module: agentless.cloud.secgroup
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: A network for IPv4 and IPv6
  agentless.cloud.network:
    name: private
    subnets:
      - name: private-v4
        cidr: 10.0.0.0/24
        dns_nameservers:
          - 192.0.2.53
      - name: private-v6
        cidr: fd00:1::/64

- name: A network with no way out, of whose addresses the first hundred are not for guests
  agentless.cloud.network:
    name: backend
    subnets:
      - name: backend-v4
        cidr: 10.1.0.0/24
        gateway_ip: ""
        allocation_pools:
          - start: 10.1.0.100
            end: 10.1.0.254

- name: No backend network
  agentless.cloud.network:
    name: backend
    state: absent
"""

RETURN = r"""
network:
  description: The network; none with O(state=absent). In check mode, what is not known before it exists is left out.
  returned: success
  type: dict
  contains:
    id:
      description: UUID of the network, which is also the name of its logical switch.
      returned: always
      type: str
      sample: 8a1c6f3e-1d53-4c0e-9f6b-7d4f0f8b2a11
    name:
      description: Name of the network.
      returned: always
      type: str
      sample: private
    project_id:
      description: UUID of the project that owns it.
      returned: always
      type: str
      sample: 2c9f0d4e-71b5-4f0a-8d8e-0f5d4bb1c0aa
    mtu:
      description: Largest packet in bytes.
      returned: always
      type: int
      sample: 1442
    external:
      description: Whether it reaches outside the cloud.
      returned: always
      type: bool
      sample: false
    shared:
      description: Whether other projects may use it.
      returned: always
      type: bool
      sample: false
    port_security_enabled:
      description: Whether new ports are filtered.
      returned: always
      type: bool
      sample: true
    provider_network_type:
      description: Type of the physical network that it is joined to.
      returned: always
      type: str
      sample: vlan
    provider_physical_network:
      description: Name of that physical network.
      returned: always
      type: str
      sample: physnet1
    provider_segmentation_id:
      description: The VLAN there.
      returned: always
      type: int
      sample: 100
    subnets:
      description: Its subnets.
      returned: always
      type: list
      elements: dict
      contains:
        id:
          description: UUID of the subnet.
          returned: always
          type: str
          sample: 0f0b7c52-3a55-4f0f-a1cb-6d1f3b1f4a10
        name:
          description: Name of the subnet.
          returned: always
          type: str
          sample: private-v4
        cidr:
          description: Its prefix.
          returned: always
          type: str
          sample: 10.0.0.0/24
        ip_version:
          description: V(4) or V(6).
          returned: always
          type: int
          sample: 4
        gateway_ip:
          description: The router that DHCP names.
          returned: always
          type: str
          sample: 10.0.0.1
        allocation_pools:
          description: The ranges for guests, each with C(start) and C(end).
          returned: always
          type: list
          elements: dict
          sample: [{"start": "10.0.0.2", "end": "10.0.0.254"}]
        enable_dhcp:
          description: Whether OVN answers DHCP.
          returned: always
          type: bool
          sample: true
        dns_nameservers:
          description: Resolvers that DHCP names.
          returned: always
          type: list
          elements: str
          sample: ["192.0.2.53"]
        host_routes:
          description: Routes that DHCP names, each with C(destination) and C(nexthop).
          returned: always
          type: list
          elements: dict
          sample: []
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
