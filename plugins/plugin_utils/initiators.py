# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By which names hosts log in to targets: as recorded, and only where nothing is recorded as they say.

A storage host lets in, and shuts out, whoever has the name that it is told. So no host comes by the name of another
one, and none changes its own while a volume is open to it: the old name would stay open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ansible_collections.agentless.cloud.plugins.module_utils.initiator import INITIATOR_PREFIX
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    BackendFailed,
    CloudError,
    HostMismatch,
    InUse,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc

_FILE = "/etc/iscsi/initiatorname.iscsi"


def names(
    request: Request, hosts: Sequence[str], module: str = "compute_backend"
) -> tuple[dict[str, str], dict[str, CloudError]]:
    """The names by host, and why those of others are not known.

    :param module: the backend module that a host without a record is asked by.
    """
    if not hosts:
        return {}, {}
    with request.conductor.read() as conn:
        rows = records.listing(conn, cell.hosts, name=sorted(set(hosts)))
    found = {row["name"]: (row["facts"] or {}).get("initiator") for row in rows}
    unknown = sorted({host for host in hosts if not found.get(host)})
    calls = [Call(host, module, [{"op": "discover"}], timeout=120) for host in unknown]
    said: dict[str, str | None] = {}
    failed: dict[str, CloudError] = {}
    for reply in request.rpc.map(calls) if calls else []:
        try:
            said[reply.host] = facts.initiator(Rpc.results(reply)[0])
        except CloudError as exc:
            failed[reply.host] = exc
    failed |= _refused(request, said)
    found |= {host: name for host, name in said.items() if host not in failed}
    for host in {*hosts} - {*failed}:
        if not found.get(host):
            failed[host] = BackendFailed(f"{host} does not say by which initiator name it logs in.", host=host)
    return {host: str(name) for host, name in found.items() if name}, failed


def name(request: Request, host: str, module: str = "compute_backend") -> str:
    """The name of one host.

    :raises CloudError: it is not known.
    """
    found, failed = names(request, [host], module)
    if host in failed:
        raise failed[host]
    return found[host]


def refuse_anothers(conn: sa.Connection, host: str, initiator: str) -> None:
    """Refuse a host that logs in by the name of another one: whoever shuts out the one would let in both.

    :raises HostMismatch: it does.
    """
    # The database looks for the text, so that it hands over the facts of no other host.
    holds = sa.cast(cell.hosts.c.facts, sa.Text).contains(initiator, autoescape=True)
    query = sa.select(cell.hosts.c.name, cell.hosts.c.facts).where(cell.hosts.c.name != host, holds)
    for other, about in conn.execute(query):
        if (about or {}).get("initiator") == initiator:
            raise _same(host, initiator, other)
    machines = cloud.host_mappings.c
    theirs = machines.identity == initiator.removeprefix(INITIATOR_PREFIX).lower()
    other = conn.execute(sa.select(machines.name).where(theirs, machines.name != host)).scalar()
    if initiator.startswith(INITIATOR_PREFIX) and other is not None:
        raise _same(host, initiator, other)


def refuse_change(conn: sa.Connection, host: str, before: str, after: str) -> None:
    """Refuse a new name of a host that has volumes.

    :raises InUse: it has.
    """
    held = records.listing(conn, tables.volume_attachments, host=host)
    if held:
        raise InUse(
            f"{host} has {len(held)} volumes, which are open to the initiator name {before}, and says now that it logs "
            f"in as {after}: it would keep what is shut to the new name. Write the old one into {_FILE} there, or "
            "detach the volumes first, and run again.",
            host=host,
        )


def _refused(request: Request, said: Mapping[str, str | None]) -> dict[str, CloudError]:
    """Why names that hosts have just said do not count. Those that do are kept for compute hosts on record."""
    asked = {host: name for host, name in said.items() if name}
    if not asked:
        return {}
    times = Counter(asked.values())
    failed: dict[str, CloudError] = {}
    with request.conductor.read() as conn:
        for host, name in asked.items():
            try:
                refuse_anothers(conn, host, name)
            except HostMismatch as exc:
                failed[host] = exc
            if times[name] > 1:
                failed[host] = _same(host, name, next(each for each in asked if each != host and asked[each] == name))
        rows = records.listing(conn, cell.hosts, name=[host for host in asked if host not in failed])
    if rows:
        with request.conductor.transaction(label="initiator names") as conn:
            for row in rows:
                _keep(conn, row["id"], asked[row["name"]])
    return failed


def _keep(conn: sa.Connection, host_id: str, initiator: str) -> None:
    now = records.find(conn, cell.hosts, host_id)
    if now is not None and not (now["facts"] or {}).get("initiator"):
        records.update(conn, cell.hosts, host_id, facts={**(now["facts"] or {}), "initiator": initiator})


def _same(host: str, initiator: str, other: str) -> HostMismatch:
    return HostMismatch(
        f"{host} logs in to volumes as {initiator}, and so does {other}: a storage host could not tell them apart. "
        f"Give {host} a name of its own in {_FILE} and run again.",
        host=host,
    )
