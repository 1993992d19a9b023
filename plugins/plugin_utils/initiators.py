# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""By which names hosts log in to targets: as recorded, and only where nothing is recorded as they say."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import facts
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc


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
    failed: dict[str, CloudError] = {}
    for reply in request.rpc.map(calls) if calls else []:
        try:
            found[reply.host] = facts.initiator(Rpc.results(reply)[0])
        except CloudError as exc:
            failed[reply.host] = exc
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
