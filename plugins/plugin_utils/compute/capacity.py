# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts of a compute host: its capacity, held to its operator's limits and to its own first word. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts as host_facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.facts import Facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused

Record = dict[str, Any]

RATIOS = {"cpu": 4.0, "ram": 1.0, "disk": 1.0}  # as Nova begins
RESERVED = {"vcpus": 0, "ram": 512, "disk": 0}  # for the host itself, unless the operator says otherwise
NAMED = {"cpu": "vcpus", "ram": "ram", "disk": "disk"}  # a ratio's resource


def first(found: Record | None, said: Facts | None) -> dict[str, int]:
    """What the machine had when it was first asked, which it is held to for ever; empty for one on paper.

    Not what it had last: a lie that grows a little with each run would come as far.
    """
    if found is not None and not found["planned"]:
        return dict(found["first_capacity"] or found["capacity"])
    return dict(said.capacity) if said is not None else {}


def refuse_jump(name: str, said: Facts, first: Mapping[str, int], limits: Mapping[str, int]) -> None:
    """A machine says how much of it counts only once; what is more, its operator says with a limit.

    :raises ChangeRefused: it has much more than at first, of something that has no limit.
    """
    jumped = [resource for resource in host_facts.jumps(said.capacity, first) if resource not in limits]
    if jumped:
        now_had = ", ".join(f"{said.capacity[one]} {one} (at first {first[one]})" for one in jumped)
        wanted = ", ".join(f"{one}: {said.capacity[one]}" for one in jumped)
        raise ChangeRefused(
            f"{name} says that it has {now_had}. A machine does not raise by itself what counts of it, so nothing was "
            f"recorded. If it has grown, say so with limits (cell_limits in the inventory): {{{wanted}}}.",
            host=name,
            resources=jumped,
        )


def held(args: Mapping[str, Any], found: Record | None, said: Facts | None, limits: Mapping[str, int]) -> Record:
    """Capacity, reserve and ratios. A machine can only lower what its operator allows, never raise it."""
    if args.get("resources") is not None:
        capacity = dict(args["resources"])
    elif said is not None:
        capacity = dict(said.capacity)
    elif found is not None:
        capacity = dict(found["capacity"])
    else:
        raise BadInput("A host that does not answer needs resources, to be planned with.")
    capacity = {name: min(total, limits.get(name, total)) for name, total in capacity.items()}
    usual = RESERVED if said is not None else dict.fromkeys(RESERVED, 0)
    reserved = {**(found["reserved"] if found else usual), **given(args, "reserved")}
    ratios = {**(found["allocation_ratios"] if found else RATIOS), **given(args, "allocation_ratios")}
    for name, total in capacity.items():
        if reserved[name] > total and name in given(args, "reserved"):
            raise BadInput(f"{reserved[name]} {name} cannot be reserved of {total}.")
        reserved[name] = min(reserved[name], total)
    for name, value in {**limits, **capacity, **reserved}.items():
        if value < 0:
            raise BadInput(f"{value} is no amount of {name}.")
    for name, ratio in ratios.items():
        if ratio <= 0:
            raise BadInput(f"The allocation ratio of {name} is {ratio:g}; it must be above 0.")
    return {"capacity": capacity, "reserved": reserved, "allocation_ratios": ratios}


def inventories(stock: Mapping[str, Mapping[str, Any]]) -> dict[str, Record]:
    """The same by resource class, as the database keeps it."""
    return {
        hosts.CLASSES[name]: {
            "total": stock["capacity"][name],
            "reserved": stock["reserved"][name],
            "allocation_ratio": float(stock["allocation_ratios"][ratio]),
        }
        for ratio, name in NAMED.items()
    }


def given(args: Mapping[str, Any], option: str) -> Record:
    """What the task says in an option with several values; those left out stay as they are."""
    return {key: value for key, value in (args.get(option) or {}).items() if value is not None}
