# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether networks can be meant, as the image store will read them. Arguments: the networks."""

import ipaddress
import sys


def complaints(texts):
    """What is wrong with each that is no network; host bits that are set are a slip of the pen, not a network."""
    found = []
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError as exc:
            found.append(str(exc))
    return found


if __name__ == "__main__":
    sys.exit("; ".join(complaints(sys.argv[1:])) or 0)
