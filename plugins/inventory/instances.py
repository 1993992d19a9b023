# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances as hosts of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: instances
short_description: Instances as inventory hosts
version_added: 0.1.0
description:
  - Makes an inventory of the instances that the cloud's database records. No host is asked.
  - Its configuration is a YAML file whose name ends in C(instances.yml), C(instances.yaml), C(agentless_cloud.yml) or
    C(agentless_cloud.yaml).
  - An inventory host is called like its instance. Where that name is no safe name of a host (a slash, a space,
    C(localhost), ...), or is the name of a host that the inventory or the cloud has already, its ID is taken, so that
    nobody takes over another machine's place by the name of an instance.
  - What the database holds is never templated.
author:
  - agentless.cloud contributors (@agentless-cloud)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
notes:
  - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), that principal needs a role in the
    project, and O(database) is for administrators.
  - Every instance is in the groups C(flavor_NAME), C(image_NAME), C(zone_NAME), C(host_NAME), C(status_NAME) and, for
    each of its tags, C(tag_NAME), in lower case and with underscores for what a group's name cannot have.
  - Host variables are the return values of M(agentless.cloud.instance) with the prefix C(agentless_), such as
    C(agentless_id), C(agentless_addresses) and C(agentless_metadata), and C(ansible_host).
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [agentless.cloud.instances]
  database:
    description:
      - Address of the cloud's database, as a SQLAlchemy URL, or the path of an SQLite file.
      - Without it, the environment variable E(AGENTLESS_DATABASE) is used, then C(~/.local/share/agentless/cloud.db).
    type: str
  project:
    description: Name or ID of the project whose instances are listed.
    type: str
    default: default
  hostnames:
    description:
      - What inventory hosts are called. The first that an instance has is taken.
      - Names of return values, such as V(name), V(id) or V(access_ipv4), or of a metadata key, such as V(metadata.dns).
    type: list
    elements: str
    default: [name]
  cell:
    description: Only instances in this cell.
    type: str
  filters:
    description:
      - Only instances that have all of these values.
      - Keys are the names of return values; V(flavor) and V(image) are told by name. A list of values means any one.
      - Of V(tags) and V(security_groups) the instance needs each value that is listed, of V(metadata) each pair.
    type: dict
    default: {}
  ansible_host_from:
    description:
      - Where C(ansible_host) comes from. The first that gives an address is taken, IPv4 before IPv6.
      - V(floating) and V(fixed) are kinds of addresses, anything else is the name of a network.
    type: list
    elements: str
    default: [floating, fixed]
"""

EXAMPLES = r"""
# A file called instances.yml. All instances of the project default:
---
plugin: agentless.cloud.instances

# Running web servers, called by their name, reached over the network front:
---
plugin: agentless.cloud.instances
project: shop
filters:
  status: ACTIVE
  metadata:
    role: web
ansible_host_from: [floating, front]
compose:
  ansible_user: "'debian'"
keyed_groups:
  - key: agentless_metadata.role
    prefix: role
groups:
  large: agentless_flavor.ram >= 8192
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/agentless
cache_timeout: 60
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.agentless.cloud.plugins.plugin_utils import policy
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import admitted, caller
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal

SUFFIXES = tuple(f"{stem}.{ending}" for stem in ("instances", "agentless_cloud") for ending in ("yml", "yaml"))
# A host's name is also the name of a file in host_vars, and a word in patterns.
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
RESERVED = frozenset({"localhost", "127.0.0.1", "all", "ungrouped"})
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONTAINING = ("tags", "security_groups")

Record = Mapping[str, Any]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Ask the conductor, then make a host of each instance."""

    NAME = "agentless.cloud.instances"

    def verify_file(self, path: str) -> bool:
        """Whether the file is for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add hosts, variables and groups to the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        known = self._known(path, cache)
        filters = self.get_option("filters") or {}
        cell = self.get_option("cell")
        taken = {*known["hosts"], *RESERVED, *inventory.hosts, *inventory.groups}
        for instance in known["instances"]:
            if (cell is None or instance.get("cell") == cell) and fits(instance, filters):
                name = host_name(instance, self.get_option("hostnames"), taken)
                taken.add(name)
                self._add(name, instance)

    def _known(self, path: str, cache: bool) -> dict[str, Any]:
        """The instances, and the names of the machines that the cloud knows; from the cache where it is asked for."""
        database, project = self.get_option("database"), self.get_option("project")
        try:
            principal = caller()
        except CloudError as exc:
            raise AnsibleParserError(f"{exc.error}: {exc.msg}") from exc
        # What one principal may see is not for the next.
        key = self.get_cache_key(f"{path}\0{database}\0{project}" + ("" if principal.admin else f"\0{principal}"))
        caching = self.get_option("cache")
        if caching and cache and key in self._cache:
            found: dict[str, Any] = self._cache[key]
            return found
        try:
            found = read(database, project, principal)
        except CloudError as exc:
            raise AnsibleParserError(f"{exc.error}: {exc.msg}") from exc
        if caching:
            self._cache[key] = found
        return found

    def _add(self, name: str, instance: Record) -> None:
        # Before ansible-core 2.19 any text that looks like a template is one, unless it is marked.
        variables = {f"agentless_{key}": wrap_var(value) for key, value in instance.items()}
        address = reached_by(instance, self.get_option("ansible_host_from"))
        if address is not None:
            variables["ansible_host"] = wrap_var(address)
        self.inventory.add_host(name)
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        for group in groups_of(instance):
            self.inventory.add_host(name, group=self.inventory.add_group(self._sanitize_group_name(group)))
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def read(database: str | None, project: str, principal: Principal) -> dict[str, Any]:
    """The instances of a project, and the inventory names of the machines that the cloud runs on.

    :raises CloudError: the database cannot be read, there is no such project, or it is not permitted.
    """
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, projects, records
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud

    ask = policy.Ask("instance", policy.READ, {"database": database} if database else {}, project)
    with admitted(principal, ask, database) as conductor, conductor.read() as conn:
        owner = projects.resolve(conn, project, principal)
        return {
            "instances": instances.describe(conn, owner["id"]),
            "hosts": [row["name"] for row in records.listing(conn, cloud.host_mappings)],
        }


def value_of(instance: Record, name: str) -> Any:
    """A return value by its name; flavor and image are told by their names, metadata by ``metadata.KEY``."""
    key, _dot, rest = name.partition(".")
    value = instance.get(key)
    if isinstance(value, Mapping):
        return value.get(rest or "name")
    return value


def fits(instance: Record, filters: Mapping[str, Any]) -> bool:
    """Whether the instance has all the values asked for."""
    return all(_fits(instance, key, wanted) for key, wanted in filters.items())


def _fits(instance: Record, key: str, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        found = instance.get(key)
        return isinstance(found, Mapping) and all(str(found.get(k)) == str(v) for k, v in wanted.items())
    words = {str(each) for each in wanted} if isinstance(wanted, (list, tuple)) else {str(wanted)}
    if key in CONTAINING:
        return words <= {str(each) for each in instance.get(key) or ()}
    return str(value_of(instance, key)) in words


def host_name(instance: Record, preferences: Iterable[str], taken: Iterable[str]) -> str:
    """The name of its inventory host: the first preferred one that it has; the ID where that one is not to be had."""
    wanted = next((str(value) for value in (value_of(instance, each) for each in preferences) if value), "")
    if not SAFE_NAME.fullmatch(wanted) or wanted in taken:
        return str(instance["id"])
    # The name of an instance may look like the ID of another.
    return str(instance["id"]) if UUID.fullmatch(wanted) else wanted


def reached_by(instance: Record, sources: Iterable[str]) -> str | None:
    """The address for ``ansible_host``: the first source that has one, IPv4 before IPv6."""
    networks: Mapping[str, list[Record]] = instance.get("addresses") or {}
    entries = [entry for each in networks.values() for entry in each]
    for source in sources:
        if source in ("floating", "fixed"):
            fitting = [entry for entry in entries if entry.get("type") == source]
        else:
            fitting = list(networks.get(source, ()))
        for entry in sorted(fitting, key=lambda each: int(each.get("version", 4))):
            return str(entry["addr"])
    return None


def groups_of(instance: Record) -> Iterator[str]:
    """The groups that it is in whatever the configuration says."""
    pairs = {
        "flavor": value_of(instance, "flavor"),
        "image": value_of(instance, "image"),
        "zone": instance.get("zone"),
        "host": instance.get("compute_host"),
        "status": instance.get("status"),
    }
    yield from (f"{prefix}_{value}".lower() for prefix, value in pairs.items() if value)
    yield from (f"tag_{tag}".lower() for tag in instance.get("tags") or ())
