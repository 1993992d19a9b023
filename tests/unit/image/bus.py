# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bus whose only host is a directory: calls go to the real handlers of the image backend."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.image import store
from ansible_collections.agentless.cloud.plugins.plugin_utils import rpc

HANDLERS = {"offer": store.offer, "store": store.store, "remove": store.remove, "verify": store.verify}
REMOTE = "/var/lib/agentless"


@dataclass
class Bus:
    """The image host ``store1``.

    :param before: called with the name of each effect before it; may raise.
    """

    state: Path
    before: Callable[[str], None] = lambda name: None
    done: list[str] = field(default_factory=list)

    def call(self, call: rpc.Call) -> list[dict[str, Any]]:
        results = []
        for operation in json.loads(json.dumps(call.operations)):
            self._note(operation["op"])
            if "path" in operation:
                operation["path"] = operation["path"].replace(REMOTE, str(self.state))
            try:
                answer = {"ok": True, "changed": False, **HANDLERS[operation["op"]](self.context(), operation)}
            except BackendError as exc:
                answer = exc.as_result()
            results.append(answer)
        return rpc.Rpc.results(rpc.Reply(call.host, results))

    def put(self, host: str, local: str, remote: str) -> str:
        self._note("put")
        shutil.copy(local, remote.replace(REMOTE, str(self.state)))
        return remote

    def context(self) -> Context:
        return Context(state_dir=str(self.state))

    def files(self) -> list[str]:
        """Everything in the store."""
        root = self.state / "image-store"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def _note(self, name: str) -> None:
        self.done.append(name)
        self.before(name)
