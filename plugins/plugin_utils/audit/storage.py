# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage hosts against the records: volumes, snapshots, backups, and who is let in.

What is in the middle of something is left alone here; the ledger names it when it has stood too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.book import Book, Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.findings import (
    DIFFERENT,
    MISSING,
    ORPHAN,
    UNKNOWN,
    Finding,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.replies import Storage
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import PROTOCOLS

GIB = 1 << 30
_WHOLE = ("available", "in-use", "reading")  # what it holds is there, at its size
_WORDS = {"volume": "volume", "snap": "snapshot", "backup": "backup", "kept": "backup", "making": "draft"}


def compare(book: Book, host: str, has: Storage) -> Iterator[Finding]:
    """Everything that differs on one storage host."""
    for backend in book.backends:
        if backend["host"] != host:
            continue
        name = str(backend["name"])
        if name in has.backends:
            yield from _stored(book, backend, has.backends[name])
            yield from _exported(book, backend, has)
        else:
            why = has.broken.get(name, "the host does not have it any more")
            yield Finding(UNKNOWN, "backend", name, host, f"backend {name} cannot be looked at: {why}")
    yield from _strays(book, host, has)


def _stored(book: Book, backend: Record, sizes: Mapping[str, int]) -> Iterator[Finding]:
    host = str(backend["host"])
    known = _known(book, backend)
    for name in sorted(sizes.keys() - known.keys()):
        sort, _dash, key = name.partition("-")
        said = f"{backend['name']} holds {name}, which is not on record"
        yield Finding(ORPHAN, _WORDS.get(sort, sort), key, host, said)
    for name, least in sorted(known.items()):
        sort, _dash, key = name.partition("-")
        if least is not None and name not in sizes:
            said = f"{name} is on record in {backend['name']}, and is not there"
            yield Finding(MISSING, _WORDS[sort], key, host, said)
        elif least and sizes[name] != least:
            said = f"{name} has {sizes[name]} bytes, and {least} on record"
            yield Finding(DIFFERENT, _WORDS[sort], key, host, said)


def _known(book: Book, backend: Record) -> dict[str, int | None]:
    """What may be there: its bytes, 0 where any size is right, None where it need not be there."""
    known: dict[str, int | None] = {}
    for row in book.stored.get(backend["id"], ()):
        resting = row["status"] in _WHOLE
        known[f"volume-{row['id']}"] = int(row["size"]) * GIB if resting else None
        if not resting:
            known[f"making-volume-{row['id']}"] = None
        if row["backend_id"] == backend["id"]:
            snapshots = book.snapped.get(row["id"], ())
            known.update({f"snap-{one['id']}": 0 if one["status"] == "available" else None for one in snapshots})
    for row in book.backed.get(backend["host"], ()):
        where = row["location"] or {}
        resting = row["status"] == "available"
        if where.get("backend") == backend["name"]:
            known[f"backup-{row['id']}"] = 0 if resting else None
        if where.get("backend_id") == backend["id"]:
            # What the next increment begins from, and what a copy that is under way reads.
            known.update(dict.fromkeys([f"kept-{row['id']}", *([] if resting else [f"snap-{row['id']}"])]))
        if not resting:
            known.setdefault(f"making-backup-{row['id']}", None)
    return known


def _exported(book: Book, backend: Record, has: Storage) -> Iterator[Finding]:
    """Targets of one backend: open for those that have the volume, for nobody else."""
    host, name = str(backend["host"]), str(backend["name"])
    mine = {row["id"] for row in book.stored.get(backend["id"], ()) if row["backend_id"] == backend["id"]}
    iscsi = PROTOCOLS.get(str(backend["driver"])) == "iscsi"
    targets = {volume[len("volume-") :]: who for (where, volume), who in has.targets.items() if where == name}
    for key, initiators in sorted(targets.items()):
        held = book.held.get(key, ())
        if key in book.moving or any(row["status"] != "attached" for row in held):
            continue
        if key not in mine or not held:
            yield Finding(ORPHAN, "target", key, host, f"{name} exports volume {key}, which nobody has")
            continue
        allowed = {book.initiator(row["host"]) for row in held}
        for one in sorted(initiators - allowed):
            yield Finding(ORPHAN, "acl", key, host, f"volume {key} is open to {one}, which has it not")
    for key in sorted(mine - targets.keys() - book.moving) if iscsi else ():
        held = [row["host"] for row in book.held.get(key, ()) if row["status"] == "attached"]
        if held:
            yield Finding(MISSING, "target", key, host, f"volume {key} is attached on {held[0]}, and is not exported")


def _strays(book: Book, host: str, has: Storage) -> Iterator[Finding]:
    """What belongs to no backend on record."""
    named = {str(row["name"]) for row in book.backends if row["host"] == host}
    for backend, volume in sorted(has.targets):
        if backend not in named:
            said = f"{volume} is exported by {backend}, which is not on record"
            yield Finding(ORPHAN, "target", volume.partition("-")[2], host, said)
    for label in sorted(has.backstores):
        key = label.rpartition(".volume-")[2]
        if key not in book.moving:
            yield Finding(ORPHAN, "lun", key, host, f"the backstore {label} has no target")
    kept = {
        f"backup-{row['id']}": row["status"] == "available"
        for row in book.backed.get(host, ())
        if row["kind"] == "file"
    }
    for name in sorted(has.backups - kept.keys() - {f"making-{each}" for each in kept}):
        yield Finding(ORPHAN, "backup", name.partition("-")[2], host, f"{name} is kept in files, and is not on record")
    for name in sorted(key for key, resting in kept.items() if resting and key not in has.backups):
        yield Finding(
            MISSING, "backup", name.partition("-")[2], host, f"{name} is on record, and its file is not there"
        )
