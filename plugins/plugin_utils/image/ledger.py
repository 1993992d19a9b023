# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of an image through its states. Each function is one transaction, and says what must be so before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import AlreadyExists, Conflict
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import stores
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.source import Content

Record = dict[str, Any]

LOCK = "images"  # contents are shared by records of any name, so all of them take turns
UNFINISHED = frozenset({"queued", "saving"})
_images = cloud.images


def own(conn: sa.Connection, name: str, project_id: str) -> Record | None:
    """The project's image of that name; one that another project shares is not ours to change."""
    found = records.find(conn, _images, name, project_id=project_id)
    return found if found is not None and found["project_id"] == project_id else None


def parts_of(conn: sa.Connection, image_id: str) -> list[str]:
    """Names of the images that have this one as their kernel or ramdisk."""
    query = sa.select(_images.c.name).where((_images.c.kernel_id == image_id) | (_images.c.ramdisk_id == image_id))
    return sorted(str(name) for name in conn.execute(query.limit(5)).scalars())


def change(request: Request, found: Record, values: Mapping[str, Any]) -> Record:
    """Write what changes while the content stays."""
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        return records.update(conn, _images, found["id"], {"generation": found["generation"]}, **values)


def queue(request: Request, project_id: str, name: str, found: Record | None, values: Mapping[str, Any]) -> Record:
    """Take the name, or take up what a killed run left.

    :raises AlreadyExists: a parallel run was first.
    """
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        if found is not None:
            now = records.find(conn, _images, found["id"])
            if now is None or now["status"] not in UNFINISHED:
                raise AlreadyExists(f"Image {name!r} was finished or removed by a parallel run.", name=name)
            return records.update(conn, _images, found["id"], **values)
        quota.take(conn, project_id, images=1)
        return records.insert(conn, _images, project_id=project_id, name=name, status="queued", **values)


def save(request: Request, record: Record, content: Content, keepers: Sequence[str]) -> Record:
    """Record the content that was found good, before it is copied, and the stores that it is meant for.

    :raises Conflict: the same content is just being removed.
    """
    about = {"checksum": content.checksum, "size": content.size, "virtual_size": content.virtual_size}
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        now = records.get(conn, _images, record["id"])
        if _done(now, content.checksum):
            return now
        going = records.listing(conn, _images, checksum=content.checksum, status="deleting")
        if going:
            raise Conflict(f"Image {going[0]['name']!r} has the same content and is being removed. Finish that first.")
        _not_going(conn, {**now, **about}, keepers)
        left = dict.fromkeys(stores.places(now), stores.REMOVING)  # where a killed run has begun to store it
        whole = {**dict.fromkeys(keepers, stores.COPYING), **{k: v for k, v in left.items() if k not in keepers}}
        expect = {"status": UNFINISHED}
        about |= {"store_host": keepers[0], "stores": whole}
        return records.update(conn, _images, record["id"], expect, status="saving", **about)


def activate(request: Request, record: Record) -> Record:
    """The content is in the first of its stores."""
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        now = records.get(conn, _images, record["id"])
        if _done(now, record["checksum"]):
            return now
        expect = {"status": "saving", "checksum": record["checksum"]}
        whole = {**stores.places(now), str(now["store_host"]): stores.PRESENT}
        return records.update(conn, _images, record["id"], expect, status="active", stores=whole)


def place(request: Request, record: Record, states: Mapping[str, str | None], *, order: Sequence[str] = ()) -> Record:
    """Record what is now at stores of an active image; None is nothing.

    :param order: the stores in the order that the user gave, which is kept.
    :raises Conflict: the image is not active any more, or its content is just being removed from a store.
    """
    with request.conductor.transaction(lock=LOCK, label="image stores") as conn:
        now = records.get(conn, _images, record["id"])
        _not_going(conn, now, [name for name, state in states.items() if state == stores.COPYING])
        merged = {**stores.places(now), **states}
        left = {key: value for key, value in merged.items() if value is not None}
        whole = {**{key: left[key] for key in order if key in left}, **left}
        having = [name for name, state in whole.items() if state == stores.PRESENT]
        values = {"stores": whole, "store_host": having[0] if having else now["store_host"]}
        return records.update(conn, _images, now["id"], {"status": "active"}, **values)


def unshared(request: Request, record: Record, names: Iterable[str]) -> list[str]:
    """Those of the stores where no other image needs the same content. None can come to, while it is being removed."""
    with request.conductor.read() as conn:
        return _unshared(conn, record, names)


def condemn(request: Request, found: Record, removable: Callable[[sa.Connection, Record], None]) -> Record | None:
    """Mark an image as going. Returns it as it is then; its content goes from the stores that are :func:`unshared`.

    :raises InUse: it became protected or used since it was looked at.
    """
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        now = records.find(conn, _images, found["id"])
        if now is None:
            return None
        removable(conn, now)
        return records.update(conn, _images, found["id"], status="deleting")


def forget(request: Request, record: Record, states: Set[str]) -> None:
    """Remove the record if it is in one of these states; one that is gone already is no error."""
    with request.conductor.transaction(lock=LOCK, label="image") as conn:
        now = records.find(conn, _images, record["id"])
        if now is not None and now["status"] in states:
            records.delete(conn, _images, record["id"])
            quota.give(conn, record["project_id"], images=1)


def _unshared(conn: sa.Connection, record: Record, names: Iterable[str]) -> list[str]:
    if record["checksum"] is None:
        return []
    others = records.listing(conn, _images, checksum=record["checksum"], status={"saving", "active"})
    needed = {
        name
        for other in others
        if other["id"] != record["id"]
        for name, state in stores.places(other).items()
        if state != stores.REMOVING
    }
    return [name for name in names if name not in needed]


def _not_going(conn: sa.Connection, record: Record, names: Sequence[str]) -> None:
    """Refuse to copy to a store what another image is just having removed there."""
    if not names:
        return
    for other in records.listing(conn, _images, checksum=record["checksum"]):
        going = [name for name in names if stores.places(other).get(name) == stores.REMOVING]
        if going and other["id"] != record["id"]:
            raise Conflict(
                f"Image {other['name']!r} has the same content, which is being removed from {going[0]}. "
                "Run its task again to finish that first."
            )


def _done(now: Record, checksum: str) -> bool:
    """Whether a parallel run of the same task has stored this content already."""
    return bool(now["status"] == "active" and now["checksum"] == checksum)
