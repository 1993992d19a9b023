# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices the role volume takes, keeps, clears and refuses."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

decide = runpy.run_path(str(Path(__file__).parents[3] / "roles/volume/files/devices.py"))["decide"]
FILE_SYSTEM = ["a file system (ext4)"]
MOUNTED = ["/dev/vdb is mounted on /srv"]


@pytest.mark.parametrize(
    ("there", "content", "users", "group", "wipe", "verdict", "why"),
    [
        (True, [], [], ("", False), False, "take", ""),
        (True, [], [], ("", False), True, "take", ""),
        (False, [], [], ("", False), True, "refuse", "not a block device"),
        (True, FILE_SYSTEM, [], ("", False), False, "refuse", "a file system (ext4)"),
        (True, FILE_SYSTEM, [], ("", False), True, "wipe", ""),
        (True, FILE_SYSTEM, MOUNTED, ("", False), True, "refuse", "mounted on /srv"),
        (True, [], MOUNTED, ("", False), True, "refuse", "in use"),
        (True, ["part of (LVM2_member)"], [], ("other", False), False, "refuse", "the volume group other"),
        (True, ["part of (LVM2_member)"], ["x (lvm) lies on it"], ("cloud", True), False, "keep", ""),
        # What holds volumes is never cleared, however long the option stays in the inventory.
        (True, ["part of (LVM2_member)"], [], ("cloud", True), True, "keep", ""),
        # Nor is a group of the same name that somebody else made.
        (True, ["part of (LVM2_member)"], [], ("cloud", False), True, "refuse", "did not make"),
    ],
)
def test_decision(there, content, users, group, wipe, verdict, why):
    seen = {"there": there, "partitions": [], "users": users, "content": content}
    got = decide("/dev/vdb", seen, group, vg="cloud", wipe=wipe)
    assert got[0] == verdict
    assert why in got[1]
