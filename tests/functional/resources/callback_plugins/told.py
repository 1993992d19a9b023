# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes each task's result as a line of JSON to the file that the environment names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: told
type: notification
short_description: Results as lines of JSON
description: For tests.
"""

import json  # noqa: E402  # Ansible wants DOCUMENTATION first
import os  # noqa: E402
from typing import Any  # noqa: E402

from ansible.plugins.callback import CallbackBase  # noqa: E402


class CallbackModule(CallbackBase):
    """One line for each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "told"
    CALLBACK_NEEDS_ENABLED = True

    def _tell(self, result: Any, *, failed: bool) -> None:
        given = {**(getattr(result, "result", None) or result._result), "failed": failed}
        with open(os.environ["TOLD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(given, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._tell(result, failed=True)
