# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of the module ``image``: plan, then fetch, judge, store, record; and that of ``image_info``.

========  ===============================================================================
queued    the name is taken, the content is being fetched and judged
saving    the content was found good, and is on its way to the image host
active    the content is in the store
deleting  the content is being removed
========  ===============================================================================

A run that is killed leaves the record in one of the first two states; running it again goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, created, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    ChangeRefused,
    CloudError,
    Conflict,
    ImageRefused,
    InUse,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import (
    contents,
    copies,
    imports,
    ledger,
    source,
    stores,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.source import Content
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.wanted import (
    DEFAULT_FORMAT,
    FIELDS,
    Wanted,
    wanted,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine

Record = dict[str, Any]

GIB = 2**30
FRESH_STARTS = 3  # times that a plan is made anew because a parallel run took the name
_SHOWN = ("id", "name", "project_id", "status", "checksum", "size", "virtual_size", "disk_format", "store_host")
_OF_CONTENT = ("checksum", "size", "virtual_size")
_TIMES = ("created_at", "updated_at")


@dataclass(frozen=True)
class Plan:
    """What is to become of an image.

    :param found: its record now, None while there is none.
    :param values: columns to write.
    :param content: the local file, measured; None where there is nothing to store or it must be downloaded first.
    :param stores: whether content has to be stored.
    :param origin: the instance or volume that it is made of.
    :param keepers: the stores that are to have it; none: as they are.
    :param lost: those of them that should have it and have not.
    """

    project_id: str
    found: Record | None
    values: Mapping[str, Any]
    changes: Sequence[Change]
    after: Record
    disk_format: str = DEFAULT_FORMAT
    content: Content | None = None
    stores: bool = False
    origin: contents.Origin | None = None
    keepers: Sequence[str] = ()
    lost: Sequence[str] = ()


def apply(request: Request) -> Outcome:
    """Have the image as the task says.

    :raises CloudError: what cannot be meant, is not safe, or cannot be stored. Running again mends what is half done.
    """
    home = request.hostvars[request.host].get("playbook_dir") if request.host in request.hostvars else None
    wish = wanted(request.args, playbook=None if home is None else str(home))
    header = f"image {wish.name}"
    if request.args["state"] == "absent":
        return _absent(request, wish, header)
    for attempt in range(1, FRESH_STARTS + 1):
        plan = _plan(request, wish)
        if request.check or not plan.changes:
            return Outcome(bool(plan.changes), {"image": plan.after}, plan.changes, header)
        try:
            record = _carry_out(request, wish, plan)
        except AlreadyExists:  # a parallel run made an image of that name after we had looked
            if attempt == FRESH_STARTS:
                raise
            continue
        return Outcome(True, {"image": shown(record)}, plan.changes, header)
    raise Conflict(f"The name {wish.name!r} is fought over by other runs; run again.")


def info(request: Request) -> Outcome:
    """The images that the project can use."""
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        rows = records.listing(conn, cloud.images, project_id=project["id"])
    return answer("images", [shown(row) for row in rows], request.args)


def shown(row: Mapping[str, Any]) -> Record:
    """An image as modules return it."""
    own = {each.name: row.get(each.name) for each in FIELDS if each.name not in ("kernel", "ramdisk")}
    own |= {"properties": row.get("properties") or {}, "tags": row.get("tags") or []}
    return {
        **{key: row.get(key) for key in _SHOWN},
        "stores": stores.holding(row),
        **own,
        "kernel": row.get("kernel_id"),
        "ramdisk": row.get("ramdisk_id"),
        **{key: row.get(key) for key in _TIMES},
    }


def _plan(request: Request, wish: Wanted) -> Plan:
    with request.conductor.read() as conn:
        project_id = str(projects.resolve(conn, request.args["project"], request.principal)["id"])
        found = ledger.own(conn, wish.name, project_id)
        values = {**wish.values, **_parts(conn, wish, project_id)}
        active = found is not None and found["status"] == "active"
        origin = None if active else contents.origin(conn, wish, project_id, found)
    if found is not None and found["status"] == "deleting":
        raise Conflict(f"Image {wish.name!r} is being removed; run the task with state: absent again, then this one.")
    if found is None or not active:
        if origin is not None and found is None:
            values = {**origin.defaults, **values}
        return replace(_to_store(request, wish, project_id, found, values), origin=origin)
    _same_content(wish, found)
    before = shown(found)
    changes = engine.differences(FIELDS, values, before)
    if any(change.what == "min_disk" for change in changes):
        _fits(values["min_disk"], found["virtual_size"])
    changed = {change.what: change.after for change in changes}
    after = {**before, **changed}
    if wish.stores is None:
        return Plan(project_id, found, _columns(changed), changes, after)
    keepers = stores.chosen(request.groups, wish.stores)
    lost = copies.lost(request, found, keepers)
    changes = [*changes, *stores.changes(found, keepers, lost)]
    after.update(stores=keepers, store_host=keepers[0])
    return Plan(project_id, found, _columns(changed), changes, after, keepers=keepers, lost=lost)


def _to_store(request: Request, wish: Wanted, project_id: str, found: Record | None, values: Mapping[str, Any]) -> Plan:
    """The plan of an image that has no content yet: a new one, or what a killed run left."""
    keepers = [stores.first(request.groups)] if wish.stores is None else stores.chosen(request.groups, wish.stores)
    if wish.path is None and wish.instance is None and not wish.by_store:
        what = "does not exist yet" if found is None else f"is unfinished ({found['status']})"
        raise BadInput(f"Image {wish.name!r} {what}; give filename, uri, instance or volume.")
    disk_format = wish.disk_format or (found["disk_format"] if found else DEFAULT_FORMAT)
    content = None
    if wish.path is not None:
        content = source.local(wish.path, declared=disk_format, expected=wish.checksum)
    whole = engine.complete("image", FIELDS, values) if found is None else dict(values)
    if content is not None:
        _fits(whole.get("min_disk") or (found or {}).get("min_disk") or 0, content.virtual_size)
    known = {"disk_format": disk_format, "checksum": content.checksum if content else wish.checksum}
    if found is None:
        told = {key: value for key, value in whole.items() if value not in (None, {}, [])}
        changes = created({"name": wish.name, **known, **told})
    else:
        changes = [Change("status", found["status"], "active"), *engine.differences(FIELDS, values, shown(found))]
    before = {key: value for key, value in (shown(found) if found else {}).items() if key not in _OF_CONTENT}
    after = {**before, "name": wish.name, **whole, "status": "active"}
    after.update(store_host=keepers[0], stores=keepers)
    after.update({key: value for key, value in known.items() if value is not None})
    if content is not None:
        after.update(size=content.size, virtual_size=content.virtual_size)
    return Plan(project_id, found, _columns(whole), changes, after, disk_format, content, stores=True, keepers=keepers)


def _same_content(wish: Wanted, found: Record) -> None:
    """Refuse to put another content under the name of one that instances may have been booted from.

    What is behind an address is not fetched to be compared; give its checksum to have it compared.
    """
    if wish.disk_format is not None and wish.disk_format != found["disk_format"]:
        raise _refused(wish, "disk_format", found["disk_format"], wish.disk_format)
    wanted_now = wish.checksum
    if wanted_now is None and wish.path is not None:
        wanted_now = source.checksum_of(wish.path)
    if wanted_now is not None and wanted_now != found["checksum"]:
        raise _refused(wish, "checksum", found["checksum"], wanted_now)


def _refused(wish: Wanted, option: str, before: Any, after: Any) -> ChangeRefused:
    return ChangeRefused(
        f"The {option} of image {wish.name!r} is {before}, not {after}. The content of an image never changes, since "
        "instances are built on it: register the new one under another name, or remove this one first.",
        option=option,
    )


def _carry_out(request: Request, wish: Wanted, plan: Plan) -> Record:
    if not plan.stores:
        return _change(request, wish, plan)
    values = {**plan.values, "disk_format": plan.disk_format}
    if wish.by_store:
        values |= imports.pending(plan.found, plan.keepers[0])
    record = ledger.queue(request, plan.project_id, wish.name, plan.found, values)
    try:
        with contents.opened(request, wish, record, measured=plan.content, origin=plan.origin) as content:
            _fits(record["min_disk"], content.virtual_size)
            if record["checksum"] not in (None, content.checksum):  # what a killed run may have stored for this record
                copies.clear(request, record, ledger.unshared(request, record, stores.places(record)))
            record = ledger.save(request, record, content, plan.keepers)
            contents.deliver(request, plan.keepers[0], record, content)
    except ImageRefused:
        ledger.forget(request, record, ledger.UNFINISHED)
        raise
    except CloudError as exc:
        # What is on the image host is not known then: a record that says so stays, one without content does not.
        if record["status"] == "queued" and not (wish.by_store and isinstance(exc, imports.UNKNOWN)):
            ledger.forget(request, record, {"queued"})
        raise
    return copies.settle(request, ledger.activate(request, record), plan.keepers)


def _change(request: Request, wish: Wanted, plan: Plan) -> Record:
    """Carry out the plan of an image that has its content."""
    record = dict(plan.found or {})
    if plan.values:
        record = ledger.change(request, record, plan.values)
    if plan.keepers:
        record = copies.settle(request, record, plan.keepers, lost=plan.lost, path=wish.path)
    return record


def _absent(request: Request, wish: Wanted, header: str) -> Outcome:
    with request.conductor.read() as conn:
        project = projects.resolve(conn, request.args["project"], request.principal)
        found = ledger.own(conn, wish.name, project["id"])
        if found is None:
            return Outcome(False, {"image": None}, (), header)
        _removable(conn, found)
    changes = removed(shown(found), ("name", "checksum", "disk_format", *(each.name for each in FIELDS)))
    if not request.check:
        last = ledger.condemn(request, found, _removable)
        if last is not None:
            volumes.release(request, last["id"])
            if last["checksum"] is None:
                imports.clear(request, last, stores.places(last))
            copies.clear(request, last, ledger.unshared(request, last, stores.places(last)))
        ledger.forget(request, found, {"deleting"})
    return Outcome(True, {"image": None}, changes, header)


def _removable(conn: sa.Connection, found: Record) -> None:
    if found["protected"]:
        raise InUse(f"Image {found['name']!r} is protected; set protected: false first.")
    users = ledger.parts_of(conn, found["id"])
    if users:
        raise InUse(f"Image {found['name']!r} is kernel or ramdisk of {', '.join(users)}.", images=users)


def _parts(conn: sa.Connection, wish: Wanted, project_id: str) -> Record:
    """Kernel and ramdisk by their ids.

    :raises NotFound: there is no such image.
    """
    given = {key: wish.values[key] for key in ("kernel", "ramdisk") if key in wish.values}
    return {key: records.get(conn, cloud.images, name, project_id=project_id)["id"] for key, name in given.items()}


def _columns(values: Mapping[str, Any]) -> Record:
    named = {"kernel": "kernel_id", "ramdisk": "ramdisk_id"}
    return {named.get(key, key): value for key, value in values.items()}


def _fits(min_disk: int, virtual_size: int | None) -> None:
    if min_disk and virtual_size and virtual_size > min_disk * GIB:
        raise ImageRefused(
            f"A guest would see a disk of {virtual_size / GIB:.2f} GiB, more than min_disk: {min_disk} says. "
            f"Give min_disk: {-(-virtual_size // GIB)} or more."
        )
