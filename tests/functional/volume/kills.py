# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flows of volumes with real kills: processes that get SIGKILL at a numbered effect, a real database, real files.

A task runs in a process of its own, as the worker of a play does, on SQLite or PostgreSQL. Storage hosts are the code
that runs on a host: over directories beside a target that is a file, or on a whole machine with
LVM and the kernel's target. Compute hosts are the ones of the unit tests, which keep what they know in a file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects, rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import flow as audit
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hosts as compute_hosts
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import instances
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, volume
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud as cloud_tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backups, snapshots, types, volumes
from tests.unit.instance_volumes.hosts import COMPUTE, Guest, Hosts
from tests.unit.resources.cloud import FLOWS, Cloud
from tests.unit.volume_flows.looks import used

FLOWS.update({"audit": audit, "host": compute_hosts, "instance": instances})
FLOWS.update({"volume": volumes, "volume_backup": backups, "volume_snapshot": snapshots, "volume_type": types})

SHOWN = {
    volume.volumes: "name status size spec",
    volume.volume_snapshots: "name status size",
    volume.volume_backups: "name status size",
    cell.instances: "name status",
}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
IQN = "iqn.2026-01.cloud.agentless"
Task = tuple[str, dict[str, Any]]
Operations = Sequence[Mapping[str, Any]]
Raw = dict[str, Any]


class Storage(Protocol):
    """The storage hosts of a cloud."""

    def call(self, host: str, operations: Operations, fault: str | None) -> Raw:
        """What the module of a host gives back."""

    def targets(self) -> dict[str, list[str]]:
        """Which initiators their targets let in."""

    def left(self) -> list[str]:
        """The names of everything else of volumes that is on them."""


class Bus(Hosts):
    """Calls as numbered effects, to storage hosts and to compute hosts."""

    def __init__(self, storage: Storage, state: Path) -> None:
        super().__init__()
        self.storage, self.state = storage, state
        self._keep()

    def map(self, calls: Sequence[rpc.Call], *, meanwhile: Callable[[], None] = lambda: None) -> list[rpc.Reply]:
        numbered = [(call, effects.backend(call.label)) for call in calls]
        meanwhile()
        return [self._carried(call, effect) for call, effect in numbered]

    def call(self, call: rpc.Call) -> list[dict[str, Any]]:
        return rpc.Rpc.results(self.map([call])[0])

    def _carried(self, call: rpc.Call, effect: effects.Effect) -> rpc.Reply:
        try:
            raw = effect.carry_out(lambda fault: self._answer(call, fault))
            return rpc.Reply(call.host, rpc._validated(call, None, raw)[0])
        except CloudError as exc:
            return rpc.Reply(call.host, error=exc)

    def _answer(self, call: rpc.Call, fault: str | None) -> Raw:
        listed = json.loads(json.dumps(list(call.operations)))
        if call.host not in COMPUTE:
            return self.storage.call(call.host, listed, fault)
        if fault is not None:
            return {"failed": True, "msg": f"{fault} (injected)"}
        with self.known():
            return {"results": [self._operation(call.host, op) for op in listed]}

    @contextlib.contextmanager
    def known(self) -> Iterator[Bus]:
        """What compute hosts know, taken from the file and put back. One process at a time."""
        with self.state.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._recalled()
            self._keep()

    def _recalled(self) -> Bus:
        for name, value in pickle.loads(self.state.read_bytes()).items():
            setattr(self, name, value)
        return self

    def _keep(self) -> None:
        names = ("domains", "secrets", "seen", "wrong")
        self.state.write_bytes(pickle.dumps({name: getattr(self, name) for name in names}))

    def _open_to(self, volume: str) -> set[str]:
        return {name for iqn, names in self.storage.targets().items() if iqn.endswith(volume) for name in names}

    def _open_at(self, volume: str, host: str) -> set[str]:
        mine = f"{IQN}:{host}"
        return {iqn for iqn, names in self.storage.targets().items() if iqn.endswith(volume) and mine in names}


def apart(work: Callable[[], Any]) -> Any:
    """What a process gives that a worker of its own does the work for; None when they were killed."""
    read, write = os.pipe()
    play = os.fork()
    if play == 0:
        worker = os.fork()
        if worker == 0:
            said = pickle.dumps(work())
            while said:
                said = said[os.write(write, said) :]
            os._exit(0)
        os.waitpid(worker, 0)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()  # ends when both are gone
    os.waitpid(play, 0)
    return pickle.loads(said) if said else None


@dataclass(frozen=True)
class Ended:
    """How a task ended that was not killed.

    :param effects: how many it had.
    :param error: the class of its failure.
    """

    effects: int
    changed: bool = False
    error: str | None = None
    msg: str = ""


def run(cloud: Cloud, task: Task, fault: str = "") -> Ended | None:
    """A task; with a fault in processes of its own, and None when they were killed."""
    module, args = task

    def work() -> Ended:
        os.environ["AGENTLESS_FAULT"] = fault
        effects.begin(module)
        try:
            changed = cloud.ask(module, **args).changed
        except CloudError as exc:
            return Ended(effects._counter.number, error=exc.error, msg=exc.msg)
        return Ended(effects._counter.number, changed)

    ended: Ended | None = apart(work) if fault else work()
    return ended


def must(cloud: Cloud, *tasks: Task) -> None:
    """Tasks that are to succeed."""
    for task in tasks:
        ended = run(cloud, task)
        assert ended is not None, task
        assert ended.error is None, (task, ended)


def picture(cloud: Cloud, bus: Bus) -> dict[str, Any]:
    """All there is, with names in the place of ids; what nobody has on record keeps its id."""
    names: dict[str, str] = {}
    rows: dict[str, Any] = {}
    with cloud.conductor as conductor, conductor.read() as conn:
        for table, columns in SHOWN.items():
            found = records.listing(conn, table)
            names.update({row["id"]: row["name"] for row in found})
            rows[table.name] = [{key: row[key] for key in columns.split()} for row in found]
        attached = records.listing(conn, volume.volume_attachments)
        rows["attachments"] = [[row["volume_id"], row["instance_id"], row["host"], row["status"]] for row in attached]
        for table in (cell.allocations, cloud_tables.instance_mappings):
            rows[table.name] = conn.execute(sa.select(sa.func.count()).select_from(table)).scalar()
    with bus.known():
        assert bus.wrong == []
        guests: list[Guest] = list(bus.domains.values())
        rows["domains"] = [[each.host, each.volumes, each.targets, each.running] for each in guests]
        rows["secrets"] = sorted(f"{host} {key}" for host, key in bus.secrets)
    rows.update(targets=bus.storage.targets(), left=bus.storage.left())
    rows["claimed"] = used(cloud)
    text = UUID.sub(lambda found: names.get(found.group(), found.group()), json.dumps(rows, sort_keys=True))
    return {key: ordered(value) for key, value in json.loads(text).items() if value}


def ordered(value: Any) -> Any:
    """The same without an order that does not matter."""
    return sorted(value, key=json.dumps) if isinstance(value, list) else value
