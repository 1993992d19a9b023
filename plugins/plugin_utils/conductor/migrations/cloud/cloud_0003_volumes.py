# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends, types, volumes, attachments, snapshots and backups."""

from __future__ import annotations

import contextlib

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

with contextlib.suppress(ImportError):  # only Alembic runs this file
    from alembic import op

revision = "cloud_0003"
down_revision = "cloud_0002"


def upgrade() -> None:
    """Make the tables, each after those it points to."""
    _volume_backends()
    _volume_types()
    _volumes()
    _volume_attachments()
    _volume_snapshots()
    _volume_backups()


def _volume_backends() -> None:
    op.create_table(
        "volume_backends",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text()),
        sa.Column("state", sa.String(16), server_default="enabled", nullable=False),
        sa.Column("capabilities", sa.JSON(none_as_null=True)),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("allocation_ratio", sa.Double(), server_default="1.0", nullable=False),
        sa.Column("used", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_volume_backends_name"),
        sa.CheckConstraint("used <= (total - reserved) * allocation_ratio", name="ck_volume_backends_room"),
        sa.CheckConstraint(
            "total >= 0 AND reserved >= 0 AND reserved <= total AND allocation_ratio > 0",
            name="ck_volume_backends_sizes",
        ),
        sa.CheckConstraint("state IN ('enabled', 'disabled')", name="ck_volume_backends_state"),
        sa.CheckConstraint("used >= 0", name="ck_volume_backends_used"),
        sa.PrimaryKeyConstraint("id", name="pk_volume_backends"),
        sa.UniqueConstraint("host", "name", name="uq_volume_backends_host_name"),
    )


def _volume_types() -> None:
    op.create_table(
        "volume_types",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("backend", sa.Text()),
        sa.Column("extra_specs", sa.JSON(none_as_null=True)),
        sa.Column("qos", sa.JSON(none_as_null=True)),
        sa.Column("encryption", sa.JSON(none_as_null=True)),
        sa.Column("multiattach", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_volume_types_name"),
        sa.PrimaryKeyConstraint("id", name="pk_volume_types"),
        sa.UniqueConstraint("name", name="uq_volume_types_name"),
    )


def _volumes() -> None:
    op.create_table(
        "volumes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("volume_type_id", sa.String(36)),
        sa.Column("backend_id", sa.String(36), nullable=False),
        sa.Column("multiattach", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("bootable", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("image", sa.JSON(none_as_null=True)),
        sa.Column("source", sa.JSON(none_as_null=True)),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(none_as_null=True)),
        sa.Column("spec", sa.JSON(none_as_null=True)),
        sa.Column("fault", sa.JSON(none_as_null=True)),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_volumes_name"),
        sa.CheckConstraint("size >= 1", name="ck_volumes_size"),
        sa.ForeignKeyConstraint(["backend_id"], ["volume_backends.id"], name="fk_volumes_backend_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_volumes_project_id"),
        sa.ForeignKeyConstraint(["volume_type_id"], ["volume_types.id"], name="fk_volumes_volume_type_id"),
        sa.PrimaryKeyConstraint("id", name="pk_volumes"),
        sa.UniqueConstraint("project_id", "name", name="uq_volumes_project_id_name"),
    )
    op.create_index("ix_volumes_backend_id", "volumes", ["backend_id"])
    op.create_index("ix_volumes_volume_type_id", "volumes", ["volume_type_id"])


def _volume_attachments() -> None:
    op.create_table(
        "volume_attachments",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("volume_id", sa.String(36), nullable=False),
        sa.Column("instance_id", sa.String(36), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("slot", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("boot_index", sa.BigInteger()),
        sa.Column("delete_on_termination", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.CheckConstraint("status IN ('attaching', 'attached', 'detaching')", name="ck_volume_attachments_status"),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name="fk_volume_attachments_volume_id"),
        sa.PrimaryKeyConstraint("id", name="pk_volume_attachments"),
        sa.UniqueConstraint("instance_id", "device", name="uq_volume_attachments_instance_id_device"),
        sa.UniqueConstraint("volume_id", "instance_id", name="uq_volume_attachments_volume_id_instance_id"),
        sa.UniqueConstraint("volume_id", "slot", name="uq_volume_attachments_volume_id_slot"),
    )


def _volume_snapshots() -> None:
    op.create_table(
        "volume_snapshots",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("volume_id", sa.String(36), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("metadata", sa.JSON(none_as_null=True)),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_volume_snapshots_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_volume_snapshots_project_id"),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name="fk_volume_snapshots_volume_id"),
        sa.PrimaryKeyConstraint("id", name="pk_volume_snapshots"),
        sa.UniqueConstraint("project_id", "name", name="uq_volume_snapshots_project_id_name"),
    )
    op.create_index("ix_volume_snapshots_volume_id", "volume_snapshots", ["volume_id"])


def _volume_backups() -> None:
    op.create_table(
        "volume_backups",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("volume_id", sa.String(36)),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.String(36)),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("location", sa.JSON(none_as_null=True)),
        sa.Column("checksum", sa.Text()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 255", name="ck_volume_backups_name"),
        sa.ForeignKeyConstraint(["parent_id"], ["volume_backups.id"], name="fk_volume_backups_parent_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_volume_backups_project_id"),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name="fk_volume_backups_volume_id"),
        sa.PrimaryKeyConstraint("id", name="pk_volume_backups"),
        sa.UniqueConstraint("project_id", "name", name="uq_volume_backups_project_id_name"),
    )
    op.create_index("ix_volume_backups_parent_id", "volume_backups", ["parent_id"])
    op.create_index("ix_volume_backups_volume_id", "volume_backups", ["volume_id"])
