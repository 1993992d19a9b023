# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow of an audit: records, hosts, records again. It writes nothing, neither here nor there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import compute, ledger, replies, storage
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.book import Book, read
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.findings import UNKNOWN, Finding, lasting
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import clock
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc

TIMEOUT = 300  # seconds that a host gets to look through what it has
SURVEY = {"op": "survey"}


@dataclass
class Seen:
    """What the hosts said, and those that said nothing."""

    compute: dict[str, replies.Compute] = field(default_factory=dict)
    storage: dict[str, replies.Storage] = field(default_factory=dict)
    silent: list[Finding] = field(default_factory=list)


def apply(request: Request) -> Outcome:
    """Compare, and return what differs."""
    before = _read(request)
    wanted = request.args["hosts"]
    known = {*before.compute_hosts, *before.storage_hosts}
    strange = sorted(set(wanted or ()) - known)
    if strange:
        raise BadInput(
            f"hosts: {', '.join(strange)} is on record neither as a compute host nor with a backend; known are "
            f"{', '.join(sorted(known)) or 'none'}."
        )
    seen = _ask(request, before, known if wanted is None else set(wanted))
    after = _read(request)
    since = _moment(int(request.args["unfinished_after"]))
    found = sorted({*lasting(_all(before, seen, since), _all(after, seen, since)), *seen.silent})
    values = {"findings": [each.shown() for each in found], "seen": _counted(after, seen)}
    return Outcome(changed=False, values=values)


def _read(request: Request) -> Book:
    with request.conductor.read() as conn:
        return read(conn)


def _ask(request: Request, book: Book, hosts: set[str]) -> Seen:
    """Every host once for each of its parts, all at the same time."""
    asked = [Call(host, "compute_backend", [SURVEY], timeout=TIMEOUT) for host in book.compute_hosts if host in hosts]
    asked += [Call(host, "volume_backend", [SURVEY], timeout=TIMEOUT) for host in book.storage_hosts if host in hosts]
    seen = Seen()
    answers: Sequence[Any] = request.rpc.map(asked) if asked else []
    for call, reply in zip(asked, answers, strict=True):
        try:
            said = Rpc.results(reply)[0]
            if call.module == "compute_backend":
                seen.compute[call.host] = replies.compute(call.host, said)
            else:
                seen.storage[call.host] = replies.storage(call.host, said)
        except CloudError as exc:
            part = "compute host" if call.module == "compute_backend" else "storage host"
            seen.silent.append(Finding(UNKNOWN, "host", call.host, call.host, f"not looked at as a {part}: {exc.msg}"))
    return seen


_LEDGER: tuple[Callable[[Book], Iterator[Finding]], ...] = (ledger.claims, ledger.room, ledger.quotas, ledger.owners)


def _all(book: Book, seen: Seen, since: str) -> Iterator[Finding]:
    for check in _LEDGER:
        yield from check(book)
    yield from ledger.unfinished(book, since)
    for host, has in seen.compute.items():
        yield from compute.compare(book, host, has)
    for host, stored in seen.storage.items():
        yield from storage.compare(book, host, stored)


def _moment(seconds: int) -> str:
    if seconds < 0:
        raise BadInput("unfinished_after is a number of seconds from 0.")
    moment = datetime.now(timezone.utc) - timedelta(seconds=seconds)
    return moment.strftime(clock.FORM)


def _counted(book: Book, seen: Seen) -> Mapping[str, int]:
    """How much was compared, so that no finding says something."""
    counts: Counter[str] = Counter(
        compute_hosts=len(seen.compute), storage_hosts=len(seen.storage), instances=len(book.instances)
    )
    counts["volumes"] = len(book.volumes)
    counts["domains"] = sum(len(has.guests) for has in seen.compute.values())
    counts["secrets"] = sum(len(has.secrets) for has in seen.compute.values())
    counts["stored"] = sum(len(things) for has in seen.storage.values() for things in has.backends.values())
    counts["targets"] = sum(len(has.targets) for has in seen.storage.values())
    return dict(counts)
