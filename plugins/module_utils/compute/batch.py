# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many operations of one call at the same time: those of one instance in order, those of different ones in parallel."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Callable

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context, Operation

MOST_WORKERS = 8

Result = dict[str, Any]


def workers(tasks: int) -> int:
    """How many threads: the work is qemu's and libvirt's, two for each processor keep them busy."""
    return max(1, min(tasks, MOST_WORKERS, 2 * (os.cpu_count() or 1)))


def together(ctx: Context, operations: list[Operation], one: Callable[[Context, Operation], Result]) -> list[Result]:
    """The results in the order of the operations; ``one`` does a single operation and never raises."""
    lines: dict[str, list[int]] = {}
    for place, operation in enumerate(operations):
        lines.setdefault(str(operation.get("id") or f"#{place}"), []).append(place)
    results: dict[int, Result] = {}

    def line(places: list[int]) -> None:
        for place in places:
            results[place] = one(ctx, operations[place])

    with ThreadPoolExecutor(workers(len(lines))) as pool:
        for done in [pool.submit(line, places) for places in lines.values()]:
            done.result()
    return [results[place] for place in range(len(operations))]
