# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of an image: its options as values, checked as far as they can be without the database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.image import web
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import source
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field

DEFAULT_FORMAT = "qcow2"
_ORIGINS = ("filename", "uri", "instance", "volume")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")

# What can change while the content stays.
FIELDS = (
    Field("container_format", values.label, default="bare"),
    Field("kernel", values.label),
    Field("ramdisk", values.label),
    Field("min_disk", values.number(0), default=0),
    Field("min_ram", values.number(0), default=0),
    Field("properties", values.texts, default={}),
    Field("visibility", values.label, default="private"),
    Field("protected", values.flag, default=False),
    Field("tags", values.words, default=[]),
)


@dataclass(frozen=True)
class Wanted:
    """One task's wish. None means that the user did not say.

    :param path: a file of the controller.
    :param stores: names of image hosts; None: the first for a new image, no change for another.
    :param values: the options of ``FIELDS`` that were given.
    """

    name: str
    path: str | None
    uri: str | None
    instance: str | None
    volume: str | None
    allow_local_uri: bool
    checksum: str | None
    disk_format: str | None
    stores: tuple[str, ...] | None
    values: Mapping[str, Any]

    @property
    def by_store(self) -> bool:
        """Whether a store gets the content by itself."""
        return self.uri is not None or self.volume is not None


def wanted(args: Mapping[str, Any], *, playbook: str | None) -> Wanted:
    """The wish in the options of the module ``image``.

    :param playbook: the playbook's directory, where relative file names begin.
    :raises BadInput: an option that cannot be meant.
    """
    filename, uri = args.get("filename"), args.get("uri")
    given = [name for name in _ORIGINS if args.get(name)]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} are both given; an image comes from one of them.")
    return Wanted(
        name=values.label("image's name", args["name"]),
        path=source.found(filename, playbook) if filename else None,
        instance=args.get("instance") or None,
        volume=args.get("volume") or None,
        uri=_uri(uri) if uri else None,
        allow_local_uri=bool(args.get("allow_local_uri")),
        checksum=_checksum(args.get("checksum")),
        disk_format=args.get("disk_format"),
        stores=None if args.get("stores") is None else tuple(args["stores"]),
        values=engine.read(FIELDS, args),
    )


def _uri(given: str) -> str:
    try:
        return web.checked("uri", given)
    except web.BadAddress as exc:
        raise BadInput(exc.msg) from exc


def _checksum(given: str | None) -> str | None:
    if given is None:
        return None
    text = given.strip().lower()
    if not _CHECKSUM.fullmatch(text):
        raise BadInput(f"checksum {given[:80]!r} is not 'sha256:' and 64 hexadecimal digits, which sha256sum prints.")
    return text
