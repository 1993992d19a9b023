# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Image hosts: where their files lie, what they are told, and how other hosts fetch from them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import stores
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call

PORT = 8480
INCOMING = "/var/lib/agentless/image-store/incoming"
BACKEND = "image_backend"
# Where a host says by which address others reach it; the first that is set counts.
_ADDRESSES = ("image_store_address", "agentless_management_address", "agentless_address", "ansible_host")
_LOCAL = "local"

Record = Mapping[str, Any]


def url_for(image: Record, hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> str:
    """Where hosts fetch the image's content, if they ask one store only.

    :raises BadInput: no image host is known, or the image has no content yet.
    """
    return sources(image, hostvars, groups)[0]


def sources(
    image: Record,
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    *,
    host: str | None = None,
    zone: str | None = None,
) -> list[str]:
    """Where a host fetches the image's content, the nearest store first.

    :param host: the host that fetches, and ``zone`` where it is.
    :raises BadInput: no image host is known, or the image has no content yet.
    """
    names = stores.nearest(image, hostvars, groups, host=host, zone=zone) or [stores.first(groups)]
    return [url_at(name, image, hostvars) for name in names]


def url_at(name: str, image: Record, hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """Where one store offers the image's content.

    :raises BadInput: the image has no content yet.
    """
    algorithm, _colon, digest = str(image.get("checksum")).partition(":")
    if algorithm != "sha256" or not digest:
        raise BadInput(f"Image {image.get('name')!r} has no content yet.")
    variables = hostvars.get(name) or {}
    address = _address(name, variables)
    shown = f"[{address}]" if ":" in address else address
    return f"https://{shown}:{int(variables.get('image_store_port') or PORT)}/{algorithm}/{digest}"


def push(request: Request, keeper: str, record: Record, path: str) -> bool:
    """Have the content of a file in the store; whether it had to be copied there.

    :param record: the image, with ``checksum`` and ``size``.
    :raises CloudError: the host was not reached, or what arrived is not what was sent.
    """
    about = {key: record[key] for key in ("id", "generation", "checksum", "size")}
    offered = request.rpc.call(Call(keeper, BACKEND, [{"op": "offer", **about}]))[0]
    if offered.get("present") is True:
        return False
    request.progress(f"{record['name']}: copying {shown(record['size'])} to {keeper}")
    lies = request.rpc.put(keeper, path, f"{INCOMING}/{record['id']}.{uuid.uuid4()}")
    stored = request.rpc.call(Call(keeper, BACKEND, [{"op": "store", **about, "path": lies}]))[0]
    if stored.get("checksum") != record["checksum"]:
        raise BackendFailed(f"{keeper} does not confirm the checksum of image {record['name']!r}.", host=keeper)
    return True


def _address(name: str, variables: Mapping[str, Any]) -> str:
    given = next((str(variables[key]) for key in _ADDRESSES if variables.get(key)), None)
    if given is not None:
        return given
    facts = variables.get("ansible_facts") or {}
    found = (facts.get("default_ipv4") or {}).get("address") if isinstance(facts, Mapping) else None
    return str(found) if found and variables.get("ansible_connection") == _LOCAL else name


def shown(size: int) -> str:
    """A size as messages say it."""
    return f"{size / 2**20:.0f} MiB"
