# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks, subnets, ports, addresses and security groups."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cloud_0002"
down_revision = "cloud_0001"


def upgrade() -> None:
    """Make the tables, each after those it points to."""
    _networks()
    _secgroups()
    _ports()
    _secgroup_rules()
    _subnets()
    _addresses()
    _port_secgroups()


def _networks() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mtu", sa.BigInteger()),
        sa.Column("external", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("provider", sa.JSON(none_as_null=True)),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_networks_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_networks_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_networks"),
        sa.UniqueConstraint("project_id", "name", name="uq_networks_project_id_name"),
    )


def _secgroups() -> None:
    op.create_table(
        "secgroups",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("stateful", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_secgroups_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_secgroups_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_secgroups"),
        sa.UniqueConstraint("project_id", "name", name="uq_secgroups_project_id_name"),
    )


def _ports() -> None:
    op.create_table(
        "ports",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("network_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("mac_address", sa.String(17), nullable=False),
        sa.Column("instance_id", sa.String(36)),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("host", sa.Text()),
        sa.Column("port_security_enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("allowed_address_pairs", sa.JSON(none_as_null=True)),
        sa.Column("status", sa.Text(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_ports_name"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_ports_network_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_ports_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ports"),
        sa.UniqueConstraint("mac_address", name="uq_ports_mac_address"),
        sa.UniqueConstraint("project_id", "name", name="uq_ports_project_id_name"),
    )
    op.create_index("ix_ports_instance_id", "ports", ["instance_id"])
    op.create_index("ix_ports_network_id", "ports", ["network_id"])


def _secgroup_rules() -> None:
    op.create_table(
        "secgroup_rules",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("secgroup_id", sa.String(36), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("ether_type", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text()),
        sa.Column("port_range_min", sa.BigInteger()),
        sa.Column("port_range_max", sa.BigInteger()),
        sa.Column("remote_ip_prefix", sa.Text()),
        sa.Column("remote_group_id", sa.String(36)),
        sa.Column("description", sa.Text()),
        sa.ForeignKeyConstraint(["remote_group_id"], ["secgroups.id"], name="fk_secgroup_rules_remote_group_id"),
        sa.ForeignKeyConstraint(
            ["secgroup_id"], ["secgroups.id"], name="fk_secgroup_rules_secgroup_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_secgroup_rules"),
    )
    op.create_index("ix_secgroup_rules_remote_group_id", "secgroup_rules", ["remote_group_id"])
    op.create_index("ix_secgroup_rules_secgroup_id", "secgroup_rules", ["secgroup_id"])


def _subnets() -> None:
    op.create_table(
        "subnets",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("network_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("cidr", sa.Text(), nullable=False),
        sa.Column("ip_version", sa.BigInteger(), nullable=False),
        sa.Column("gateway_ip", sa.Text()),
        sa.Column("allocation_pools", sa.JSON(none_as_null=True)),
        sa.Column("enable_dhcp", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("dns_nameservers", sa.JSON(none_as_null=True)),
        sa.Column("host_routes", sa.JSON(none_as_null=True)),
        sa.Column("last_number", sa.String(32)),
        sa.CheckConstraint("ip_version IN (4, 6)", name="ck_subnets_ip_version"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_subnets_network_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_subnets"),
        sa.UniqueConstraint("network_id", "cidr", name="uq_subnets_network_id_cidr"),
        sa.UniqueConstraint("network_id", "name", name="uq_subnets_network_id_name"),
    )


def _addresses() -> None:
    op.create_table(
        "addresses",
        sa.Column("subnet_id", sa.String(36), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("port_id", sa.String(36), nullable=False),
        sa.Column("is_fixed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["port_id"], ["ports.id"], name="fk_addresses_port_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name="fk_addresses_subnet_id"),
        sa.PrimaryKeyConstraint("subnet_id", "address", name="pk_addresses"),
        sa.UniqueConstraint("subnet_id", "number", name="uq_addresses_subnet_id_number"),
    )
    op.create_index("ix_addresses_port_id", "addresses", ["port_id"])


def _port_secgroups() -> None:
    op.create_table(
        "port_secgroups",
        sa.Column("port_id", sa.String(36), nullable=False),
        sa.Column("secgroup_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["port_id"], ["ports.id"], name="fk_port_secgroups_port_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["secgroup_id"], ["secgroups.id"], name="fk_port_secgroups_secgroup_id"),
        sa.PrimaryKeyConstraint("port_id", "secgroup_id", name="pk_port_secgroups"),
    )
    op.create_index("ix_port_secgroups_secgroup_id", "port_secgroups", ["secgroup_id"])
