# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keypairs: public keys that guests are given at their first boot."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import engine, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.engine import Field, Kind, Record

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_SHOWN = ("id", "name", "project_id", "public_key", "fingerprint", "type", "created_at", "updated_at")


def apply(request: Request) -> Outcome:
    """Have the keypair as the task says."""
    return engine.apply(KIND, request)


def info(request: Request) -> Outcome:
    """The keypairs of the project."""
    return engine.info(KIND, request)


def public_key(option: str, value: Any) -> str:
    """One line as OpenSSH writes it into a ``.pub`` file: type, key, and perhaps a comment.

    :raises BadInput: it is too long, more than one line, or not a key of the type it names.
    """
    text = str(value).strip()
    limits.check("public_key", option, text)
    parts = text.split(" ", 2)
    if len(text.splitlines()) != 1 or values.line(option, text) != text or len(parts) < 2:
        raise BadInput(f"{option} is not one line of the form 'type key comment', as in a .pub file.")
    if "PRIVATE KEY" in text or parts[0] not in TYPES:
        raise BadInput(f"{option} does not begin with a type of public key: {', '.join(TYPES)}.")
    blob = _blob(parts[1])
    if blob is None or _first(blob) != parts[0].encode():
        raise BadInput(f"{option} is damaged: what follows {parts[0]!r} is not the Base64 text of such a key.")
    return text


def fingerprint(key: str) -> str:
    """The fingerprint that ``ssh-keygen -l`` prints."""
    digest = hashlib.sha256(_blob(key.split(" ", 2)[1]) or b"").digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _blob(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _first(blob: bytes) -> bytes | None:
    """The first string in a key's wire form, which repeats its type; None where nothing follows it."""
    if len(blob) < 4:
        return None
    (length,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + length] if len(blob) > 4 + length else None


def _derived(row: Mapping[str, Any]) -> Record:
    return {"fingerprint": fingerprint(row["public_key"]), "type": "ssh"} if row.get("public_key") else {}


def _shown(conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
    return [{key: row[key] for key in _SHOWN} for row in rows]


KIND = Kind(
    name="keypair",
    table=cloud.keypairs,
    fields=(Field("public_key", public_key, required=True),),
    shown=_shown,
    counted="keypairs",
    derived=_derived,
)
