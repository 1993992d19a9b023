# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command `lab` beside this file runs."""

import sys

from agentless_lab.cli import main

sys.exit(main())
