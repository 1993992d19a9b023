# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A test action: sends the calls it is given through Rpc and returns the replies."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import resource
import time
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects, errors, rpc

rpc.PREFIX = "ansible.legacy."  # the probe lies in library/, beside the play


class Book:
    """Identities in a JSON file, so that a test sees and forges what is recorded."""

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)

    def recorded(self, hosts: Any) -> dict[str, Any]:
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        return {host: known.get(host) for host in hosts}

    def remember(self, host: str, kind: str, identity: str) -> None:
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._path.write_text(json.dumps({**known, host: identity}))


class ActionModule(ActionBase):
    """``rpc_probe: {calls: [{host, operations, timeout}], book: path}``.

    ``expect``: hosts got ready before the calls; ``next``: hosts got ready meanwhile, and then called likewise.
    ``fetch``: ``{host, remote, local, size}``, a file copied after the calls; ``fetched`` is the error.
    """

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        effects.begin("rpc_probe")
        args = self._task.args
        bus = rpc.Rpc(self, task_vars["hostvars"], Book(args["book"]))
        calls = [
            rpc.Call(call["host"], "probe_backend", call["operations"], timeout=int(call.get("timeout", 60)))
            for call in args["calls"]
        ]
        start = time.monotonic()
        bus.expect(args.get("expect", ()), "probe_backend", packed=bool(args.get("packed")))
        replies = bus.map(calls, meanwhile=lambda: bus.expect(args.get("next", ()), "probe_backend"))
        if "next" in args:
            replies += bus.map([dataclasses.replace(calls[0], host=host) for host in args["next"]])
        fetched = None
        if "fetch" in args:
            try:
                bus.fetch(**args["fetch"])
            except errors.CloudError as exc:
                fetched = {"error": exc.error, "msg": exc.msg}
        return {
            **result,
            "seconds": time.monotonic() - start,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "fetched": fetched,
            "replies": [
                {
                    "host": reply.host,
                    "results": reply.results,
                    "error": reply.error and reply.error.error,
                    "msg": reply.error and reply.error.msg,
                }
                for reply in replies
            ],
        }
