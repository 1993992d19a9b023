# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a test guest through its serial console."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from agentless_lab.system import LabError


def run_in_guest(ssh: Sequence[str], domain: str, command: str, *, timeout: float) -> tuple[int, str]:
    """Return the exit code and the output of a command line that the guest's shell ran."""
    program = Path(__file__).with_name("talk.py").read_text(encoding="utf-8")
    program += f"\ntalk({domain!r}, {command!r}, timeout={timeout!r})\n"
    done = subprocess.run([*ssh, "python3", "-"], input=program, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"guest {domain}: {done.stderr.strip()[-2000:] or 'its host does not answer'}")
    code, output = json.loads(done.stdout)
    return code, output
