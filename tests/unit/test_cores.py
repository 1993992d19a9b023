# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection says of ansible-core is what the tests run on."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def bounds(path: str) -> dict[str, str]:
    """The bounds of ansible-core in a file of requirements, by operator."""
    line = re.search(r"^ansible-core (.*)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    return dict(part.split() for part in line[1].split(","))


def test_what_is_allowed_was_tested() -> None:
    stated = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    oldest, newest = bounds("tests/cores/oldest.txt"), bounds("tests/cores/newest.txt")
    assert stated == f">={oldest['>=']}.0,<{newest['<']}"
    usual = bounds("tests/requirements.txt")
    assert usual[">="] == oldest[">="]
