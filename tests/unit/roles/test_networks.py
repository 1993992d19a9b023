# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role image_store takes for a network; the store reads its lists in the same way."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "roles/image_store/files/networks.py"
complaints = runpy.run_path(str(SCRIPT))["complaints"]


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("10.0.0.0/8", True),
        ("10.0.0.1", True),
        ("10.0.0.0/255.0.0.0", True),
        ("2001:db8::/32", True),
        ("::1", True),
        ("10.0.0.1/8", False),
        ("10.0.0/8", False),
        ("10.0.0.0/33", False),
        ("mirror.example", False),
        ("", False),
        ("10.0.0.0/8 ", False),
    ],
)
def test_network(text: str, fine: bool) -> None:
    assert (complaints([text]) == []) is fine


def test_all_that_is_wrong_is_named() -> None:
    argv = [sys.executable, str(SCRIPT), "10.0.0.1", "10.0.0.1/8", "x"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count(";")) == (1, 1)
    assert "host bits set" in done.stderr
