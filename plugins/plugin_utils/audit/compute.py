# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute hosts against the records: domains, their files, their volumes, and the secrets of volumes."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.book import Book, Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.findings import (
    DIFFERENT,
    MISSING,
    ORPHAN,
    Finding,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.replies import Compute, Guest

_POWER = {"ACTIVE": "running", "SHUTOFF": "shutdown"}
_NOWHERE = ("absent", "foreign")


def compare(book: Book, host: str, has: Compute) -> Iterator[Finding]:
    """Everything that differs on one compute host."""
    mine = {row["id"]: row for row in book.placed.get((book.named.get(host) or {}).get("id"), ())}
    for key, guest in sorted(has.guests.items()):
        if key not in mine and key not in book.building:
            yield from _stray(key, guest, host)
    for key, row in sorted(mine.items()):
        if row["status"] in _POWER:
            yield from _guest(book, row, host, has.guests.get(key))
    yield from _secrets(book, host, has)


def _stray(key: str, guest: Guest, host: str) -> Iterator[Finding]:
    if guest.state not in _NOWHERE:
        yield Finding(ORPHAN, "domain", key, host, f"the domain of instance {key} is {guest.state}, not on record here")
    elif guest.files:
        yield Finding(ORPHAN, "files", key, host, f"instance {key} has files, and is not on record here")


def _guest(book: Book, row: Record, host: str, guest: Guest | None) -> Iterator[Finding]:
    if guest is None or guest.state in _NOWHERE:
        yield Finding(MISSING, "domain", row["id"], host, f"instance {row['name']!r} is {row['status']}, and not there")
        return
    if guest.state != _POWER[row["status"]]:
        said = f"instance {row['name']!r} is {row['status']} on record, and its domain is {guest.state}"
        yield Finding(DIFFERENT, "domain", row["id"], host, said)
    if guest.shown and guest.state != "shutdown":
        said = f"instance {row['name']!r} shows its screen to the network without a password: restart it"
        yield Finding(DIFFERENT, "screen", row["id"], host, said)
    held = {each["volume_id"]: each["status"] for each in book.owned.get(row["id"], ())}
    for key in sorted((guest.serials & book.volume.keys()) - held.keys()):
        said = f"instance {row['name']!r} has volume {key}, which is not on record as its"
        yield Finding(ORPHAN, "attachment", key, host, said)
    for key in sorted({key for key, status in held.items() if status == "attached"} - guest.serials):
        said = f"instance {row['name']!r} is to have volume {key}, and has it not"
        yield Finding(MISSING, "attachment", key, host, said)


def _secrets(book: Book, host: str, has: Compute) -> Iterator[Finding]:
    needed = {key for row in book.reached.get(host, ()) for key in volume_xml.secret_ids(row["volume_id"])}
    for secret in sorted(has.secrets - needed):
        yield Finding(ORPHAN, "secret", secret, host, "libvirt keeps the secret of a volume that nobody here has")
