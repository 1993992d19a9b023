# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people read at the end: each stage beside its budget, the slowest tests, the skips, and the closing line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agentless_runner.budget import KINDS, Stage
from agentless_runner.results import Case, Result

SLOWEST = 20


def lines(found: Sequence[Result], left_out: Sequence[Stage], *, seconds: float, factor: float) -> Iterator[str]:
    """Yield the summary; its last line is the one that counts."""
    yield from table(found)
    told = [(case, name, value) for result in found for case in result.cases for name, value in case.told]
    if told:
        yield "\nTold by tests:"
        yield from (f"  {case.test}: {name} = {value}" for case, name, value in told)
    slow = sorted((case for result in found for case in result.cases), key=lambda case: -case.seconds)[:SLOWEST]
    if slow:
        yield f"\nThe slowest {len(slow)} tests, in seconds with what was set up for each:"
        yield from (f"  {case.seconds:7.1f}  {case.test}" for case in slow)
    skipped = [case for result in found for case in result.cases if case.state == "skipped"]
    if skipped:
        yield f"\n{len(skipped)} skipped, each on the list of those allowed unless it is named above:"
        yield from _skips(skipped)
    # Whoever reads only the end of a long output shall see what became of a stage that was stopped.
    for result in found:
        if result.end:
            yield f"\nThe last lines of {result.stage.name}, {result.verdict()}:"
            yield from (f"  {line}" for line in result.end)
    if left_out:
        yield f"\nleft out for time: {', '.join(stage.name for stage in left_out)}"
    yield f"\nAll stages took {seconds:.0f} s; this machine was {factor:.2f} times as slow as that of the budget."
    total = {state: sum(result.number(state) for result in found) for state in ("passed", "failed", "skipped")}
    yield f"{total['passed']} passed, {total['failed']} failed" + (
        f", {total['skipped']} skipped" if total["skipped"] else ""
    )


def table(found: Sequence[Result]) -> Iterator[str]:
    """Yield one line a stage: seconds and CPU beside the budget, and what was counted beside the ceilings."""
    yield f"\n{'stage':<22} {'seconds':>13} {'CPU s':>13}  counted (of at most)"
    for result in found:
        stage = result.stage
        ceilings = stage.counts or {}
        counts = ", ".join(
            f"{kind} {result.counts[kind]} ({ceilings.get(kind, 0)})"
            for kind in KINDS
            if result.counts[kind] or ceilings.get(kind)
        )
        took = f"{result.seconds:.0f} / {stage.seconds:.0f}"
        used = f"{result.cpu:.0f} / {stage.cpu:.0f}"
        yield f"{stage.name:<22} {took:>13} {used:>13}  {counts}".rstrip()
        yield from (
            f"{'':<22} red: {reason}" for reason in ([] if result.good() else result.wrong or [result.verdict()])
        )


def figures(found: Sequence[Result]) -> str:
    """Return what was seen in the form of ``tests/budget.yml``, for whoever writes it anew."""
    text = ""
    for result in found:
        counts = ", ".join(f"{kind}: {result.counts[kind]}" for kind in KINDS if result.counts[kind])
        text += f"{result.stage.name}:\n    seconds: {result.seconds:.0f}\n    cpu: {result.cpu:.0f}\n"
        text += f"    counts: {{{counts}}}\n" if counts else ""
    return text


def _skips(skipped: Sequence[Case]) -> Iterator[str]:
    reasons = Counter((case.test.partition("[")[0], case.reason) for case in skipped)
    for (test, reason), number in sorted(reasons.items()):
        yield f"  {test}{f' ({number} times)' if number > 1 else ''}: {reason}"
