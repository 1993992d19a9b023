# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name by which this host comes to iSCSI targets."""

from __future__ import annotations

import os
import re

from ansible_collections.agentless.cloud.plugins.module_utils.backend import identity

INITIATOR_FILE = "/etc/iscsi/initiatorname.iscsi"
INITIATOR_PREFIX = "iqn.2026-01.cloud.agentless:"

_INITIATOR = re.compile(r"^\s*InitiatorName\s*=\s*((?:iqn|eui|naa)\.[A-Za-z0-9.:_-]+)\s*$", re.MULTILINE)


def initiator(path: str = INITIATOR_FILE) -> str | None:
    """What the system's own initiator is called, else a name made of the identity; None before the host has one."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            found = _INITIATOR.search(stream.read())
        if found:
            return found.group(1)
    known = identity(create=False)
    return None if known is None else INITIATOR_PREFIX + known
