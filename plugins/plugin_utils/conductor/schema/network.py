# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks' part of the cloud database: networks, subnets, ports, addresses, security groups."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.common import (
    NAME_CHECK,
    cloud_metadata,
    document,
    flag,
    number,
    record,
    reference,
    text,
)

metadata = cloud_metadata

networks = sa.Table(
    "networks",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    number("mtu", nullable=True),
    flag("external", default=False),
    flag("shared", default=False),
    flag("port_security_enabled", default=True),
    document("provider"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# allocation_pools: [{"start": address, "end": address}]; empty means the whole range. ``last_number`` is the
# address given out last (see ipam), in the form of addresses.number; it is no part of the configuration.
subnets = sa.Table(
    "subnets",
    metadata,
    *record(),
    reference("network_id", "networks.id", cascade=True),
    text("name"),
    text("cidr", nullable=False),
    number("ip_version"),
    text("gateway_ip"),
    document("allocation_pools"),
    flag("enable_dhcp", default=True),
    document("dns_nameservers"),
    document("host_routes"),
    sa.Column("last_number", sa.String(32)),
    sa.UniqueConstraint("network_id", "name"),
    sa.UniqueConstraint("network_id", "cidr"),
    sa.CheckConstraint("ip_version IN (4, 6)", name="ip_version"),
)

ports = sa.Table(
    "ports",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    reference("network_id", "networks.id"),
    text("name"),
    sa.Column("mac_address", sa.String(17), nullable=False),
    sa.Column("instance_id", sa.String(36), index=True),
    number("position", default=0),
    text("host"),
    flag("port_security_enabled", default=True),
    document("allowed_address_pairs"),
    text("status", nullable=False),
    sa.UniqueConstraint("mac_address"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.Index(None, "network_id"),
)

# ``address`` is the canonical text, ``number`` the same as 32 hexadecimal digits, whose order is the addresses' order.
addresses = sa.Table(
    "addresses",
    metadata,
    reference("subnet_id", "subnets.id"),
    sa.Column("address", sa.String(45), nullable=False),
    sa.Column("number", sa.String(32), nullable=False),
    reference("port_id", "ports.id", cascade=True),
    flag("is_fixed", default=False),
    sa.PrimaryKeyConstraint("subnet_id", "address"),
    sa.UniqueConstraint("subnet_id", "number"),
    sa.Index(None, "port_id"),
)

secgroups = sa.Table(
    "secgroups",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    text("description"),
    flag("stateful", default=True),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

secgroup_rules = sa.Table(
    "secgroup_rules",
    metadata,
    *record(),
    reference("secgroup_id", "secgroups.id", cascade=True),
    text("direction", nullable=False),
    text("ether_type", nullable=False),
    text("protocol"),
    number("port_range_min", nullable=True),
    number("port_range_max", nullable=True),
    text("remote_ip_prefix"),
    reference("remote_group_id", "secgroups.id", nullable=True),
    text("description"),
    sa.Index(None, "secgroup_id"),
    sa.Index(None, "remote_group_id"),
)

port_secgroups = sa.Table(
    "port_secgroups",
    metadata,
    reference("port_id", "ports.id", cascade=True),
    reference("secgroup_id", "secgroups.id"),
    sa.PrimaryKeyConstraint("port_id", "secgroup_id"),
    sa.Index(None, "secgroup_id"),
)
