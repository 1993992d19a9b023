# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command with the oldest or the newest ansible-core that the collection is tested on.

tests/cores/run oldest ansible --version
tests/cores/run newest python -m pytest tests/functional/rpc -k newest
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests" / "lab")]

from agentless_lab.system import LabError  # noqa: E402  # found by the line above

from tests.cores import environments  # noqa: E402


def main(argv: list[str]) -> int:
    """Become the command that is given."""
    if len(argv) < 2 or argv[0] not in environments.SERIES:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        programs = environments.programs(argv[0])
    except LabError as exc:
        print(f"cores: {exc}", file=sys.stderr)
        return 1
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    environ |= {"VIRTUAL_ENV": str(programs.parent), "PATH": environments.path(programs)}
    try:
        os.execvpe(argv[1], argv[1:], environ)
    except OSError as exc:
        print(f"cores: {argv[1]}: {exc.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
