# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Count how often ``site`` is run; a plugin of this name is loaded by every Ansible that sees its directory."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: agentless_counts
type: aggregate
short_description: Counts for the runner of the tests
description: Appends a line to the file that AGENTLESS_TEST_COUNTS names, for every run of the playbook site.
"""


class CallbackModule(CallbackBase):
    """Notes the first play of each run of ``site``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "agentless_counts"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._within = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Count where the plays of ``site`` begin."""
        within = play.get_path().rpartition(":")[0].endswith("/playbooks/site.yml")
        file = os.environ.get("AGENTLESS_TEST_COUNTS")
        if within and not self._within and file:
            with open(file, "a", encoding="utf-8") as counts:
                counts.write("site 1\n")
        self._within = within
