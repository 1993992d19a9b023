# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is let in to a volume: the host of the instance that has it, by name and secret, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import initiators
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import guests, orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.attachments import Attachment, Source
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders as storage
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import sources

Failures = dict[str, CloudError]  # by instance id
Sources = dict[str, Source]  # by attachment id
Held = tuple[orders.Guest, Attachment]


def offer(request: Request, held: Sequence[Held], timeout: int) -> tuple[Sources, Failures]:
    """Have storage hosts let in the hosts of these guests, and nobody else; one call to each.

    Returns what the volumes are reached by, and what failed.
    """
    names, unnamed = initiators.names(request, [guests.host_of(guest)["name"] for guest, _each in held])
    listed: list[storage.Order] = []
    owners, failed = {}, Failures()
    for guest, each in held:
        host = guests.host_of(guest)["name"]
        if host in unnamed:
            failed[guest.id] = unnamed[host]
            continue
        owners[each.id] = guest.id
        about: dict[str, Any] = {**each.volume.login}
        if each.volume.record["multiattach"]:
            about["shared"] = True
        listed.append(replace(each.volume.order("export", initiator=names[host], **about), owner=each.id))
    answers = storage.carry(request, listed, timeout=timeout)
    failed |= {owners[key]: error for key, error in answers.failed.items()}
    backends = {each.id: each.volume.backend for _guest, each in held}
    found = Sources()
    for order in listed:
        backend = backends[order.owner]
        if order.owner in answers.failed or backend is None:
            continue
        answer = answers.results[order.owner][0]
        try:
            found[order.owner] = sources.confirmed(request, order.host, backend, order.operation, answer)
        except CloudError as exc:
            failed.setdefault(owners[order.owner], exc)
    return found, failed


def evict(request: Request, crowd: Sequence[orders.Guest], unclear: Mapping[str, Sequence[str]]) -> Failures:
    """Shut the volumes of instances whose host failed, before another host is let in.

    :param unclear: hosts that may still run the guest, by instance id; their storage host alone can keep them out.
    Returns, by instance id, why another host must not have them.
    """
    failed = close(request, [(guest, each) for guest in crowd for each in guest.volumes], 60)
    for guest in crowd:
        loose = [each.name for each in guest.volumes if not each.fenced]
        if loose and guest.id in unclear:
            failed[guest.id] = BackendFailed(
                f"{', '.join(unclear[guest.id])} may still run the guest, and nothing keeps it off volume {loose[0]!r}."
            )
    return failed


def close(request: Request, held: Sequence[Held], timeout: int) -> Failures:
    """Have storage hosts shut out whom they let in for these; returns what could not be confirmed."""
    listed, owners, failed = [], {}, Failures()
    for guest, each in held:
        owners[each.id] = guest.id
        if not each.others:  # nobody at all is let in any more
            listed.append(replace(each.volume.order("unexport"), owner=each.id))
        elif all(row["host"] != each.record["host"] for row in each.others):
            names, unnamed = initiators.names(request, [each.record["host"]])
            if unnamed:
                failed[guest.id] = unnamed[each.record["host"]]
            else:
                order = each.volume.order("unexport", initiator=names[each.record["host"]])
                listed.append(replace(order, owner=each.id))
    answers = storage.carry(request, listed, timeout=timeout)
    return failed | {owners[key]: error for key, error in answers.failed.items()}
