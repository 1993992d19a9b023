# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends: what storage hosts say they offer becomes records that volumes are placed by.

No task has to name them. The first flow that meets a storage host without a record asks it, and all of them are asked
again before a volume is said to have no place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, BadReply, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import clean
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders

Record = dict[str, Any]

GROUP = "cloud_volume"
DRIVERS = frozenset({"lvm", "file", "nfs", "rbd", "gluster"})
RATIO = 1.0  # thin backends hold more than they have only where the operator says so
LARGEST_RATIO = 1000
_SETTINGS = ("zone", "allocation_ratio", "reserved", "total")
_ASKED = 120  # seconds


def ensure(request: Request) -> None:
    """Have at least one record for every storage host of the inventory; asks only those never met.

    :raises BadInput: the inventory has no storage host, and there is no backend on record either.
    :raises CloudError: none could be asked.
    """
    with request.conductor.read() as conn:
        rows = records.listing(conn, tables.volume_backends)
    known = {row["host"] for row in rows}
    members = list(request.groups.get(GROUP) or ())
    if not members and not known:
        raise BadInput(
            f"The inventory has no host in the group {GROUP}, where volumes are kept. "
            "Put one there and run agentless.cloud.site."
        )
    unmet = [host for host in members if host not in known]
    if unmet and not request.check:
        failed = refresh(request, unmet).failed
        if failed and not known and len(failed) == len(unmet):
            raise next(iter(failed.values()))
    _adjust(request, [row for row in rows if row["host"] in members])


def as_said(request: Request, rows: Sequence[Record]) -> list[Record]:
    """Records of backends as the inventory wants them; no host is asked for that."""
    said = []
    for row in rows:
        about = settings(row["name"], request.hostvars.get(row["host"]) or {})
        said.append({**row, **_lawful({"total": row["total"], **about}, row)} if _differs(row, about) else row)
    return said


def _adjust(request: Request, rows: Sequence[Record]) -> None:
    if as_said(request, rows) != rows and not request.check:
        with request.conductor.transaction(lock="placement", label="volume backends") as conn:
            now = records.listing(conn, tables.volume_backends, id=[row["id"] for row in rows])
            for row, said in zip(now, as_said(request, now), strict=True):
                if said is not row:
                    records.update(conn, tables.volume_backends, row["id"], **{key: said[key] for key in _SETTINGS})


def _differs(row: Record, values: Mapping[str, Any]) -> bool:
    return any(row[key] != value for key, value in values.items())


@dataclass(frozen=True)
class Heard:
    """What asking storage hosts brought.

    :param news: whether anything differs from the records, which in check mode stay as they were.
    :param failed: the hosts that could not be asked, with the reason.
    :param backends: all backends as they are recorded, or in check mode as they would be.
    """

    news: bool
    failed: Mapping[str, CloudError]
    backends: Sequence[Record]


def refresh(request: Request, hosts: Sequence[str] | None = None) -> Heard:
    """Ask storage hosts what they offer and, outside check mode, record it."""
    wanted = list(request.groups.get(GROUP) or ()) if hosts is None else list(hosts)
    replies = request.rpc.map([Call(host, orders.BACKEND, [{"op": "discover"}], timeout=_ASKED) for host in wanted])
    said: dict[str, list[Record]] = {}
    failed: dict[str, CloudError] = {}
    for reply in replies:
        try:
            said[reply.host] = read(reply.host, Rpc.results(reply)[0])
        except CloudError as exc:
            failed[reply.host] = exc
    variables = {host: request.hostvars.get(host) or {} for host in said}
    with request.conductor.read() as conn:
        before = records.listing(conn, tables.volume_backends)
        news = [(host, each) for host, found in said.items() for each in _news(conn, host, found, variables[host])]
    if news and not request.check:
        with request.conductor.transaction(lock="placement", label="volume backends") as conn:
            for host, found in said.items():
                _save(conn, host, _news(conn, host, found, variables[host]))
    return Heard(bool(news), failed, _after(before, news))


def _after(before: Sequence[Record], news: Sequence[tuple[str, tuple[Record | None, Record]]]) -> list[Record]:
    changed = {row["id"]: values for _host, (row, values) in news if row is not None}
    new = [
        {**values, "id": f"{host}@{values['name']}", "host": host, "used": 0}
        for host, (row, values) in news
        if row is None
    ]
    return [{**row, **changed.get(row["id"], {})} for row in before] + new


def read(host: str, reply: Mapping[str, Any]) -> list[Record]:
    """The backends of a host's answer, looked at before they are believed.

    :raises BadReply: it is not of the form agreed.
    """
    listed = reply.get("backends")
    if isinstance(listed, Mapping):
        listed = [{"name": name, **each} for name, each in listed.items() if isinstance(each, Mapping)]
    if not isinstance(listed, list):
        raise BadReply(f"{host} did not say which backends it has.", host=host)
    return [_read(host, each) for each in listed]


def _read(host: str, each: Any) -> Record:
    try:
        name, driver, total = names.label("backend", str(each["name"])), str(each["driver"]), int(each["total"])
        can = each.get("capabilities") or {}
    except (TypeError, KeyError, ValueError, AttributeError, BadInput) as exc:
        raise BadReply(
            f"{host} describes a backend in a form that is not agreed: {clean(str(exc), 200)}", host=host
        ) from exc
    plain = isinstance(can, Mapping) and all(isinstance(value, (bool, int, float, str)) for value in can.values())
    if driver not in DRIVERS or total < 0 or not plain:
        raise BadReply(f"{host} describes its backend {name!r} in a form that is not agreed.", host=host)
    return {"name": name, "driver": driver, "total": total, "capabilities": dict(can)}


def _news(
    conn: sa.Connection, host: str, found: Sequence[Record], variables: Mapping[str, Any]
) -> list[tuple[Record | None, Record]]:
    """What is to be written, as record and values. A backend that the host no longer has takes nothing new."""
    known = {row["name"]: row for row in records.listing(conn, tables.volume_backends, host=host)}
    news: list[tuple[Record | None, Record]] = []
    for each in found:
        row = known.pop(each["name"], None)
        values = _lawful({**each, **settings(each["name"], variables), "state": "enabled"}, row)
        if row is None or _differs(row, values):
            news.append((row, values))
    news += [(row, {"state": "disabled"}) for row in known.values() if row["state"] == "enabled"]
    return news


def settings(name: str, variables: Mapping[str, Any]) -> Record:
    """What the inventory says of a backend: its zone, how much of it is kept back and how far it is overcommitted.

    Taken from the inventory alone: a storage host cannot raise its own limits.

    :raises BadInput: a number is none, or cannot be meant.
    """
    zone = variables.get("agentless_zone")
    listed = variables.get("volume_backends")
    mine = [each for each in listed if each.get("name") == name] if isinstance(listed, Sequence) else []
    about = mine[0] if mine else {}
    try:
        ratio, reserved = float(about.get("allocation_ratio", RATIO)), int(about.get("reserved", 0))
    except (TypeError, ValueError) as exc:
        raise BadInput(f"volume_backends, {name}: allocation_ratio and reserved (GiB) are numbers: {exc}.") from exc
    if not 0 < ratio < LARGEST_RATIO or reserved < 0:
        raise BadInput(f"volume_backends, {name}: allocation_ratio {ratio} or reserved {reserved} cannot be meant.")
    return {"zone": str(zone) if zone else None, "allocation_ratio": ratio, "reserved": reserved}


def _lawful(values: Record, row: Record | None) -> Record:
    """The values with a total that what is claimed already fits in: a backend that shrank is full, not inconsistent."""
    used = row["used"] if row else 0
    least = math.ceil(used / values["allocation_ratio"]) + values["reserved"]
    while least > values["total"] and used > (least - values["reserved"]) * values["allocation_ratio"]:
        least += 1  # the quotient was rounded
    return {**values, "total": max(values["total"], least)}


def _save(conn: sa.Connection, host: str, news: Sequence[tuple[Record | None, Record]]) -> None:
    for row, values in news:
        if row is None:
            records.insert(conn, tables.volume_backends, host=host, **values)
        else:
            records.update(conn, tables.volume_backends, row["id"], **values)
