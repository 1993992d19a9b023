# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image hosts have an image. Pure: of records, inventory groups and host variables.

The column ``stores`` of an image says of each host what is there, in the order that the user gave:

========  ===================================================================
present   the content is there
copying   it is on its way there, or a killed run has left it half way
removing  it is being removed there
========  ===================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

GROUP = "cloud_image"
PRESENT, COPYING, REMOVING = "present", "copying", "removing"
# What says in which zone an image host is; the first that is set counts.
_ZONES = ("image_store_zone", "host_zone", "cell_host_zone", "cell_zone")

Record = Mapping[str, Any]
Groups = Mapping[str, Sequence[str]]
Hostvars = Mapping[str, Mapping[str, Any]]


def first(groups: Groups) -> str:
    """The host that keeps images where nothing else is said: the first of its inventory group.

    :raises BadInput: the inventory has none.
    """
    members = groups.get(GROUP) or ()
    if not members:
        raise BadInput(
            f"The inventory has no host in the group {GROUP}, where images are kept. "
            "Put one there and run agentless.cloud.site."
        )
    return members[0]


def chosen(groups: Groups, given: Sequence[str]) -> list[str]:
    """The stores that a task names.

    :raises BadInput: none is named, one twice, or one that the inventory does not have.
    """
    first(groups)
    unknown = [name for name in given if name not in groups[GROUP]]
    if unknown:
        raise BadInput(f"stores names {unknown[0]!r}; the group {GROUP} has {', '.join(groups[GROUP])}.")
    if not given or len(set(given)) != len(given):
        raise BadInput("stores must name at least one store, and none twice; state: absent removes the image from all.")
    return list(given)


def places(image: Record) -> dict[str, str]:
    """What is at each host of an image, in their order."""
    if image.get("stores"):
        return dict(image["stores"])
    return {str(image["store_host"]): PRESENT} if image.get("store_host") else {}


def holding(image: Record) -> list[str]:
    """The hosts that have the content."""
    return [name for name, state in places(image).items() if state == PRESENT]


def changes(image: Record, wanted: Sequence[str], lost: Collection[str]) -> list[Change]:
    """What has to be done to have an image in the stores wanted and in no other.

    :param lost: stores that have not got what they should have.
    """
    found = [Change(f"stores.{name}", "lost", PRESENT) for name in wanted if name in lost]
    if holding(image) != list(wanted):
        return [Change("stores", holding(image), list(wanted)), *found]
    left = {name: state for name, state in places(image).items() if name not in wanted}
    return [*found, *(Change(f"stores.{name}", state, None) for name, state in left.items())]


def nearest(image: Record, hostvars: Hostvars, groups: Groups, *, host: str | None, zone: str | None) -> list[str]:
    """The order in which a host asks for an image: itself, stores in its zone, the others as the user gave them.

    Stores that are not known to have it come last. What an instance was booted from is known as it was then, and a
    content goes by its digest, so that it cannot be taken for another.
    """
    known = holding(image)
    others = [name for name in groups.get(GROUP) or () if name not in known]

    def distance(name: str) -> tuple[bool, bool]:
        return name != host, zone is None or zone_of(name, hostvars) != zone

    return sorted(known, key=distance) + sorted(others, key=distance)


def zone_of(name: str, hostvars: Hostvars) -> str | None:
    """The zone of an image host, as its variables say."""
    variables = hostvars.get(name) or {}
    return next((str(variables[key]) for key in _ZONES if variables.get(key)), None)
