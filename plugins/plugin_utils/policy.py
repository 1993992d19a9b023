# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what: one table of (resource, verb, option) and the role that it needs.

A verb is a state of the resource's module, or ``read``. The entry with no option is for the verb itself; each option
that a task gives beyond its default needs an entry too. What has no entry is for administrators alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import (
    ADMIN,
    MEMBER,
    READER,
    Principal,
    suffices,
)

READ = "read"
ITSELF = ""
NOT_PERMITTED = "not_permitted"
# They say which entry is looked up, and in which project the role must be.
DECIDING = frozenset({"state", "project"})

_ITSELF = "."
_HAVE = "present absent"
_COPY = "name volume force timeout"
# (resource, verbs, options, role); "." is the verb itself, option=value an entry for that value alone.
_ROWS = (
    ("audit", READ, ". hosts unfinished_after", ADMIN),
    ("cell", _HAVE, ". name zone virt_type", ADMIN),
    ("cell", READ, ". name query", ADMIN),
    ("flavor", _HAVE, ". name vcpus ram disk ephemeral swap extra_specs is_public", ADMIN),
    ("flavor", READ, ". name query", READER),
    ("host", "enabled disabled maintenance absent", ". name reason cell zone address aggregates", ADMIN),
    ("host", "enabled disabled maintenance absent", "allocation_ratios reserved limits resources virt_types", ADMIN),
    ("host", READ, ". name query", ADMIN),
    ("image", _HAVE, ". name uri instance volume checksum disk_format container_format kernel ramdisk", MEMBER),
    ("image", _HAVE, "min_disk min_ram properties visibility protected stores tags", MEMBER),
    # A path on the controller; addresses inside the site; what every project sees.
    ("image", _HAVE, "filename allow_local_uri visibility=public", ADMIN),
    ("image", READ, ". name query", READER),
    ("instance", "running present stopped rebooted absent", ". name count flavor image boot_volume volumes", MEMBER),
    ("instance", "running present stopped rebooted absent", "networks nics security_groups key_name userdata", MEMBER),
    ("instance", "running present stopped rebooted absent", "metadata tags server_group scheduler_hints zone", MEMBER),
    ("instance", "running present stopped rebooted absent", "config_drive wait timeout", MEMBER),
    ("instance", "running present stopped rebooted absent", "host", ADMIN),
    ("instance", READ, ". name query", READER),
    ("keypair", _HAVE, ". name public_key", MEMBER),
    ("keypair", READ, ". name query", READER),
    ("network", _HAVE, ". name subnets mtu port_security_enabled", MEMBER),
    ("network", _HAVE, "external shared provider_network_type provider_physical_network", ADMIN),
    ("network", _HAVE, "provider_segmentation_id", ADMIN),
    ("network", READ, ". name query", READER),
    ("project", _HAVE, ". name description enabled quota", ADMIN),
    ("project", READ, ". name query", ADMIN),
    ("scheduler", READ, ". flavor image networks server_group zone hints count", MEMBER),
    ("scheduler", READ, "explain", ADMIN),
    ("secgroup", _HAVE, ". name description stateful purge_rules rules", MEMBER),
    ("secgroup", READ, ". name query", READER),
    ("server_group", _HAVE, ". name policy max_per_host", MEMBER),
    ("server_group", READ, ". name query", READER),
    ("volume", _HAVE, ". name count size volume_type image snapshot source_volume backup multiattach", MEMBER),
    ("volume", _HAVE, "metadata zone scheduler_hints delete_snapshots timeout", MEMBER),
    ("volume", READ, ". name query", READER),
    ("volume_backup", _HAVE, f". {_COPY} incremental backend", MEMBER),
    ("volume_backup", READ, ". name query", READER),
    ("volume_snapshot", _HAVE, f". {_COPY} metadata", MEMBER),
    ("volume_snapshot", READ, ". name query", READER),
    ("volume_type", _HAVE, ". name description backend extra_specs qos encryption multiattach", ADMIN),
    ("volume_type", READ, ". name query", READER),
)


def _table() -> dict[tuple[str, str, str], str]:
    entries: dict[tuple[str, str, str], str] = {}
    for resource, verbs, options, role in _ROWS:
        for verb in verbs.split():
            # Another database is another cloud, with projects and records of its maker's.
            entries[resource, verb, "database"] = ADMIN
            for option in options.split():
                entries[resource, verb, ITSELF if option == _ITSELF else option] = role
    return entries


TABLE: Mapping[tuple[str, str, str], str] = _table()


@dataclass(frozen=True)
class Ask:
    """What a task, a lookup or an inventory asks for.

    :param given: the options that say more than their defaults do, with their values.
    :param project: name or id of the project that it is asked in; None for what stands above the projects.
    """

    resource: str
    verb: str
    given: Mapping[str, Any]
    project: str | None = None


def asked(name: str, spec: Mapping[str, Mapping[str, Any]], args: Mapping[str, Any]) -> Ask:
    """What a task of the module named asks for, from the module's argument spec and the validated options."""
    given = {
        option: value for option, value in args.items() if value is not None and value != spec[option].get("default")
    }
    return Ask(
        resource=name.removesuffix("_info"),
        verb=str(args["state"]) if "state" in spec else READ,
        given=given,
        project=str(args["project"] or "") if "project" in spec else None,
    )


def allow(principal: Principal, ask: Ask, role: str | None) -> None:
    """Return if the principal may do what is asked, having this role in the project.

    :raises BadInput: not permitted; ``reason`` is ``not_permitted``, and what is missing is in the details.
    """
    if principal.admin:
        return
    for option in _entries(ask):
        needed = TABLE.get((ask.resource, ask.verb, option), ADMIN)
        if not suffices(role, needed):
            raise _refused(principal, ask, option, needed, role)


def _entries(ask: Ask) -> Iterator[str]:
    yield ITSELF
    for option in sorted(set(ask.given) - DECIDING):
        value = ask.given[option]
        special = f"{option}={value}" if isinstance(value, str) else ""
        yield special if special and (ask.resource, ask.verb, special) in TABLE else option


def _refused(principal: Principal, ask: Ask, option: str, needed: str, role: str | None) -> BadInput:
    what = f"{ask.resource}, {ask.verb}" + (f", with {option}" if option != ITSELF else "")
    where = f" in project {ask.project or 'default'!r}" if ask.project is not None else ""
    held = f"has only the role {role}" if role else "has no role"
    if needed == ADMIN:
        said = "is for administrators of the cloud."
        todo = "Leave it out, or have an administrator do it." if option != ITSELF else "Have an administrator do it."
    else:
        said = f"needs the role {needed}{where}; {principal.user!r} {held}."
        todo = "Roles are given by the operator, in the principal file."
    return BadInput(
        f"Not permitted to {principal.user!r}: {what} {said} {todo}",
        reason=NOT_PERMITTED,
        principal=principal.user,
        resource=ask.resource,
        verb=ask.verb,
        option=option or None,
        project=ask.project,
        needs=needed,
        role=role,
    )
