# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a new image, judged by the controller: a file, what is at an address, a volume, or an instance.

An instance's disk goes over the two connections that are there, from its host to the controller and on to the store:
hosts neither log in to each other nor offer each other files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import instances, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, BadReply, CloudError, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import imports, source, store, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.source import Content
from ansible_collections.agentless.cloud.plugins.plugin_utils.image.wanted import Wanted
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import DEADLINE, Call

BACKEND = "compute_backend"
INSTANCES = "/var/lib/agentless/instances"
FORMAT = "qcow2"  # of what a disk or volume becomes
_SLOW = 60  # seconds that a GiB of a disk may take to be read
_TABLES = (64 << 20, 64)  # what a qcow2 file has besides its data: bytes, and one for each of so many of data

Record = dict[str, Any]


@dataclass(frozen=True)
class Guest:
    """A stopped instance whose disk becomes an image.

    :param properties: those of the image that it was booted from.
    :param disk: GiB of its disk.
    """

    id: str
    name: str
    generation: int
    host: str
    properties: Mapping[str, str]
    disk: int

    @property
    def defaults(self) -> Record:
        """What its image has, unless the task says something else."""
        return {"properties": dict(self.properties), "min_disk": self.disk}


@dataclass(frozen=True)
class Volume:
    """A volume whose content becomes an image."""

    id: str
    defaults: Record


Origin = Guest | Volume


def origin(conn: sa.Connection, wish: Wanted, project_id: str, image: Record | None) -> Origin | None:
    """The instance or volume that the task names.

    :param image: the record that a run before has begun.
    :raises CloudError: there is none, or it cannot be read now.
    """
    if wish.volume is None:
        return guest(conn, wish, project_id)
    _plain(wish)
    found = volumes.look(conn, wish.volume, project_id, image)
    return Volume(found["id"], volumes.defaults(found))


def guest(conn: sa.Connection, wish: Wanted, project_id: str) -> Guest | None:
    """The instance that the task names.

    :raises NotFound: there is none.
    :raises InUse: it is not stopped.
    :raises BadInput: what else is said cannot be true of its disk, or it has none.
    """
    if wish.instance is None:
        return None
    _plain(wish)
    found = instances.get_by_name(conn, project_id, wish.instance)
    if found["status"] != "SHUTOFF" or found["host_id"] is None:
        raise InUse(
            f"Instance {found['name']!r} is {found['status']}; what is on its disk holds together only while it is "
            "stopped. Stop it first (agentless.cloud.instance with state: stopped).",
            status=found["status"],
        )
    host = records.get(conn, cell.hosts, found["host_id"])["name"]
    properties = (found["image"] or {}).get("properties") or {}
    size = int((found["flavor"] or {}).get("disk") or 0)
    if not size:  # there would be no bound on what its host may say that it has
        raise BadInput(
            f"Instance {found['name']!r} has no disk of its own, but volumes: make the image of the one that it boots "
            "from (volume)."
        )
    return Guest(found["id"], found["name"], found["generation"], host, properties, size)


def opened(
    request: Request, wish: Wanted, record: Record, *, measured: Content | None, origin: Origin | None
) -> AbstractContextManager[Content]:
    """The content of a new image, good to be stored, for as long as the block lasts.

    :param measured: a file of the controller that was looked at before.
    :raises CloudError: it cannot be had, or is not what was said.
    """
    if measured is not None:
        return nullcontext(measured)
    if isinstance(origin, Guest):
        return _exported(request, record, origin)
    if isinstance(origin, Volume):
        return _read(request, wish, record, origin)
    return imports.fetched(request, wish, record, {"uri": wish.uri, "allow_local": wish.allow_local_uri})


def deliver(request: Request, keeper: str, record: Record, content: Content) -> None:
    """Have the content under its name in the first store.

    :raises CloudError: the store was not reached, or does not have what was sent.
    """
    if content.held is None:
        store.push(request, keeper, record, content.path)
    else:
        imports.keep(request, keeper, record)


@contextmanager
def _read(request: Request, wish: Wanted, record: Record, held: Volume) -> Iterator[Content]:
    """Where it is not known what the hosts do, all stays for the next run; else the volume is free again."""
    try:
        what = {"volume": volumes.opened(request, held.id, record)}
        with imports.fetched(request, wish, record, what) as content:
            volumes.release(request, record["id"])
            yield content
    except imports.UNKNOWN:
        raise
    except CloudError:
        volumes.release(request, record["id"])
        raise


@contextmanager
def _exported(request: Request, record: Record, origin: Guest) -> Iterator[Content]:
    about = {"id": origin.id, "generation": origin.generation, "image": record["id"]}
    seconds = DEADLINE + _SLOW * origin.disk
    request.progress(f"{record['name']}: making one file of the disk of {origin.name} on {origin.host}")
    order = {"op": "export_disk", **about, "timeout": seconds}
    (answer,) = request.rpc.call(Call(origin.host, BACKEND, [order], timeout=seconds + 60))
    try:
        with tempfile.TemporaryDirectory(prefix="agentless-image-") as directory:
            path = os.path.join(directory, "image")
            size = _announced(origin, answer, directory)
            request.progress(f"{record['name']}: copying {store.shown(size)} from {origin.host}")
            lies = f"{INSTANCES}/{origin.id}/image-{record['id']}.qcow2"
            request.rpc.fetch(origin.host, lies, path, size=size)
            yield source.local(path, declared=FORMAT, expected=None)
    finally:
        _clear(request, origin, about)


def _plain(wish: Wanted) -> None:
    if wish.disk_format not in (None, FORMAT) or wish.checksum is not None:
        raise BadInput("A disk or volume becomes a qcow2 image, whose checksum nobody knows before.")


def _announced(origin: Guest, answer: Mapping[str, Any], directory: str) -> int:
    size = answer.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise BadReply(f"{origin.host} does not say how large the disk of {origin.name} is.", host=origin.host)
    most = (origin.disk << 30) + (origin.disk << 30) // _TABLES[1] + _TABLES[0]
    if size > most:
        raise BadReply(
            f"{origin.host} says that the disk of {origin.name} is a file of {size} bytes; one of {origin.disk} GiB "
            f"has at most {most}. Look at the host before you use it again.",
            host=origin.host,
        )
    free = shutil.disk_usage(directory).free
    if size > free:
        raise BadInput(
            f"The disk of instance {origin.name!r} has {size} bytes, and the controller's temporary directory has "
            f"{free} left; set TMPDIR to another."
        )
    return size


def _clear(request: Request, origin: Guest, about: Mapping[str, Any]) -> None:
    """Have the host rid of its copy. Where that fails, it goes with the instance, or a day later with the next one."""
    try:
        request.rpc.call(Call(origin.host, BACKEND, [{"op": "export_absent", **about}]))
    except CloudError as exc:
        request.progress(f"{origin.host} keeps a copy of the disk of {origin.name} for a while: {exc.msg}")
