# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a text and how many the entries may be that a task gives, in one table. Pure.

The limits are those of Nova, Cinder, Glance and Neutron where these have one. A quota counts what a project has; these
bound one value, so that nobody fills the database, a message or a host with it. ``docs/limits.md`` shows the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

CHARACTERS, BYTES, ENTRIES = "characters", "bytes", "entries"
DEEPEST = 16  # lists and dictionaries within each other in the options of a task


@dataclass(frozen=True)
class Limit:
    """One row of the table.

    :param most: how many of the unit are allowed.
    :param what: what is limited.
    :param origin: where the number comes from.
    """

    most: int
    unit: str
    what: str
    origin: str


TABLE: Mapping[str, Limit] = {
    "name": Limit(
        255,
        CHARACTERS,
        "a name of anything, a tag of an image, or a word such as a zone",
        "Nova, Cinder, Neutron, Glance",
    ),
    "description": Limit(255, CHARACTERS, "a description", "Nova, Cinder, Neutron"),
    # 4 characters for each 3 bytes: one byte more would make 65536.
    "userdata": Limit(49_149, BYTES, "userdata of an instance, in UTF-8", "Nova: 65535 bytes as Base64"),
    "entries": Limit(128, ENTRIES, "metadata, properties or extra specs of one resource", "Nova's and Glance's quotas"),
    "key": Limit(255, CHARACTERS, "a key of metadata, properties, extra specs or hints", "Nova, Cinder"),
    "value": Limit(255, CHARACTERS, "a value of metadata, properties or extra specs", "Nova, Cinder"),
    "tag": Limit(60, CHARACTERS, "a tag of an instance", "Nova"),
    "tags": Limit(50, ENTRIES, "tags of an instance", "Nova"),
    "image tags": Limit(128, ENTRIES, "tags of an image", "Glance's quota"),
    "public_key": Limit(16_384, BYTES, "public_key of a keypair", "ours; an RSA key of 16384 bits has 2800"),
    "nics": Limit(32, ENTRIES, "networks or nics of an instance", "ours"),
    "volumes": Limit(26, ENTRIES, "volumes of an instance", "Nova: one letter for each disk"),
    "security_groups": Limit(50, ENTRIES, "security_groups of an instance or a port", "ours, as many as the quota"),
    "hint": Limit(1000, ENTRIES, "instances or volumes that a scheduler hint names", "ours"),
    "rules": Limit(1000, ENTRIES, "rules of a security group", "ours, twice the quota"),
    "subnets": Limit(100, ENTRIES, "subnets of a network", "ours, as many as the quota"),
    "allocation_pools": Limit(100, ENTRIES, "allocation_pools of a subnet", "ours"),
    "dns_nameservers": Limit(5, ENTRIES, "dns_nameservers of a subnet", "Neutron"),
    "host_routes": Limit(20, ENTRIES, "host_routes of a subnet", "Neutron"),
    "query": Limit(4096, CHARACTERS, "a query of an info module", "ours"),
    "task": Limit(1 << 20, CHARACTERS, "all options of one task together", "ours"),
}


def check(subject: str, option: str, value: Sized) -> None:
    """Refuse what is too long, or too many.

    :param subject: the row of the table.
    :param option: what the message calls the value.
    :raises BadInput: it is above the limit; carries ``option``, ``given`` and ``limit``.
    """
    row = TABLE[subject]
    in_bytes = row.unit == BYTES and isinstance(value, str)
    given = len(value.encode(errors="surrogatepass")) if in_bytes and isinstance(value, str) else len(value)
    if given > row.most:
        raise _above(row, option, given)


def whole(args: Mapping[str, Any]) -> None:
    """Refuse the options of a task that together are longer than all that any of them may be.

    A limit of their own have those that are stored; this one holds for what is only looked up, too.

    :raises BadInput: they are, or are nested too deep to be stored.
    """
    row, total = TABLE["task"], 0
    for option, value in args.items():
        own = sum(_lengths(option, value))
        total += own
        if own > row.most:
            raise _above(row, option, own)
    if total > row.most:
        raise _above(row, "options of the task", total)


def _above(row: Limit, option: str, given: int) -> BadInput:
    said = f"{option} has {given} {row.unit}; {row.what} may have at most {row.most} ({row.origin})."
    if row.unit == ENTRIES:
        said = f"{option} has {given} entries; at most {row.most} may be {row.what} ({row.origin})."
    return BadInput(said, option=option, given=given, limit=row.most)


def _lengths(option: str, value: Any) -> Iterator[int]:
    """The characters of each part of a value; a part that is no text counts as one."""
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInput(f"{option} is nested more than {DEEPEST} deep.", option=option, limit=DEEPEST)
        if isinstance(part, Mapping):
            waiting += [(each, depth + 1) for pair in part.items() for each in pair]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += [(each, depth + 1) for each in part]
        yield len(part) if isinstance(part, str) else 1
