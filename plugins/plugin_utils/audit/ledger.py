# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records against themselves: what is counted against what there is, and work that nobody finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.book import RESTING, Book, Record
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.findings import (
    DIFFERENT,
    ORPHAN,
    UNFINISHED,
    Finding,
)


def claims(book: Book) -> Iterator[Finding]:
    """Room on compute hosts: the sums, and claims of nobody."""
    names = {row["id"]: str(row["name"]) for row in book.hosts}
    there = {row["id"] for row in book.instances}
    sums: Counter[tuple[str, str]] = Counter()
    for row in book.allocations:
        sums[row["host_id"], row["resource_class"]] += int(row["amount"])
        if row["consumer_id"] not in there:
            said = f"{row['amount']} {row['resource_class']} are claimed for an instance that is not on record"
            yield Finding(ORPHAN, "claim", row["consumer_id"], names.get(row["host_id"], ""), said)
    for row in book.inventories:
        found = sums[row["host_id"], row["resource_class"]]
        if int(row["used"]) != found:
            said = f"{row['used']} {row['resource_class']} are counted as used, and {found} are claimed"
            yield Finding(DIFFERENT, "claim", row["host_id"], names.get(row["host_id"], ""), said)


def room(book: Book) -> Iterator[Finding]:
    """Room on backends: what volumes have, and both places of one that moves."""
    sums: Counter[str] = Counter()
    for row in book.volumes:
        spec = row["spec"] or {}
        for key in (spec.get("retype") or {}).get("backends") or [row["backend_id"]]:
            sums[key] += _size(row)
    for row in book.backends:
        if int(row["used"]) != sums[row["id"]]:
            said = f"{row['used']} GiB of {row['name']} are counted as used, and volumes have {sums[row['id']]} GiB"
            yield Finding(DIFFERENT, "claim", row["id"], row["host"], said)


def quotas(book: Book) -> Iterator[Finding]:
    """What projects are counted to use."""
    found: Counter[tuple[str, str]] = Counter()
    for row in book.instances:
        found[row["project_id"], "instances"] += 1
        for resource in ("vcpus", "ram"):
            found[row["project_id"], resource] += int((row["flavor"] or {}).get(resource) or 0)
    for name, rows in (
        ("volumes", book.volumes),
        ("volume_snapshots", book.snapshots),
        ("volume_backups", book.backups),
    ):
        for row in rows:
            found[row["project_id"], name] += 1
            found[row["project_id"], "gigabytes"] += _size(row) if name != "volume_backups" else 0
    counted = ("instances", "vcpus", "ram", "volumes", "volume_snapshots", "volume_backups", "gigabytes")
    for row in book.quotas:
        real = found[row["project_id"], row["resource"]]
        if row["resource"] in counted and int(row["used"]) != real:
            said = f"{row['used']} {row['resource']} are counted against the project's quota, and it has {real}"
            yield Finding(DIFFERENT, "quota", row["project_id"], "", said)


def owners(book: Book) -> Iterator[Finding]:
    """Attachments of instances that are gone."""
    there = {row["id"] for row in book.instances}
    for row in book.attachments:
        if row["instance_id"] not in there:
            said = f"volume {row['volume_id']} is on record as attached to an instance that is not"
            yield Finding(ORPHAN, "attachment", row["id"], row["host"], said)


def unfinished(book: Book, since: str) -> Iterator[Finding]:
    """Work that began before that moment (ISO 8601, UTC) and has not ended; running its task again finishes it."""
    sorts: dict[str, Iterable[Record]] = {
        "instance": book.instances,
        "volume": book.volumes,
        "attachment": book.attachments,
        "snapshot": book.snapshots,
        "backup": book.backups,
    }
    for what, rows in sorts.items():
        for row in rows:
            if row["status"] not in RESTING[what] and str(row["updated_at"]) <= since:
                named = repr(row["name"]) if "name" in row else f"of volume {row['volume_id']}"
                said = f"{what} {named} is {row['status']} since {row['updated_at']}"
                yield Finding(UNFINISHED, what, row["id"], row.get("host") or "", said)


def _size(row: Record) -> int:
    """GiB that are claimed for a volume, snapshot or backup: while one grows, what it grows to."""
    return int(((row.get("spec") or {}).get("extend") or {}).get("size") or row["size"])
