# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copies of an image: looked for, made from one store to another, removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import ledger, store, stores
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import DEADLINE, Call, Reply

Record = dict[str, Any]

_SLOW = 4 << 20  # bytes in a second that a copy between stores makes at least


def lost(request: Request, record: Record, names: Iterable[str]) -> list[str]:
    """Which of the stores that should have the image's content have not. One that does not answer has lost nothing."""
    asked = [name for name in names if name in stores.holding(record)]
    about = {key: record[key] for key in ("checksum", "size")}
    replies = request.rpc.map([Call(name, store.BACKEND, [{"op": "present", **about}]) for name in asked])
    missing = []
    for name, reply in zip(asked, replies, strict=True):
        if (error := _error(request, reply)) is not None:
            request.progress(f"{record['name']}: {name} cannot be asked whether it has it: {error.msg}")
        elif reply.results[0].get("present") is not True:
            missing.append(name)
    return missing


def settle(
    request: Request, record: Record, wanted: Sequence[str], *, lost: Collection[str] = (), path: str | None = None
) -> Record:
    """Have an active image in the stores wanted, and then in no other.

    :param lost: stores whose content has gone.
    :param path: a file of the controller with the content, for when no store has it any more.
    :raises CloudError: a copy could not be made or removed. What was done is recorded; running again goes on.
    """
    missing = [name for name in wanted if stores.places(record).get(name) != stores.PRESENT or name in lost]
    if missing:
        _distribute(request, record, missing, lost=lost, path=path)
        present = dict.fromkeys(missing, stores.PRESENT)
        record = ledger.place(request, record, present, order=wanted)
    surplus = [name for name in stores.places(record) if name not in wanted]
    if surplus:
        record = ledger.place(request, record, dict.fromkeys(surplus, stores.REMOVING), order=wanted)
        clear(request, record, ledger.unshared(request, record, surplus))
    if surplus or list(stores.places(record)) != list(wanted):
        record = ledger.place(request, record, dict.fromkeys(surplus), order=wanted)
    return record


def clear(request: Request, record: Record, names: Sequence[str]) -> None:
    """Have a content gone from stores; one that is not there is no error.

    :raises CloudError: the first store that failed; the others are rid of it.
    """
    about = {key: record[key] for key in ("id", "generation", "checksum")}
    replies = request.rpc.map([Call(name, store.BACKEND, [{"op": "remove", **about}]) for name in names])
    errors = [error for error in (_error(request, reply) for reply in replies) if error is not None]
    if errors:
        raise errors[0]


def _distribute(
    request: Request, record: Record, missing: Sequence[str], *, lost: Collection[str], path: str | None
) -> None:
    """Bring the content to the stores that miss it.

    :raises CloudError: the first that failed; those that got it are recorded.
    """
    having = [name for name in stores.holding(record) if name not in lost]
    record = ledger.place(request, record, dict.fromkeys(missing, stores.COPYING))
    targets = list(missing)
    if not having:
        if path is None:
            raise BackendFailed(
                f"No store has the content of image {record['name']!r} any more: {', '.join(missing)} lost it. "
                "Give filename with the same content to have it stored again."
            )
        having = [targets.pop(0)]
        store.push(request, having[0], record, path)
    if not targets:
        return
    request.progress(
        f"{record['name']}: copying {store.shown(record['size'])} from {having[0]} to {', '.join(targets)}"
    )
    calls = [_call(request, record, name, having) for name in targets]
    failed = {}
    for name, reply in zip(targets, request.rpc.map(calls), strict=True):
        if (error := _error(request, reply)) is not None:
            failed[name] = error
    if failed:
        arrived = [name for name in missing if name not in failed]
        ledger.place(request, record, dict.fromkeys(arrived, stores.PRESENT))
        name, error = next(iter(failed.items()))
        raise type(error)(
            f"Image {record['name']!r} could not be copied to {', '.join(failed)}: {error.msg} It is in "
            f"{', '.join([*having, *(each for each in arrived if each not in having)])}; run again to go on.",
            **error.details,
        )


def _call(request: Request, record: Record, name: str, having: Sequence[str]) -> Call:
    """The order for one store to fetch the content from another, the nearest first."""
    about = {key: record[key] for key in ("id", "generation", "checksum", "size")}
    known: Mapping[str, Any] = {"stores": dict.fromkeys(having, stores.PRESENT)}
    zone = stores.zone_of(name, request.hostvars)
    order = stores.nearest(known, request.hostvars, {}, host=name, zone=zone)
    url, *mirrors = [store.url_at(each, record, request.hostvars) for each in order]
    operation = {"op": "fetch", **about, "url": url, "mirrors": mirrors}
    return Call(name, store.BACKEND, [operation], timeout=DEADLINE + record["size"] // _SLOW)


def _error(request: Request, reply: Reply) -> CloudError | None:
    try:
        request.rpc.results(reply)
    except CloudError as exc:
        return exc
    return None
