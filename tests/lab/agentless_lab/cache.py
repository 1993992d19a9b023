# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache forgets: versions that nobody has used for a while, once newer ones are there.

Whoever makes a new version prunes, under the lock that he holds for making it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from agentless_lab.system import cache_root, state_root

KEPT = 2  # versions of a kind that stay in any case: this checkout's and another's
PROC = Path("/proc")
RESTING = 3 * 3600  # seconds without use after which others go; longer than a run of all tests

_VERSION = r"(?:root-[a-z]+|pool|machine|guest-[a-z]+)-[0-9a-f]{16}"
_ENTRY = re.compile(rf"(?P<aside>old-\d+-)?(?P<version>{_VERSION})(?P<form>\.[a-z0-9]+)?")


def use(entry: Path) -> Path:
    """Note that an entry is wanted now; returns it. Trees lie below running hosts, so the note stands beside them."""
    stamp = cache_root() / "used" / entry.name
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    return entry


def in_use() -> set[str]:
    """Names of the entries that running hosts lie on, wherever their labs are kept, or that our labs name.

    Containers have their tree mounted, and machines were given the kernel beside their disk.
    """
    running = (PROC.glob(f"[0-9]*/{file}") for file in ("mountinfo", "cmdline"))
    sources = itertools.chain(*running, state_root().glob("*/lab.json"))
    found: set[str] = set()
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has just ended, or has no mounts any more
            continue
        found.update(match.group() for match in re.finditer(_VERSION, text))
    return found


def prune(kinds: str, present: Iterable[Path], *, kept: int = KEPT, resting: float = RESTING) -> list[Path]:
    """Remove the entries of some kinds that are not needed; return what went.

    What is present, mounted, among the newest of its kind by its last use, or was used lately, stays.

    :param kinds: how the kinds' names begin, a regular expression.
    :param present: what this checkout makes.
    """
    stays = {entry.name for entry in present}
    ranked = sorted(
        (
            (_last_use(entry), entry, match)
            for entry in cache_root().iterdir()
            if (match := _ENTRY.fullmatch(entry.name))
        ),
        key=lambda one: (one[1].name in stays, one[0]),
        reverse=True,
    )
    mounted = in_use()
    seen: dict[str, int] = {}
    gone = []
    for last, entry, match in ranked:
        if not re.match(kinds, match["version"]):
            continue
        kind = match["version"].rpartition("-")[0] + (match["form"] or "")
        seen[kind] = seen.get(kind, 0) + (not match["aside"])
        newest = not match["aside"] and seen[kind] <= kept
        if entry.name in stays or newest or match["version"] in mounted or time.time() - last < resting:
            continue
        _forget(entry, match)
        gone.append(entry)
    return gone


def _last_use(entry: Path) -> float:
    stamp = cache_root() / "used" / entry.name
    return (stamp if stamp.exists() else entry).stat().st_mtime


def _forget(entry: Path, match: re.Match[str]) -> None:
    """Out of its name first: should we be killed, nobody takes what is left for the whole."""
    aside = entry
    if not match["aside"]:
        aside = entry.with_name(f"old-{os.getpid()}-{entry.name}")
        entry.rename(aside)
    (cache_root() / "used" / entry.name).unlink(missing_ok=True)
    if aside.is_dir():
        shutil.rmtree(aside)
    else:
        aside.unlink()
