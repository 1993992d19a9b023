# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backends: what storage hosts say they offer becomes records that volumes are placed by.

No task has to name them. The first flow that meets a storage host without a record asks it, and all of them are asked
again before a volume is said to have no place.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    AlreadyExists,
    BadInput,
    BadReply,
    CloudError,
    InUse,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Call, Rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import PROTOCOLS
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.abilities import abilities

Record = dict[str, Any]
_News = list[tuple["Record | None", Record]]

GROUP = "cloud_volume"
DRIVERS = frozenset(PROTOCOLS)
RATIO = 1.0  # thin backends hold more than they have only where the operator says so
LARGEST_RATIO = 1000
MOST = 64  # backends of one host, and things that one of them can
LARGEST = 1 << 30  # GiB: an exbibyte, beyond any backend
LONGEST = 255  # characters of a text that a host says
_EXACT = 1 << 53  # up to here a number is the same in every form that it is kept in
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,30}")  # as the role takes them
_ABILITY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SETTINGS = ("zone", "allocation_ratio", "reserved", "total", "capabilities")
_ASKED = 120  # seconds
_REFUSED = (BadReply, BadInput, AlreadyExists, InUse)  # what a write can fail for that lies in the values of one host


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
        variables = request.hostvars.get(row["host"]) or {}
        about = {**settings(row["name"], variables), "total": _capped(row["name"], row["total"], variables)}
        entry = _entries(variables).get(row["name"], {})
        about["capabilities"] = abilities(row["driver"], entry, row["capabilities"] or {})
        said.append({**row, **_lawful(about, row)} if _differs(row, about) else row)
    return said


def _adjust(request: Request, rows: Sequence[Record]) -> None:
    if as_said(request, rows) != rows and not request.check:
        with request.conductor.transaction(lock="placement", label="volume backends") as conn:
            now = records.listing(conn, tables.volume_backends, id=[row["id"] for row in rows])
            for row, said in zip(now, as_said(request, now), strict=True):
                if said != row:
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
    """Ask storage hosts what they offer and, outside check mode, record it; one that lies does not stop the others."""
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
    news: dict[str, _News] = {}
    with request.conductor.read() as conn:
        before = records.listing(conn, tables.volume_backends)
        for host, found in said.items():
            with _left_out(host, failed, BadReply):
                news[host] = _news(conn, host, found, variables[host])
    if not request.check:
        for host in [host for host, differing in news.items() if differing]:
            writing = request.conductor.transaction("placement", label="volume backends")
            with _left_out(host, failed, *_REFUSED), writing as conn:
                _save(conn, host, _news(conn, host, said[host], variables[host]))
        news = {host: differing for host, differing in news.items() if host not in failed}
    return Heard(any(news.values()), failed, _after(before, news))


@contextlib.contextmanager
def _left_out(host: str, failed: dict[str, CloudError], *reasons: type[CloudError]) -> Iterator[None]:
    """Note why a host's answer is not recorded, where it is for one of these reasons, and go on with the next host."""
    try:
        yield
    except reasons as exc:
        failed[host] = exc


def _after(before: Sequence[Record], news: Mapping[str, _News]) -> list[Record]:
    changed = {row["id"]: values for differing in news.values() for row, values in differing if row is not None}
    new = [
        {**values, "id": f"{host}@{values['name']}", "host": host, "used": 0}
        for host, differing in news.items()
        for row, values in differing
        if row is None
    ]
    return [{**row, **changed.get(row["id"], {})} for row in before] + new


def read(host: str, reply: Mapping[str, Any]) -> list[Record]:
    """The backends of a host's answer, looked at before they are believed.

    :raises BadReply: it is not of the form agreed, or more than a host can have any reason to say.
    """
    listed = reply.get("backends")
    if isinstance(listed, Mapping):
        listed = [{**each, "name": name} for name, each in listed.items() if isinstance(each, Mapping)]
    if not isinstance(listed, list) or len(listed) > MOST:
        raise BadReply(f"{host} did not say which backends it has, at most {MOST} of them.", host=host)
    found = [_read(host, each) for each in listed]
    if len({each["name"] for each in found}) != len(found):
        raise BadReply(f"{host} describes two backends of one name.", host=host)
    return found


def _read(host: str, each: Any) -> Record:
    about: Mapping[str, Any] = each if isinstance(each, Mapping) else {}
    name, driver, total, can = (about.get(key) for key in ("name", "driver", "total", "capabilities"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadReply(f"{host} describes a backend whose name is not of the form agreed.", host=host)
    sized = isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= LARGEST
    if not isinstance(driver, str) or driver not in DRIVERS or not sized or not _plain(can or {}):
        raise BadReply(f"{host} describes its backend {name!r} in a form that is not agreed.", host=host)
    return {"name": name, "driver": driver, "total": total, "capabilities": dict(can or {})}


def _plain(can: Any) -> bool:
    """Whether what a backend can is short texts, booleans and numbers by name."""
    if not isinstance(can, Mapping) or len(can) > MOST:
        return False
    if not all(isinstance(key, str) and _ABILITY.fullmatch(key) for key in can):
        return False
    texts = [value for value in can.values() if isinstance(value, str)]
    numbers = [value for value in can.values() if not isinstance(value, str)]
    return all(len(text) <= LONGEST and text.isprintable() for text in texts) and all(
        isinstance(number, (int, float)) and abs(number) <= _EXACT for number in numbers
    )


def _news(conn: sa.Connection, host: str, found: Sequence[Record], variables: Mapping[str, Any]) -> _News:
    """What is to be written, as record and values. A backend that the host no longer has takes nothing new.

    :raises BadReply: a backend is of another kind than the inventory or the record says.
    """
    known = {row["name"]: row for row in records.listing(conn, tables.volume_backends, host=host)}
    said = _entries(variables)
    news: _News = []
    for each in found:
        if said and each["name"] not in said:
            continue  # what the inventory does not name takes no volumes
        row = known.pop(each["name"], None)
        entry = said.get(each["name"], {})
        driver = entry.get("driver") or (row["driver"] if row else each["driver"])
        _of_its_kind(host, each, driver)
        can = abilities(driver, entry, each["capabilities"])
        total = _capped(each["name"], each["total"], variables)
        values = {**each, **settings(each["name"], variables), "state": "enabled", "total": total, "capabilities": can}
        values = _lawful(values, row)
        if row is None or _differs(row, values):
            news.append((row, values))
    news += [(row, {"state": "disabled"}) for row in known.values() if row["state"] == "enabled"]
    return news


def _of_its_kind(host: str, each: Record, driver: str) -> None:
    """Refuse a backend whose host says that it has another driver, or is reached in another way than that driver's.

    :raises BadReply: it does.
    """
    text = f"{host} says that its backend {each['name']!r} is"
    if each["driver"] != driver:
        more = "If it was made anew, write its driver into volume_backends."
        raise BadReply(f"{text} {each['driver']}; it is to be {driver}. {more}", host=host)
    protocol = PROTOCOLS[driver]
    spoken = each["capabilities"].get("protocol", protocol)
    if spoken != protocol:
        raise BadReply(f"{text} reached by {spoken!r}; with the driver {driver} that is {protocol}.", host=host)


def _entries(variables: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The inventory's ``volume_backends`` of a host, by name."""
    listed = variables.get("volume_backends")
    found = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else []
    return {str(each.get("name")): each for each in found if isinstance(each, Mapping)}


def _capped(name: str, total: int, variables: Mapping[str, Any]) -> int:
    """What counts of a backend: no more than the inventory's ``total``, where it has one.

    :raises BadInput: that is no number.
    """
    given = _entries(variables).get(name, {}).get("total")
    try:
        most = LARGEST if given is None else int(given)
    except (TypeError, ValueError, OverflowError) as exc:
        raise BadInput(f"volume_backends, {name}: total (GiB) is a number: {exc}.") from exc
    if most < 0:
        raise BadInput(f"volume_backends, {name}: total {most} cannot be meant.")
    return min(total, most)


def settings(name: str, variables: Mapping[str, Any]) -> Record:
    """What the inventory says of a backend: its zone, how much of it is kept back and how far it is overcommitted.

    Taken from the inventory alone: a storage host cannot raise its own limits.

    :raises BadInput: a number is none, or cannot be meant.
    """
    zone = variables.get("agentless_zone")
    about = _entries(variables).get(name, {})
    try:
        ratio, reserved = float(about.get("allocation_ratio", RATIO)), int(about.get("reserved", 0))
    except (TypeError, ValueError, OverflowError) as exc:
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


def _save(conn: sa.Connection, host: str, news: _News) -> None:
    for row, values in news:
        if row is None:
            records.insert(conn, tables.volume_backends, host=host, **values)
        else:
            records.update(conn, tables.volume_backends, row["id"], **values)
