# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image host: which one it is, where its files lie, and how other hosts fetch them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call

GROUP = "cloud_image"
PORT = 8480
INCOMING = "/var/lib/agentless/image-store/incoming"
BACKEND = "image_backend"
# Where a host says by which address others reach it; the first that is set counts.
_ADDRESSES = ("image_store_address", "agentless_management_address", "agentless_address", "ansible_host")
_LOCAL = "local"

Record = Mapping[str, Any]


def host(groups: Mapping[str, Sequence[str]]) -> str:
    """The host that keeps images: the first of its inventory group.

    :raises BadInput: the inventory has none.
    """
    members = groups.get(GROUP) or ()
    if not members:
        raise BadInput(
            f"The inventory has no host in the group {GROUP}, where images are kept. "
            "Put one there and run agentless.cloud.site."
        )
    return members[0]


def url_for(image: Record, hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> str:
    """Where a compute host fetches the image's content.

    :raises BadInput: no image host is known, or the image has no content yet.
    """
    keeper = str(image.get("store_host") or host(groups))
    algorithm, _colon, digest = str(image.get("checksum")).partition(":")
    if algorithm != "sha256" or not digest:
        raise BadInput(f"Image {image.get('name')!r} has no content yet.")
    variables = hostvars.get(keeper) or {}
    address = _address(keeper, variables)
    shown = f"[{address}]" if ":" in address else address
    return f"http://{shown}:{int(variables.get('image_store_port') or PORT)}/{algorithm}/{digest}"


def push(request: Request, keeper: str, record: Record, path: str) -> bool:
    """Have the content of a file in the store; whether it had to be copied there.

    :param record: the image, with ``checksum`` and ``size``.
    :raises CloudError: the host was not reached, or what arrived is not what was sent.
    """
    about = {key: record[key] for key in ("id", "generation", "checksum", "size")}
    offered = request.rpc.call(Call(keeper, BACKEND, [{"op": "offer", **about}]))[0]
    if offered.get("present") is True:
        return False
    request.progress(f"{record['name']}: copying {_shown(record['size'])} to {keeper}")
    lies = request.rpc.put(keeper, path, f"{INCOMING}/{record['id']}.{uuid.uuid4()}")
    stored = request.rpc.call(Call(keeper, BACKEND, [{"op": "store", **about, "path": lies}]))[0]
    if stored.get("checksum") != record["checksum"]:
        raise BackendFailed(f"{keeper} does not confirm the checksum of image {record['name']!r}.", host=keeper)
    return True


def remove(request: Request, keeper: str, record: Record) -> None:
    """Have a content gone from the store; one that is not there is no error."""
    about = {key: record[key] for key in ("id", "generation", "checksum")}
    request.rpc.call(Call(keeper, BACKEND, [{"op": "remove", **about}]))


def _address(name: str, variables: Mapping[str, Any]) -> str:
    given = next((str(variables[key]) for key in _ADDRESSES if variables.get(key)), None)
    if given is not None:
        return given
    facts = variables.get("ansible_facts") or {}
    found = (facts.get("default_ipv4") or {}).get("address") if isinstance(facts, Mapping) else None
    return str(found) if found and variables.get("ansible_connection") == _LOCAL else name


def _shown(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
