# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The volumes' part of the cloud database: backends, types, volumes, attachments, snapshots, backups. Sizes in GiB."""

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

# As for the inventories of hosts: part of the constraint and of the claim's UPDATE.
ROOM = "used <= (total - reserved) * allocation_ratio"

# A place on a storage host that stores volumes; how it does is the host's own configuration.
volume_backends = sa.Table(
    "volume_backends",
    metadata,
    *record(),
    text("name", nullable=False),
    text("host", nullable=False),
    text("driver", nullable=False),
    text("zone"),
    sa.Column("state", sa.String(16), nullable=False, server_default="enabled"),
    document("capabilities"),
    number("total"),
    number("reserved", default=0),
    sa.Column("allocation_ratio", sa.Double, nullable=False, server_default="1.0"),
    number("used", default=0),
    sa.UniqueConstraint("host", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.CheckConstraint("state IN ('enabled', 'disabled')", name="state"),
    sa.CheckConstraint(ROOM, name="room"),
    sa.CheckConstraint("used >= 0", name="used"),
    sa.CheckConstraint("total >= 0 AND reserved >= 0 AND reserved <= total AND allocation_ratio > 0", name="sizes"),
)

volume_types = sa.Table(
    "volume_types",
    metadata,
    *record(),
    text("name", nullable=False),
    text("description"),
    text("backend"),
    document("extra_specs"),
    document("qos"),
    document("encryption"),
    flag("multiattach", default=False),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# ``image`` and ``source`` are copies made at creation; ``secret`` is what initiators log in with; ``spec`` is work
# that has begun: {"place"}, {"extend"} or {"retype"}.
volumes = sa.Table(
    "volumes",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    number("size"),
    sa.Column("status", sa.String(16), nullable=False),
    reference("volume_type_id", "volume_types.id", nullable=True),
    reference("backend_id", "volume_backends.id"),
    flag("multiattach", default=False),
    flag("bootable", default=False),
    document("image"),
    document("source"),
    text("secret", nullable=False),
    document("metadata"),
    document("spec"),
    document("fault"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.CheckConstraint("size >= 1", name="size"),
    sa.Index(None, "backend_id"),
    sa.Index(None, "volume_type_id"),
)

# ``slot`` is 0 where the volume has one writer, so that the constraint makes a second one impossible, whoever asks at
# the same time; the attachments of a multiattach volume are numbered.
volume_attachments = sa.Table(
    "volume_attachments",
    metadata,
    *record(),
    reference("volume_id", "volumes.id"),
    sa.Column("instance_id", sa.String(36), nullable=False),
    text("host", nullable=False),
    sa.Column("device", sa.String(16), nullable=False),
    number("slot", default=0),
    number("boot_index", nullable=True),
    flag("delete_on_termination", default=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.UniqueConstraint("volume_id", "slot"),
    sa.UniqueConstraint("volume_id", "instance_id"),
    sa.UniqueConstraint("instance_id", "device"),
    sa.CheckConstraint("status IN ('attaching', 'attached', 'detaching')", name="status"),
)

volume_snapshots = sa.Table(
    "volume_snapshots",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    reference("volume_id", "volumes.id"),
    number("size"),
    sa.Column("status", sa.String(16), nullable=False),
    document("metadata"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.Index(None, "volume_id"),
)

# A backup outlives its volume, whose id is then NULL; ``parent_id`` is the backup that it is an increment of.
volume_backups = sa.Table(
    "volume_backups",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    reference("volume_id", "volumes.id", nullable=True),
    number("size"),
    reference("parent_id", "volume_backups.id", nullable=True),
    text("kind", nullable=False),
    document("location"),
    text("checksum"),
    sa.Column("status", sa.String(16), nullable=False),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.Index(None, "volume_id"),
    sa.Index(None, "parent_id"),
)
