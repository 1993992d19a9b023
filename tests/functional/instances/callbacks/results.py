# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A callback for tests: appends the result of every task to a file, one JSON text a line."""

from __future__ import annotations

import faulthandler
import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: results
type: notification
short_description: Results of tasks in a file
description: Results of tasks in a file.
"""


class CallbackModule(CallbackBase):
    """Writes what each task returned."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        # Workers inherit it; ansible-core gives them no standard error where they could say where they are.
        self._stacks = open(os.environ["AGENTLESS_TEST_RESULTS"] + ".stacks", "a", encoding="utf-8")  # noqa: SIM115
        faulthandler.enable(self._stacks)

    def _write(self, result: Any) -> None:
        kept = {key: value for key, value in result._result.items() if not key.startswith("_")}
        with open(os.environ["AGENTLESS_TEST_RESULTS"], "a", encoding="utf-8") as out:
            out.write(json.dumps({**kept, "_host": result._host.get_name()}, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result)
