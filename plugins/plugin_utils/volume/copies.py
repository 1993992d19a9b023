# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What snapshots and backups share: recorded and counted first, then made by the storage host that has the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change, removed
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, quota, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request, answer
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.orders import Order, Record


@dataclass(frozen=True)
class Plan:
    """What is to become of a snapshot or a backup.

    :param found: its record, None while there is none.
    :param values: columns of a new one, or those that change.
    :param after: the resource as it would be returned, as far as that is known beforehand.
    """

    project_id: str
    found: Record | None
    values: Mapping[str, Any]
    changes: Sequence[Change]
    after: Record


class Copies:
    """One of the two kinds.

    :cvar told: what is told of one that goes.
    :cvar residue: whether a host that refuses to make one may have begun it.
    """

    word: str
    table: sa.Table
    columns: tuple[str, ...]
    told: tuple[str, ...]
    residue: bool

    def planned(self, conn: sa.Connection, args: Mapping[str, Any], principal: Principal) -> Plan:
        """What is to become of it. Nothing is written."""
        raise NotImplementedError

    def counts(self, record: Mapping[str, Any]) -> dict[str, int]:
        """What it takes of the project's quota."""
        raise NotImplementedError

    def order(self, conn: sa.Connection, record: Record, *, gone: bool = False) -> Order | None:
        """What its host is told to have it, or no more; None where no host has any of it."""
        raise NotImplementedError

    def about(self, row: Record) -> Record:
        """What is shown of it beside its columns."""
        raise NotImplementedError

    def learned(self, result: Mapping[str, Any]) -> Record:
        """Columns from the answer of the host that made it."""
        return {}

    def spared(self, conn: sa.Connection, record: Record) -> None:
        """Refuse to remove one that is needed."""

    def apply(self, request: Request) -> Outcome:
        """Have it as the task says.

        :raises CloudError: what cannot be meant, or a host that refused.
        """
        name = names.label(f"name of a {self.word}", str(request.args["name"]))
        header = f"volume_{self.word} {name}"
        if request.args["timeout"] < 1:
            raise BadInput(f"timeout is {request.args['timeout']}; it must be at least 1.")
        if request.args["state"] == "absent":
            return self._absent(request, name, header)
        with request.conductor.read() as conn:
            plan = self.planned(conn, request.args, request.principal)
        row = plan.after
        if plan.changes and not request.check:
            with request.conductor.transaction(lock=header, label=f"{self.word} recorded") as conn:
                record = self._recorded(conn, self.planned(conn, request.args, request.principal))
            if record["status"] == "creating":
                self._make(request, record)
            with request.conductor.read() as conn:
                row = self.shown(conn, [records.get(conn, self.table, record["id"])])[0]
        return Outcome(bool(plan.changes), {f"volume_{self.word}": row}, plan.changes, header)

    def info(self, request: Request) -> Outcome:
        """Those of the project."""
        with request.conductor.read() as conn:
            project = projects.resolve(conn, request.args["project"], request.principal)
            rows = self.shown(conn, records.listing(conn, self.table, project_id=project["id"]))
        return answer(f"volume_{self.word}s", rows, request.args)

    def shown(self, conn: sa.Connection, rows: Sequence[Record]) -> list[Record]:
        """As modules return them."""
        ids = sorted({row["volume_id"] for row in rows if row["volume_id"]})
        volumes = {row["id"]: row["name"] for row in records.listing(conn, tables.volumes, id=ids)} if ids else {}
        times = ("created_at", "updated_at")
        return [
            {
                **{key: row[key] for key in self.columns},
                "volume": volumes.get(row["volume_id"]),
                **self.about(row),
                **{key: row[key] for key in times},
            }
            for row in rows
        ]

    def _recorded(self, conn: sa.Connection, plan: Plan) -> Record:
        if plan.found is None:
            quota.take(conn, plan.project_id, **self.counts(plan.values))
            return records.insert(conn, self.table, project_id=plan.project_id, status="creating", **plan.values)
        if not plan.values:
            return plan.found
        seen = {"generation": plan.found["generation"]}
        return records.update(conn, self.table, plan.found["id"], seen, **plan.values)

    def _make(self, request: Request, record: Record) -> None:
        """Have it made; what the host refuses is forgotten, what it did not answer is tried again by the next run."""
        request.progress(f"{self.word} {record['name']}: {record['size']} GiB")
        with request.conductor.read() as conn:
            order = self.order(conn, record)
        answers = orders.carry(request, [order] if order else [], timeout=request.args["timeout"])
        for error in answers.refused.values():
            self._remove(request, record, told=self.residue)
            raise error
        for error in answers.unknown.values():
            said = f"{error.msg} Whether the {self.word} was made is not known; run again."
            raise type(error)(said, **error.details)
        learned = self.learned(answers.results[record["id"]][0])
        with request.conductor.transaction(label=f"{self.word} made") as conn:
            now = records.find(conn, self.table, record["id"])
            if now is not None and now["status"] == "creating":
                records.update(conn, self.table, record["id"], {"status": "creating"}, status="available", **learned)

    def _absent(self, request: Request, name: str, header: str) -> Outcome:
        with request.conductor.read() as conn:
            project = projects.resolve(conn, request.args["project"], request.principal)
            found = records.find(conn, self.table, name, project_id=project["id"])
            if found is None:
                return Outcome(False, {f"volume_{self.word}": None}, (), header)
            self.spared(conn, found)
            changes = removed(self.shown(conn, [found])[0], self.told)
        if not request.check:
            with request.conductor.transaction(lock=header, label=f"{self.word} to delete") as conn:
                now = records.find(conn, self.table, found["id"])
                if now is not None and now["status"] != "deleting":
                    self.spared(conn, now)
                    now = records.update(conn, self.table, found["id"], status="deleting")
            if now is not None:
                self._remove(request, now)
        return Outcome(True, {f"volume_{self.word}": None}, changes, header)

    def _remove(self, request: Request, record: Record, *, told: bool = True) -> None:
        """Take it off its host, unless the host has none of it, and off the record."""
        with request.conductor.read() as conn:
            order = self.order(conn, record, gone=True) if told else None
        answers = orders.carry(request, [order] if order else [], timeout=request.args["timeout"])
        for error in answers.failed.values():
            raise type(error)(
                f"{self.word.capitalize()} {record['name']!r} could not be deleted: {error.msg} Run the task again "
                "when the cause is mended.",
                **error.details,
            )
        with request.conductor.transaction(label=f"{self.word} deleted") as conn:
            now = records.find(conn, self.table, record["id"])
            if now is not None and now["generation"] == record["generation"]:  # otherwise another run is about it
                quota.give(conn, record["project_id"], **self.counts(record))
                records.delete(conn, self.table, record["id"])
