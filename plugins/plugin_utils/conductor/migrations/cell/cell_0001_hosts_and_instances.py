# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts, what they have, what is claimed of it, instances and the log of actions."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cell_0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, each after those it points to."""
    _hosts()
    _instance_actions()
    _host_aggregates()
    _instances()
    _inventories()
    _allocations()


def _hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), server_default="enabled", nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("zone", sa.Text()),
        sa.Column("identity", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("virt_types", sa.JSON(none_as_null=True)),
        sa.Column("cpu", sa.JSON(none_as_null=True)),
        sa.Column("numa", sa.JSON(none_as_null=True)),
        sa.Column("pci_devices", sa.JSON(none_as_null=True)),
        sa.Column("facts", sa.JSON(none_as_null=True)),
        sa.Column("planned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("trusted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("seen_at", sa.String(32)),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('enabled', 'disabled', 'maintenance')", name="ck_hosts_state"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_hosts_name"),
        sa.PrimaryKeyConstraint("id", name="pk_hosts"),
        sa.UniqueConstraint("identity", name="uq_hosts_identity"),
        sa.UniqueConstraint("name", name="uq_hosts_name"),
    )


def _instance_actions() -> None:
    op.create_table(
        "instance_actions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("instance_id", sa.String(36), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.Column("result", sa.Text()),
        sa.Column("detail", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("id", name="pk_instance_actions"),
    )
    op.create_index("ix_instance_actions_instance_id_started_at", "instance_actions", ["instance_id", "started_at"])


def _host_aggregates() -> None:
    op.create_table(
        "host_aggregates",
        sa.Column("host_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(none_as_null=True)),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_host_aggregates_host_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", "name", name="pk_host_aggregates"),
    )


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("power_state", sa.Text()),
        sa.Column("host_id", sa.String(36)),
        sa.Column("flavor", sa.JSON(none_as_null=True)),
        sa.Column("image", sa.JSON(none_as_null=True)),
        sa.Column("key_name", sa.Text()),
        sa.Column("public_key", sa.Text()),
        sa.Column("userdata", sa.Text()),
        sa.Column("metadata", sa.JSON(none_as_null=True)),
        sa.Column("tags", sa.JSON(none_as_null=True)),
        sa.Column("server_group_id", sa.String(36)),
        sa.Column("zone", sa.Text()),
        sa.Column("config_drive", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("hints", sa.JSON(none_as_null=True)),
        sa.Column("spec", sa.JSON(none_as_null=True)),
        sa.Column("launched_at", sa.String(32)),
        sa.Column("fault", sa.JSON(none_as_null=True)),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_instances_name"),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_instances_host_id"),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
        sa.UniqueConstraint("project_id", "name", name="uq_instances_project_id_name"),
    )
    op.create_index("ix_instances_host_id", "instances", ["host_id"])


def _inventories() -> None:
    op.create_table(
        "inventories",
        sa.Column("host_id", sa.String(36), nullable=False),
        sa.Column("resource_class", sa.String(32), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("allocation_ratio", sa.Double(), server_default="1.0", nullable=False),
        sa.Column("used", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "total >= 0 AND reserved >= 0 AND reserved <= total AND allocation_ratio > 0", name="ck_inventories_sizes"
        ),
        sa.CheckConstraint("used <= (total - reserved) * allocation_ratio", name="ck_inventories_room"),
        sa.CheckConstraint("used >= 0", name="ck_inventories_used"),
        sa.ForeignKeyConstraint(["host_id"], ["hosts.id"], name="fk_inventories_host_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", "resource_class", name="pk_inventories"),
    )


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("consumer_id", sa.String(36), nullable=False),
        sa.Column("host_id", sa.String(36), nullable=False),
        sa.Column("resource_class", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_allocations_amount"),
        sa.ForeignKeyConstraint(
            ["host_id", "resource_class"],
            ["inventories.host_id", "inventories.resource_class"],
            name="fk_allocations_host_id_resource_class",
        ),
        sa.PrimaryKeyConstraint("consumer_id", "host_id", "resource_class", name="pk_allocations"),
    )
    op.create_index("ix_allocations_host_id_resource_class", "allocations", ["host_id", "resource_class"])
