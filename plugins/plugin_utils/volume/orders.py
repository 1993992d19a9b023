# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What storage hosts are told: operations, gathered into one call for each host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply, CloudError, HostMismatch, Timeout
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, failure

Record = dict[str, Any]
Operation = Mapping[str, Any]

BACKEND = "volume_backend"


@dataclass(frozen=True)
class Order:
    """One operation for one storage host.

    :param owner: the id of the volume or snapshot that fails when it fails.
    """

    owner: str
    host: str
    operation: Operation


@dataclass
class Answers:
    """What came back, by owner.

    :param refused: hosts that said no: nothing was done there, or what was done is known.
    :param unknown: no answer came, so it may have been done. Only running again can tell.
    """

    results: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, CloudError] = field(default_factory=dict)
    unknown: dict[str, CloudError] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, CloudError]:
        """Everything that did not come to a good end."""
        return {**self.refused, **self.unknown}


@dataclass(frozen=True)
class Loaded:
    """A volume with what its orders need.

    :param backend: where it lives; None while it has no place.
    """

    record: Record
    backend: Record | None
    attachments: Sequence[Record] = ()

    @property
    def id(self) -> str:
        """The volume's UUID."""
        return str(self.record["id"])

    @property
    def spec(self) -> Record:
        """Work that has begun."""
        return self.record["spec"] or {}

    @property
    def login(self) -> dict[str, Any]:
        """The CHAP user and secret that its targets ask for.

        The user is not the bare UUID: the kernel's target (seen with Linux 6.1) takes what begins with ``0b`` for
        base64 (``extract_param`` in iscsi_target_nego.c), and one in 256 volumes would refuse everybody.
        """
        return {"user": f"volume-{self.id}", "secret": self.record["secret"]}

    def order(self, op: str, *, backend: Record | None = None, **more: Any) -> Order:
        """An operation on this volume, on its backend or on another.

        :raises BadReply: it has no place, which no record in such a state lacks.
        """
        where = backend or self.backend
        if where is None:
            raise BadReply(f"Volume {self.record['name']!r} has no backend on record.")
        return Order(self.id, where["host"], operation(op, self.record, where, **more))


def operation(op: str, record: Mapping[str, Any], backend: Mapping[str, Any], **more: Any) -> Operation:
    """One entry of a call's list."""
    return {"op": op, "id": record["id"], "generation": record["generation"], "backend": backend["name"], **more}


def load(conn: sa.Connection, ids: Iterable[str]) -> list[Loaded]:
    """Volumes as they are now, in three queries; those that are gone are left out."""
    found = records.listing(conn, tables.volumes, id=sorted(set(ids)))
    backends = by_id(conn, [row["backend_id"] for row in found])
    held: dict[str, list[Record]] = defaultdict(list)
    for row in records.listing(conn, tables.volume_attachments, volume_id=[row["id"] for row in found]):
        held[row["volume_id"]].append(row)
    return [Loaded(row, backends.get(row["backend_id"]), held[row["id"]]) for row in found]


def by_id(conn: sa.Connection, ids: Iterable[str | None]) -> dict[str, Record]:
    """Backends by id."""
    wanted = sorted({each for each in ids if each})
    return {row["id"]: row for row in records.listing(conn, tables.volume_backends, id=wanted)} if wanted else {}


def carry(request: Request, orders: Sequence[Order], *, timeout: int) -> Answers:
    """Give every host its list in one call, all hosts at once. One that fails never stops the others.

    An owner whose operations are on a list in order has them carried out in that order.
    """
    by_host: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        by_host[order.host].append(order)
    calls = [
        Call(host, BACKEND, [order.operation for order in there], timeout=timeout)
        for host, there in sorted(by_host.items())
    ]
    answers = Answers()
    for reply in request.rpc.map(calls) if calls else []:
        there = by_host[reply.host]
        if reply.error is not None:
            # Only another machine under that name has certainly done nothing.
            kept = answers.refused if isinstance(reply.error, HostMismatch) else answers.unknown
            kept.update({order.owner: reply.error for order in there})
            continue
        for order, result in zip(there, reply.results, strict=True):
            answers.results[order.owner].append(result)
            if not result["ok"]:
                error = failure(reply.host, result)
                kept = answers.unknown if isinstance(error, Timeout) else answers.refused
                kept.setdefault(order.owner, error)
    return answers
