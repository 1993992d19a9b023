# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to become of a volume: compared with its record, foreseen in check mode, shown as it will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backends, placement, places, retype, wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.places import Asked
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import Record, Wish

PENDING = frozenset({"creating", "error", "extending", "retyping"})


@dataclass(frozen=True)
class Plan:
    """What is to become of a volume.

    :param found: its record, None while there is none.
    :param shown: the volume as modules return it, with work that has begun taken as done.
    :param wish: what to make, where there is none.
    :param new_type: the type to give it, None where that stays.
    """

    project_id: str
    found: Record | None
    changes: Sequence[Change]
    shown: Mapping[str, Any]
    wish: Wish | None = None
    new_type: Record | None = None


def planned(conn: sa.Connection, args: Mapping[str, Any], given: Mapping[str, Any], principal: Principal) -> Plan:
    """Compare what the task says with the record.

    :raises CloudError: a name is not there, or an option cannot change.
    """
    project_id = wanted.project(conn, args, principal)
    found = records.find(conn, tables.volumes, args["name"], project_id=project_id)
    if found is None or found["status"] == "deleting":
        wish = wanted.new(conn, args, project_id)
        return Plan(project_id, found, wanted.creation(wish), {}, wish)
    shown = volumes.describe(conn, project_id, ids=[found["id"]])[0]
    changes: list[Change] = []
    if found["status"] in PENDING:
        shown = {**shown, **_to_come(conn, found), "status": "in-use" if shown["attachments"] else "available"}
        changes = [Change("status", found["status"], shown["status"])]
    changes += wanted.differences(args, given, shown)
    new_type = None
    if args.get("volume_type") is not None:
        kind = records.get(conn, tables.volume_types, args["volume_type"])
        if kind["name"] != shown["volume_type"]:
            new_type = kind
            changes.append(Change("volume_type", shown["volume_type"], kind["name"]))
    return Plan(project_id, found, changes, shown, None, new_type)


def _to_come(conn: sa.Connection, found: Record) -> Record:
    """What the volume will be when the work that has begun is done."""
    spec = found["spec"] or {}
    if found["status"] == "extending":
        return {"size": int(spec["extend"]["size"])}
    if found["status"] == "retyping":
        return {"volume_type": records.get(conn, tables.volume_types, spec["retype"]["type"])["name"]}
    return {}


def foreseen(request: Request, plans: Sequence[Plan]) -> None:
    """In check mode: whether backends would take what is new, as far as backends are on record.

    :raises CloudError: none would, or a volume could not be moved there.
    """
    with request.conductor.read() as conn:
        for plan in plans:
            if plan.new_type is not None and plan.found is not None and plan.found["status"] not in PENDING:
                retype.where(conn, plan.found, plan.new_type)
        wishes = [places.asked(plan.wish) for plan in plans if plan.wish is not None]
        rows = backends.as_said(request, records.listing(conn, tables.volume_backends))
        if not wishes or not rows:
            return  # where no host has been asked yet, check mode records no answers
        try:
            _fitted(conn, wishes, rows)
        except NoValidHost:
            heard = backends.refresh(request)
            if not heard.news:
                raise
            _fitted(conn, wishes, heard.backends)


def _fitted(conn: sa.Connection, wishes: Sequence[Asked], rows: Sequence[Record]) -> None:
    """Place all of them, each beside those before it."""
    backends_then = [dict(row) for row in rows]
    for wish in wishes:
        chosen = placement.place(conn, wish, among=backends_then)
        for row in backends_then:
            row["used"] += wish.size if row["id"] == chosen else 0


def predicted(plan: Plan) -> Record:
    """The volume as it would be; what is not known before it exists is left out."""
    if plan.wish is not None:
        return {
            "name": plan.wish.name,
            "project_id": plan.project_id,
            "size": plan.wish.size,
            "status": "available",
            "volume_type": plan.wish.type["name"] if plan.wish.type else None,
            "multiattach": plan.wish.multiattach,
            "bootable": plan.wish.bootable,
            "source": wanted.shown_source(plan.wish.source),
            "attachments": [],
            "metadata": dict(plan.wish.metadata),
        }
    row = dict(plan.shown)
    for change in plan.changes:
        what, _dot, key = change.what.partition(".")
        row[what] = {**(row["metadata"] or {}), key: change.after} if key else change.after
    if plan.new_type is not None:
        row.pop("host", None)
        row.pop("backend", None)
    return row
