# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of a volume: names resolved, sizes checked, and compared with the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits, names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, compare, created
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import values

Record = dict[str, Any]

GIB = 2**30
MOST_AT_ONCE = 1000  # volumes of one task
LARGEST = 2**24  # GiB; more is a slip of the keyboard
SOURCES = {
    "image": cloud.images,
    "snapshot": tables.volume_snapshots,
    "source_volume": tables.volumes,
    "backup": tables.volume_backups,
}
# What a new volume of an image has to know about it for as long as it is being written.
IMAGE = (
    "id",
    "name",
    "checksum",
    "disk_format",
    "size",
    "virtual_size",
    "min_disk",
    "properties",
    "store_host",
    "stores",
)
_KINDS = {"image": "image", "snapshot": "snapshot", "source_volume": "volume", "backup": "backup"}


@dataclass(frozen=True)
class Wish:
    """A new volume.

    :param source: what it is made from: kind, id and name; None for an empty one.
    :param image: the image's record, where it is made from one.
    :param bootable: whether its content comes from an image, straight or by way of another volume.
    :param backend_id: the only backend it can live on: that of the snapshot or volume it is made from.
    :param same_host: ids of volumes whose storage host it must be on.
    """

    project_id: str
    name: str
    size: int
    type: Record | None = None
    source: Record | None = None
    image: Record | None = None
    backend_id: str | None = None
    multiattach: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    same_host: Sequence[str] = ()
    different_host: Sequence[str] = ()
    bootable: bool = False


def labels(args: Mapping[str, Any]) -> list[str]:
    """The names of the volumes of a task.

    :raises BadInput: a name cannot be one, or the count is none.
    """
    if args.get("count") is None:
        return [names.label("name of a volume", str(args["name"]))]
    number = values.number(1, MOST_AT_ONCE)("count", args["count"])
    return [names.label("name of a volume", f"{args['name']}-{each}") for each in range(1, number + 1)]


def checked(args: Mapping[str, Any]) -> Record:
    """The options that say something by themselves, before any name is looked up.

    :raises BadInput: a size is none, or two sources are given.
    """
    given = [kind for kind in SOURCES if args.get(kind) is not None]
    if len(given) > 1:
        raise BadInput(f"A volume is made from one source; {' and '.join(given)} are given.")
    found: Record = {}
    if args.get("size") is not None:
        found["size"] = values.number(1, LARGEST)("size", args["size"])
    if args.get("multiattach") is not None:
        found["multiattach"] = bool(args["multiattach"])
    if args.get("metadata") is not None:
        found["metadata"] = values.texts("metadata", args["metadata"])
    if args.get("zone") is not None:
        values.label("zone", args["zone"])
    for hint, named in (args.get("scheduler_hints") or {}).items():
        limits.check("hint", f"scheduler_hints.{hint}", named or ())
    return found


def new(conn: sa.Connection, args: Mapping[str, Any], project_id: str) -> Wish:
    """A volume that does not exist yet, with everything it names looked up.

    :raises NotFound: a type, an image, a snapshot or a volume is not there; carries the nearest names.
    :raises BadInput: it has no size, or less than what it is made from.
    """
    given = checked(args)
    kind = next((each for each in SOURCES if args.get(each) is not None), None)
    origin = records.get(conn, SOURCES[kind], args[kind], project_id=project_id) if kind else None
    source = {"kind": _KINDS[kind], "id": origin["id"], "name": origin["name"]} if kind and origin else None
    if source and kind == "backup" and origin:
        source["location"] = origin["location"]
    parent = _parent(conn, kind, origin)
    wanted_type = args.get("volume_type") or (parent["volume_type_id"] if parent else None)
    found_type = records.get(conn, tables.volume_types, wanted_type) if wanted_type else None
    image = {key: origin[key] for key in IMAGE} if origin and kind == "image" else None
    hints = args.get("scheduler_hints") or {}
    return Wish(
        project_id=project_id,
        name=str(args["name"]),
        size=_size(given.get("size"), kind, origin),
        type=found_type,
        source=source,
        image=image,
        backend_id=parent["backend_id"] if parent else None,
        multiattach=given.get("multiattach", bool(found_type and found_type["multiattach"])),
        metadata=given.get("metadata", {}),
        zone=args.get("zone"),
        same_host=_ids(conn, hints.get("same_host"), project_id),
        different_host=_ids(conn, hints.get("different_host"), project_id),
        bootable=image is not None or bool(parent and parent.get("bootable")),
    )


def creation(wish: Wish) -> list[Change]:
    """The changes that a new volume means."""
    return created(
        {
            "name": wish.name,
            "size": wish.size,
            "volume_type": wish.type["name"] if wish.type else None,
            "multiattach": wish.multiattach,
            "source": shown_source(wish.source),
            "metadata": dict(wish.metadata) or None,
        }
    )


def shown_source(source: Mapping[str, Any] | None) -> Record | None:
    """What a volume was made from, as modules return it."""
    return {key: source[key] for key in ("kind", "id", "name")} if source else None


def differences(args: Mapping[str, Any], given: Mapping[str, Any], shown: Mapping[str, Any]) -> list[Change]:
    """What the task wants otherwise than the volume is.

    :param given: the options as :func:`checked` returns them.
    :param shown: the volume as modules return it, with work that has begun taken as done.
    :raises ChangeRefused: it would shrink, or it was made from something else.
    :raises BadInput: there would be too much metadata.
    """
    name = shown["name"]
    if given.get("size", shown["size"]) < shown["size"]:
        raise ChangeRefused(
            f"Volume {name!r} has {shown['size']} GiB and cannot shrink to {given['size']}: what lies behind would be "
            "lost. Make a smaller volume and copy what is needed.",
            option="size",
        )
    _same_source(args, shown)
    changes = compare({key: given.get(key) for key in ("size", "multiattach")}, shown)
    metadata = compare(given.get("metadata", {}), shown["metadata"] or {})
    if metadata:
        limits.check("entries", "metadata with what is there", {**(shown["metadata"] or {}), **given["metadata"]})
    changes += [Change(f"metadata.{each.what}", each.before, each.after) for each in metadata]
    if any(change.what == "multiattach" for change in changes) and shown["attachments"]:
        raise InUse(f"multiattach of volume {name!r} cannot change while it is attached to {attached(shown)}.")
    return changes


def attached(shown: Mapping[str, Any]) -> str:
    """The instances that have the volume, for a message."""
    return ", ".join(str(each.get("instance") or each["instance_id"]) for each in shown["attachments"])


def _same_source(args: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """A source that is named again is the one the volume was made from; it need not exist any more."""
    for option, kind in _KINDS.items():
        source = shown.get("source") or {}
        if args.get(option) is None or (kind == source.get("kind") and args[option] in (source["id"], source["name"])):
            continue
        made = f"was made from the {source['kind']} {source['name']!r}" if source else "was made empty"
        raise ChangeRefused(
            f"Volume {shown['name']!r} {made}, and that cannot change to the {kind} {args[option]!r}. "
            "Remove it first, or make a volume of another name.",
            option=option,
        )


def _parent(conn: sa.Connection, kind: str | None, origin: Record | None) -> Record | None:
    """The volume that a snapshot or a copy comes from.

    :raises BadInput: what it would be made from is not ready, or a guest is writing to it.
    """
    if kind is None or origin is None:
        return None
    ready = "active" if kind == "image" else "available"
    if origin["status"] != ready:
        hint = (
            " Take a snapshot of it with force, and make the volume from that." if origin["status"] == "in-use" else ""
        )
        raise InUse(f"The {_KINDS[kind]} {origin['name']!r} is {origin['status']}, not {ready}.{hint}")
    if kind == "snapshot":
        return records.get(conn, tables.volumes, origin["volume_id"])
    if kind == "backup":  # only its own storage host can read it
        return {"volume_type_id": None, "backend_id": origin["location"]["backend_id"]}
    return origin if kind == "source_volume" else None


def _size(asked: int | None, kind: str | None, origin: Record | None) -> int:
    if kind is None or origin is None:
        if asked is None:
            raise BadInput("The volume does not exist yet; to make it, give size, or what it is made from.")
        return asked
    least = least_for(origin) if kind == "image" else int(origin["size"])
    if asked is not None and asked < least:
        raise BadInput(
            f"size is {asked} GiB; the {_KINDS[kind]} {origin['name']!r} needs {least} GiB.", size=asked, least=least
        )
    return asked or least


def least_for(image: Mapping[str, Any]) -> int:
    """The GiB that a volume of this image must have."""
    return max(-(-int(image["virtual_size"] or image["size"] or 0) // GIB), int(image["min_disk"] or 0), 1)


def _ids(conn: sa.Connection, named: Sequence[str] | None, project_id: str) -> tuple[str, ...]:
    return tuple(records.get(conn, tables.volumes, name, project_id=project_id)["id"] for name in named or ())


def project(conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> str:
    """The id of the task's project."""
    return str(projects.resolve(conn, args["project"], principal)["id"])
