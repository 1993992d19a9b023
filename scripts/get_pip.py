# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for the pip bootstrap script that ansible-test would download: the pip that Python carries does the work.

It finds the pip that ansible-test wants among the files that scripts/_stages has fetched by their hashes.
"""

from __future__ import annotations

import subprocess
import sys

IGNORED = {"--no-setuptools", "--no-wheel"}

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word not in IGNORED]
    for command in (["ensurepip"], ["pip", "install", "--no-index", *words]):
        subprocess.run([sys.executable, "-m", *command], check=True, stdin=subprocess.DEVNULL)
