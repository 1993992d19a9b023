# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cloud database: what is known once for all cells."""

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
    stamps,
    text,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.network import (
    addresses,
    networks,
    port_secgroups,
    ports,
    secgroup_rules,
    secgroups,
    subnets,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema.volume import (
    volume_attachments,
    volume_backends,
    volume_backups,
    volume_snapshots,
    volume_types,
    volumes,
)

__all__ = [
    "addresses",
    "cells",
    "flavors",
    "host_mappings",
    "images",
    "instance_mappings",
    "keypairs",
    "metadata",
    "networks",
    "port_secgroups",
    "ports",
    "projects",
    "quotas",
    "secgroup_rules",
    "secgroups",
    "server_group_members",
    "server_groups",
    "subnets",
    "volume_attachments",
    "volume_backends",
    "volume_backups",
    "volume_snapshots",
    "volume_types",
    "volumes",
]

metadata = cloud_metadata

projects = sa.Table(
    "projects",
    metadata,
    *record(),
    text("name", nullable=False),
    text("description"),
    flag("enabled", default=True),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# ``used`` moves only by quota.take and quota.give; -1 is no limit.
quotas = sa.Table(
    "quotas",
    metadata,
    reference("project_id", "projects.id", cascade=True),
    sa.Column("resource", sa.String(64), nullable=False),
    number("limit"),
    number("used", default=0),
    sa.PrimaryKeyConstraint("project_id", "resource"),
    sa.CheckConstraint('"limit" = -1 OR used <= "limit"', name="limit"),
    sa.CheckConstraint('"limit" >= -1', name="limit_form"),
    sa.CheckConstraint("used >= 0", name="used"),
)

# ram and swap in MiB, disk and ephemeral in GiB.
flavors = sa.Table(
    "flavors",
    metadata,
    *record(),
    reference("project_id", "projects.id", nullable=True),
    text("name", nullable=False),
    number("vcpus"),
    number("ram"),
    number("disk"),
    number("ephemeral", default=0),
    number("swap", default=0),
    document("extra_specs"),
    flag("is_public", default=True),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
    sa.CheckConstraint("vcpus >= 1 AND ram >= 1 AND disk >= 0 AND ephemeral >= 0 AND swap >= 0", name="sizes"),
)

keypairs = sa.Table(
    "keypairs",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    text("public_key", nullable=False),
    text("fingerprint"),
    text("type"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# size and virtual_size in bytes, min_disk in GiB, min_ram in MiB; checksum is "sha256:<hex>". ``stores`` says of each
# image host what is there of it, {name: present, copying or removing}; ``store_host`` is the first that has it.
images = sa.Table(
    "images",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    text("status", nullable=False),
    text("checksum"),
    number("size", nullable=True),
    number("virtual_size", nullable=True),
    text("disk_format"),
    text("container_format"),
    number("min_disk", default=0),
    number("min_ram", default=0),
    document("properties"),
    text("visibility", nullable=False),
    flag("protected", default=False),
    document("tags"),
    text("store_host"),
    document("stores"),
    reference("kernel_id", "images.id", nullable=True),
    reference("ramdisk_id", "images.id", nullable=True),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

server_groups = sa.Table(
    "server_groups",
    metadata,
    *record(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    text("policy", nullable=False),
    number("max_per_host", nullable=True),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# ``slot`` counts the members on one host from 0 where the policy is hard anti-affinity, and is NULL elsewhere: the
# constraint then makes a second member in a slot impossible, whoever places at the same time.
server_group_members = sa.Table(
    "server_group_members",
    metadata,
    reference("group_id", "server_groups.id"),
    sa.Column("instance_id", sa.String(36), nullable=False, index=True),
    text("host"),
    number("slot", nullable=True),
    sa.PrimaryKeyConstraint("group_id", "instance_id"),
    sa.UniqueConstraint("group_id", "host", "slot"),
)

cells = sa.Table(
    "cells",
    metadata,
    *record(),
    text("name", nullable=False),
    text("address"),
    text("zone"),
    text("virt_type"),
    sa.UniqueConstraint("name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

# Every machine that we have spoken to, by inventory name, and the UUID in its identity file.
host_mappings = sa.Table(
    "host_mappings",
    metadata,
    *record(),
    text("name", nullable=False),
    reference("cell_id", "cells.id", nullable=True),
    text("kind", nullable=False),
    text("identity"),
    text("address"),
    sa.UniqueConstraint("name"),
    sa.UniqueConstraint("identity"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)

instance_mappings = sa.Table(
    "instance_mappings",
    metadata,
    sa.Column("instance_id", sa.String(36), primary_key=True),
    *stamps(),
    reference("project_id", "projects.id"),
    text("name", nullable=False),
    reference("cell_id", "cells.id"),
    sa.UniqueConstraint("project_id", "name"),
    sa.CheckConstraint(NAME_CHECK, name="name"),
)
