# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bus whose storage and compute hosts are dictionaries. They keep what they are told by UUID, as the real ones do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, HostUnreachable

Key = tuple[str, str, str]  # host, backend, id


def target(op: Mapping[str, Any]) -> str:
    """How the export of a volume is called; each backend has a name of its own for it."""
    return f"iqn.2026-01.cloud.agentless:{op['backend']}.volume-{op['id']}"


class Gone(CloudError):
    """Stands for a controller that is killed here."""


class Refusal(Exception):
    """A host says no."""

    def __init__(self, msg: str, error: str = "BackendFailed") -> None:
        super().__init__(msg)
        self.error = error


@dataclass
class Bus:
    """Storage hosts with their backends, and compute hosts.

    :param has: what each storage host answers to discover, by host.
    :param before: called with each effect before it; may raise.
    :param after: called when an effect is done; may raise, which is a reply that is lost.
    :param refuses: operations that hosts refuse, as ``op@host``.
    """

    has: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    before: Callable[[str], None] = lambda name: None
    after: Callable[[str], None] = lambda name: None
    refuses: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    volumes: dict[Key, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[Key, str] = field(default_factory=dict)
    backups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    exports: dict[Key, str] = field(default_factory=dict)
    guests: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def map(self, calls: Sequence[rpc.Call], **_more: Any) -> list[rpc.Reply]:
        return [self._one(call) for call in calls]

    def call(self, call: rpc.Call) -> list[dict[str, Any]]:
        return rpc.Rpc.results(self._one(call))

    def _one(self, call: rpc.Call) -> rpc.Reply:
        if call.host in self.dead:
            return rpc.Reply(call.host, error=HostUnreachable(f"{call.host}: no answer", host=call.host))
        self.calls.append(call.label)
        self.before(call.label)
        results = [self._operation(call.host, json.loads(json.dumps(op))) for op in call.operations]
        self.after(call.label)
        return rpc.Reply(call.host, results)

    def _operation(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        self.done.append(f"{op['op']}@{host}")
        if "generation" in op:
            newest = self.seen.get((host, op["id"]), 0)
            if op["generation"] < newest:
                return {"ok": False, "error": "StaleGeneration", "msg": "older than what was seen"}
            self.seen[host, op["id"]] = op["generation"]
        try:
            if f"{op['op']}@{host}" in self.refuses:
                raise Refusal(f"{op['op']} does not go")
            return {"ok": True, "changed": True, **(getattr(self, f"_{op['op']}")(host, op) or {})}
        except Refusal as exc:
            return {"ok": False, "error": exc.error, "msg": str(exc)}

    def _discover(self, host: str, _op: dict[str, Any]) -> dict[str, Any]:
        return {"backends": self.has.get(host, []), "initiator": f"iqn.2026-01.cloud.agentless:{host}"}

    def _create(self, host: str, op: dict[str, Any]) -> None:
        source, key = op["source"] or {}, (host, op["backend"], op["id"])
        if "snapshot" in source and (host, op["backend"], source["snapshot"]) not in self.snapshots:
            raise Refusal("no such snapshot", "NotFound")
        other = (host, source.get("backend", op["backend"]), source.get("volume", ""))
        if "volume" in source and other not in self.volumes:
            raise Refusal("no such volume", "NotFound")
        if key in self.volumes and self.volumes[key]["size"] != op["size"]:
            raise Refusal("another size is there")
        self.volumes[key] = {"size": op["size"], "from": op["source"]}

    def _delete(self, host: str, op: dict[str, Any]) -> None:
        key = (host, op["backend"], op["id"])
        if key in self.exports:
            raise Refusal("it is exported", "InUse")
        if any(of == op["id"] for (where, _name, _id), of in self.snapshots.items() if where == host):
            raise Refusal("it has snapshots", "InUse")
        self.volumes.pop(key, None)

    def _extend(self, host: str, op: dict[str, Any]) -> None:
        there = self.volumes[host, op["backend"], op["id"]]
        if op["size"] < there["size"]:
            raise Refusal("it would shrink")
        there["size"] = op["size"]

    def _snapshot(self, host: str, op: dict[str, Any]) -> None:
        if (host, op["backend"], op["volume"]) not in self.volumes:
            raise Refusal("no such volume", "NotFound")
        self.snapshots[host, op["backend"], op["id"]] = op["volume"]

    def _snapshot_absent(self, host: str, op: dict[str, Any]) -> None:
        self.snapshots.pop((host, op["backend"], op["id"]), None)

    def _backup(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        if (host, op["backend"], op["volume"]) not in self.volumes:
            raise Refusal("no such volume", "NotFound")
        self.backups[host, op["id"]] = {"to": op["to"], "since": op["since"]}
        return {"checksum": "sha256:00"}

    def _backup_absent(self, host: str, op: dict[str, Any]) -> None:
        self.backups.pop((host, op["id"]), None)

    def _restore(self, host: str, op: dict[str, Any]) -> None:
        if self.backups[host, op["backup"]]["to"] != op["from"]:
            raise Refusal("it is not there", "NotFound")
        self.volumes[host, op["backend"], op["id"]]["from"] = op["backup"]

    def _export(self, host: str, op: dict[str, Any]) -> dict[str, Any]:
        self.exports[host, op["backend"], op["id"]] = op["initiator"]
        return {"protocol": "iscsi", "portal": f"{host}:3260", "iqn": target(op), "lun": 0}

    def _unexport(self, host: str, op: dict[str, Any]) -> None:
        self.exports.pop((host, op["backend"], op["id"]), None)

    def _resize_volume(self, host: str, op: dict[str, Any]) -> None:
        self.guests.append(op)

    _copy_volume = _resize_volume
    _tune_volume = _resize_volume
