# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bus whose hosts are directories: calls go to the real handlers of the image backend."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import exports
from ansible_collections.agentless.cloud.plugins.modules import image_backend
from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import HostUnreachable

HANDLERS = {
    **image_backend.OPERATIONS,
    "export_disk": exports.export_disk,
    "export_absent": exports.export_absent,
}
REMOTE = "/var/lib/agentless"


@dataclass
class Bus:
    """The image host ``store1``, whose directory is ``state``, and others beside it.

    :param before: called with the name of each effect before it; may raise.
    :param dead: hosts that do not answer.
    """

    state: Path
    before: Callable[[str], None] = lambda name: None
    done: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)

    def map(self, calls: Sequence[rpc.Call]) -> list[rpc.Reply]:
        return [self._reply(call) for call in calls]

    def call(self, call: rpc.Call) -> list[dict[str, Any]]:
        return self.results(self._reply(call))

    @staticmethod
    def results(reply: rpc.Reply) -> list[dict[str, Any]]:
        return rpc.Rpc.results(reply)

    def _reply(self, call: rpc.Call) -> rpc.Reply:
        try:
            return rpc.Reply(call.host, self._results(call))
        except HostUnreachable as exc:
            return rpc.Reply(call.host, error=exc)

    def _results(self, call: rpc.Call) -> list[dict[str, Any]]:
        if call.host in self.dead:
            raise HostUnreachable(f"{call.host} cannot be reached", host=call.host)
        results = []
        state = self.directory(call.host)
        for operation in json.loads(json.dumps(call.operations)):
            self._note(operation["op"])
            if "path" in operation:
                operation["path"] = operation["path"].replace(REMOTE, str(state))
            try:
                answer = {
                    "ok": True,
                    "changed": False,
                    **HANDLERS[operation["op"]](Context(state_dir=str(state)), operation),
                }
            except BackendError as exc:
                answer = exc.as_result()
            results.append(answer)
        return results

    def put(self, host: str, local: str, remote: str) -> str:
        self._note("put")
        shutil.copy(local, remote.replace(REMOTE, str(self.directory(host))))
        return remote

    def fetch(self, host: str, remote: str, local: str, *, size: int) -> None:
        self._note("fetch_file")
        shutil.copy(remote.replace(REMOTE, str(self.directory(host))), local)

    def directory(self, host: str) -> Path:
        return self.state if host == "store1" else self.state.with_name(f"{self.state.name}-{host}")

    def files(self, host: str = "store1") -> list[str]:
        """Everything in the store."""
        root = self.directory(host) / "image-store"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def _note(self, name: str) -> None:
        self.done.append(name)
        self.before(name)
