# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let nobody, or everybody, ask the kernel's target for its list. Prints `changed` where that was otherwise."""

from __future__ import annotations

import secrets
import sys

from rtslib_fb import FabricModule, RTSRoot

wanted = sys.argv[1] == "open"
check = sys.argv[2] == "check"
fabric = FabricModule("iscsi")
root = RTSRoot()
if fabric.discovery_enable_auth == wanted:
    print("changed")
    if not check:
        if wanted:
            fabric.clear_discovery_auth_settings()
        else:
            # The password is told to nobody: an initiator that was given its target needs no list.
            fabric.discovery_userid = secrets.token_hex(16)
            fabric.discovery_password = secrets.token_hex(16)
            fabric.discovery_enable_auth = True
        root.save_to_file()
