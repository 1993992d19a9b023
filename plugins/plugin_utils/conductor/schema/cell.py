# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database of one cell: its hosts, what they have, what runs on them and what was done."""

from __future__ import annotations

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.common import (
    NAME_CHECK,
    cell_metadata,
    document,
    flag,
    number,
    record,
    reference,
    text,
)

metadata = cell_metadata

# What a claim must leave true: stated once, and part of both the constraint and the claim's UPDATE (see claims).
ROOM = "used <= (total - reserved) * allocation_ratio"

# ``planned``: a host that exists on paper only, for placement without a machine. ``seq`` rises with every change.
hosts = sa.Table(
    "hosts",
    metadata,
    *record(),
    text("name", nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="enabled"),
    text("reason"),
    text("zone"),
    text("identity"),
    text("address"),
    document("virt_types"),
    document("cpu"),
    document("numa"),
    document("pci_devices"),
    document("facts"),
    flag("planned", default=False),
    flag("trusted", default=False),
    sa.Column("seen_at", sa.String(32)),
    number("seq", default=0),
    sa.UniqueConstraint("name"),
    sa.UniqueConstraint("identity"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.CheckConstraint("state IN ('enabled', 'disabled', 'maintenance')", name="state"),
    sa.Index(None, "state", "planned", "id"),
    sa.Index(None, "seq"),
)

host_aggregates = sa.Table(
    "host_aggregates",
    metadata,
    reference("host_id", "hosts.id", cascade=True),
    text("name", nullable=False),
    document("metadata"),
    sa.PrimaryKeyConstraint("host_id", "name"),
)

# VCPU in threads, MEMORY_MB in MiB, DISK_GB in GiB. The ratio is a double: the room is the product as IEEE 754 has
# it, the same number in Python, SQLite and PostgreSQL. SQLite alone has an index of the room left, ix_inventories_room.
inventories = sa.Table(
    "inventories",
    metadata,
    reference("host_id", "hosts.id", cascade=True),
    sa.Column("resource_class", sa.String(32), nullable=False),
    number("total"),
    number("reserved", default=0),
    sa.Column("allocation_ratio", sa.Double, nullable=False, server_default="1.0"),
    number("used", default=0),
    sa.PrimaryKeyConstraint("host_id", "resource_class"),
    sa.CheckConstraint(ROOM, name="room"),
    sa.CheckConstraint("used >= 0", name="used"),
    sa.CheckConstraint("total >= 0 AND reserved >= 0 AND reserved <= total AND allocation_ratio > 0", name="sizes"),
)

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("consumer_id", sa.String(36), nullable=False),
    sa.Column("host_id", sa.String(36), nullable=False),
    sa.Column("resource_class", sa.String(32), nullable=False),
    number("amount"),
    sa.PrimaryKeyConstraint("consumer_id", "host_id", "resource_class"),
    sa.ForeignKeyConstraint(["host_id", "resource_class"], ["inventories.host_id", "inventories.resource_class"]),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.Index(None, "host_id", "resource_class"),
)

# ``flavor`` and ``image`` are copies made at boot: what the instance has, whatever becomes of the originals.
instances = sa.Table(
    "instances",
    metadata,
    *record(),
    sa.Column("project_id", sa.String(36), nullable=False),
    text("name", nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    text("power_state"),
    reference("host_id", "hosts.id", nullable=True),
    document("flavor"),
    document("image"),
    text("key_name"),
    text("public_key"),
    text("userdata"),
    document("metadata"),
    document("tags"),
    sa.Column("server_group_id", sa.String(36)),
    text("zone"),
    flag("config_drive", default=True),
    document("hints"),
    document("spec"),
    sa.Column("launched_at", sa.String(32)),
    document("fault"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.Index(None, "host_id"),
)

# The log outlives its instance: no foreign key.
instance_actions = sa.Table(
    "instance_actions",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("instance_id", sa.String(36), nullable=False),
    text("action", nullable=False),
    text("actor", nullable=False),
    text("request_id"),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("finished_at", sa.String(32)),
    text("result"),
    document("detail"),
    sa.Index(None, "instance_id", "started_at"),
)
