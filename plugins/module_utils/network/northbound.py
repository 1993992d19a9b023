# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The northbound database over Open vSwitch's own client: read what a call needs, write one transaction, be told.

Only the rows that match a call's conditions travel (OVSDB ``monitor_cond``), so a call costs what it touches and not
what the cloud holds. The client is ``ovs.db.idl``, on which ovsdbapp stands; its connection thread and its command
classes have no use here, and importing them costs each call 70 ms.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import Any, Callable

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.network.model import Model, Tables
from ansible_collections.agentless.cloud.plugins.module_utils.network.sight import Conditions

try:
    from ovs import jsonrpc, poller, stream
    from ovs.db import idl

    IMPORT_ERROR = ""
except ImportError as exc:
    IMPORT_ERROR = str(exc)

SOCKET = "unix:/var/run/ovn/ovnnb_db.sock"
DATABASE = "OVN_Northbound"
COLUMNS = {
    "Logical_Switch": ["name", "ports", "dns_records", "external_ids"],
    "Logical_Switch_Port": [
        "name",
        "type",
        "options",
        "tag",
        "addresses",
        "port_security",
        "dhcpv4_options",
        "dhcpv6_options",
        "external_ids",
        "up",
    ],
    "DHCP_Options": ["cidr", "options", "external_ids"],
    "DNS": ["records", "external_ids"],
    "Port_Group": ["name", "ports", "acls", "external_ids"],
    "ACL": ["direction", "priority", "match", "action", "external_ids"],
    "NB_Global": ["nb_cfg", "sb_cfg", "hv_cfg"],
}
REFERENCES = {
    ("Logical_Switch", "ports"),
    ("Logical_Switch", "dns_records"),
    ("Logical_Switch_Port", "dhcpv4_options"),
    ("Logical_Switch_Port", "dhcpv6_options"),
    ("Port_Group", "ports"),
    ("Port_Group", "acls"),
}


class Northbound:
    """A connection that sees the rows of its conditions and nothing else.

    :raises BackendError: the client library or the database is not there.
    """

    def __init__(self, conditions: Conditions, *, remote: str = SOCKET, timeout: float = 30) -> None:
        if IMPORT_ERROR:
            raise BackendError(
                f"The Python package ovs is missing on this host ({IMPORT_ERROR}): run agentless.cloud.site."
            )
        if remote.startswith("unix:") and not os.path.exists(remote[5:]):
            raise BackendError(
                f"No OVN northbound database at {remote}: is this host in cloud_network and OVN running?"
            )
        self._timeout = timeout
        self._conditions = {table: _distinct(conditions.get(table, [])) for table in COLUMNS}
        helper = idl.SchemaHelper(schema_json=_schema(remote))
        for table, columns in COLUMNS.items():
            helper.register_columns(table, columns)
        self._idl = idl.Idl(remote, helper, probe_interval=0, leader_only=False)
        for table, clauses in self._conditions.items():
            self._idl.cond_change(table, clauses)
        self._until(self._idl.has_ever_connected, "did not answer")

    def close(self) -> None:
        """Give up the connection."""
        self._idl.close()

    def also(self, conditions: Conditions) -> None:
        """See further rows."""
        before = self._idl.cond_seqno
        grown = False
        for table, clauses in conditions.items():
            merged = _distinct(self._conditions[table] + clauses)
            if merged != self._conditions[table]:
                self._conditions[table] = merged
                self._idl.cond_change(table, merged)
                grown = True
        if grown:
            self._until(lambda: self._idl.cond_seqno > before, "did not answer")

    def tables(self) -> Tables:
        """The rows as plain values; a reference is the UUID's text, whether its row is seen or not."""
        return {
            name: {
                str(row.uuid): {"_uuid": str(row.uuid), "_table": name, **_plain(row, columns)}
                for row in self._idl.tables[name].rows.values()
            }
            for name, columns in COLUMNS.items()
        }

    def commit(self, model: Model) -> None:
        """Write what the model holds, all of it or nothing.

        :raises BackendError: the database refused it or was not reached; nothing was written.
        """
        transaction = idl.Transaction(self._idl)
        new = {key: transaction.insert(self._idl.tables[key[0]]) for key in model.inserts}
        ids = {key[1]: row.uuid for key, row in new.items()}
        for key, row in new.items():
            _fill(row, {name: value for name, value in model.inserts[key].items() if name[0] != "_"}, ids)
        for (table, row_uuid), columns in model.updates.items():
            _fill(self._idl.tables[table].rows[uuid.UUID(row_uuid)], columns, ids)
        for verb, table, row_uuid, column, value in model.mutations:
            _mutate(self._idl.tables[table].rows[uuid.UUID(row_uuid)], verb, column, _real(value, ids))
        for table, row_uuid in model.deletes:
            self._idl.tables[table].rows[uuid.UUID(row_uuid)].delete()
        self._finish(transaction)

    def next_cfg(self) -> int:
        """Ask for a new configuration number, which OVN answers in ``sb_cfg`` and ``hv_cfg`` when all has arrived."""
        transaction = idl.Transaction(self._idl)
        row = self._global()
        row.verify("nb_cfg")
        wanted = int(row.nb_cfg) + 1
        row.nb_cfg = wanted
        self._finish(transaction)
        return wanted

    def cfg(self, column: str) -> int:
        """What a configuration number is now."""
        return int(getattr(self._global(), column))

    def wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        """Wait until the rows that are seen make ``ready`` true; woken by the database, not by a clock."""
        deadline = time.monotonic() + timeout
        self._idl.run()
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._block(left)
            self._idl.run()
        return True

    def _global(self) -> Any:
        return next(iter(self._idl.tables["NB_Global"].rows.values()))

    def _until(self, ready: Callable[[], bool], complaint: str) -> None:
        if not self.wait(ready, self._timeout):
            raise BackendError(f"The OVN northbound database {complaint} in {self._timeout:g} s.", error="Timeout")

    def _finish(self, transaction: Any) -> None:
        deadline = time.monotonic() + self._timeout
        status = transaction.commit()
        while status == transaction.INCOMPLETE and time.monotonic() < deadline:
            self._block(deadline - time.monotonic())
            self._idl.run()
            status = transaction.commit()
        if status not in (transaction.SUCCESS, transaction.UNCHANGED):
            said = transaction.get_error()
            transaction.abort()
            raise BackendError(f"The OVN northbound database refused the transaction: {said}.")

    def _block(self, seconds: float) -> None:
        waiter = poller.Poller()
        self._idl.wait(waiter)
        waiter.timer_wait(int(seconds * 1000) + 1)
        waiter.block()


def _schema(remote: str) -> Any:
    error, channel = stream.Stream.open_block(stream.Stream.open(remote))
    if error:
        raise BackendError(f"The OVN northbound database at {remote} is not reached: {os.strerror(error)}.")
    connection = jsonrpc.Connection(channel)
    request = jsonrpc.Message.create_request("get_schema", [DATABASE])
    error, reply = connection.transact_block(request)
    connection.close()
    if error or reply.error:
        raise BackendError(f"The database at {remote} does not serve {DATABASE}.")
    return reply.result


def _plain(row: Any, columns: list[str]) -> dict[str, Any]:
    return {column: row._data[column].to_python(_text) for column in columns}


def _text(value: Any, _base: Any = None) -> Any:
    plain = getattr(value, "value", value)
    return str(plain) if isinstance(plain, uuid.UUID) else plain


def _fill(row: Any, columns: dict[str, Any], ids: dict[str, uuid.UUID]) -> None:
    for column, value in columns.items():
        if (row._table.name, column) in REFERENCES:
            value = [_real(item, ids) for item in value]
        setattr(row, column, value)


def _mutate(row: Any, verb: str, column: str, value: Any) -> None:
    if verb == "add":
        row.addvalue(column, value)
    elif verb == "remove":
        row.delvalue(column, value)
    elif verb == "setkey":
        row.setkey(column, value[0], value[1])
    else:
        row.delkey(column, value)


def _real(value: Any, ids: dict[str, uuid.UUID]) -> Any:
    """The UUID that a reference means: of a row of this transaction, or of one that exists."""
    if not isinstance(value, str) or len(value) != 36:
        return value
    try:
        return ids.get(value) or uuid.UUID(value)
    except ValueError:
        return value


def _distinct(clauses: list[list[Any]]) -> list[list[Any]]:
    seen: dict[str, list[Any]] = {}
    for clause in clauses:
        seen.setdefault(repr(clause), clause)
    return list(seen.values())
