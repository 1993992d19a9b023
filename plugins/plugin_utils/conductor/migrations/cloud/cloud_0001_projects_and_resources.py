# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Projects, flavors, keypairs, images, server groups, cells and the maps of hosts and instances."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cloud_0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, each after those it points to."""
    _cells()
    _projects()
    _flavors()
    _host_mappings()
    _images()
    _instance_mappings()
    _keypairs()
    _quotas()
    _server_groups()
    _server_group_members()


def _cells() -> None:
    op.create_table(
        "cells",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("zone", sa.Text()),
        sa.Column("virt_type", sa.Text()),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_cells_name"),
        sa.PrimaryKeyConstraint("id", name="pk_cells"),
        sa.UniqueConstraint("name", name="uq_cells_name"),
    )


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_projects_name"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )


def _flavors() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36)),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("ram", sa.BigInteger(), nullable=False),
        sa.Column("disk", sa.BigInteger(), nullable=False),
        sa.Column("ephemeral", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("swap", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("extra_specs", sa.JSON(none_as_null=True)),
        sa.Column("is_public", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_flavors_name"),
        sa.CheckConstraint(
            "vcpus >= 1 AND ram >= 1 AND disk >= 0 AND ephemeral >= 0 AND swap >= 0", name="ck_flavors_sizes"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_flavors_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_flavors"),
        sa.UniqueConstraint("name", name="uq_flavors_name"),
    )


def _host_mappings() -> None:
    op.create_table(
        "host_mappings",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cell_id", sa.String(36)),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_host_mappings_name"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_host_mappings_cell_id"),
        sa.PrimaryKeyConstraint("id", name="pk_host_mappings"),
        sa.UniqueConstraint("identity", name="uq_host_mappings_identity"),
        sa.UniqueConstraint("name", name="uq_host_mappings_name"),
    )


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("checksum", sa.Text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("virtual_size", sa.BigInteger()),
        sa.Column("disk_format", sa.Text()),
        sa.Column("container_format", sa.Text()),
        sa.Column("min_disk", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("min_ram", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("properties", sa.JSON(none_as_null=True)),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tags", sa.JSON(none_as_null=True)),
        sa.Column("store_host", sa.Text()),
        sa.Column("kernel_id", sa.String(36)),
        sa.Column("ramdisk_id", sa.String(36)),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_images_name"),
        sa.ForeignKeyConstraint(["kernel_id"], ["images.id"], name="fk_images_kernel_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_images_project_id"),
        sa.ForeignKeyConstraint(["ramdisk_id"], ["images.id"], name="fk_images_ramdisk_id"),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("project_id", "name", name="uq_images_project_id_name"),
    )


def _instance_mappings() -> None:
    op.create_table(
        "instance_mappings",
        sa.Column("instance_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cell_id", sa.String(36), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_instance_mappings_name"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name="fk_instance_mappings_cell_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_instance_mappings_project_id"),
        sa.PrimaryKeyConstraint("instance_id", name="pk_instance_mappings"),
        sa.UniqueConstraint("project_id", "name", name="uq_instance_mappings_project_id_name"),
    )


def _keypairs() -> None:
    op.create_table(
        "keypairs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("type", sa.Text()),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_keypairs_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_keypairs_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_keypairs"),
        sa.UniqueConstraint("project_id", "name", name="uq_keypairs_project_id_name"),
    )


def _quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("resource", sa.String(64), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint('"limit" = -1 OR used <= "limit"', name="ck_quotas_limit"),
        sa.CheckConstraint('"limit" >= -1', name="ck_quotas_limit_form"),
        sa.CheckConstraint("used >= 0", name="ck_quotas_used"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_quotas_project_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "resource", name="pk_quotas"),
    )


def _server_groups() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("max_per_host", sa.BigInteger()),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_server_groups_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_server_groups_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_server_groups"),
        sa.UniqueConstraint("project_id", "name", name="uq_server_groups_project_id_name"),
    )


def _server_group_members() -> None:
    op.create_table(
        "server_group_members",
        sa.Column("group_id", sa.String(36), nullable=False),
        sa.Column("instance_id", sa.String(36), nullable=False),
        sa.Column("host", sa.Text()),
        sa.Column("slot", sa.BigInteger()),
        sa.ForeignKeyConstraint(["group_id"], ["server_groups.id"], name="fk_server_group_members_group_id"),
        sa.PrimaryKeyConstraint("group_id", "instance_id", name="pk_server_group_members"),
        sa.UniqueConstraint("group_id", "host", "slot", name="uq_server_group_members_group_id_host_slot"),
    )
    op.create_index("ix_server_group_members_instance_id", "server_group_members", ["instance_id"])
