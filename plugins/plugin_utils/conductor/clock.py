# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one clock of the records."""

from __future__ import annotations

import datetime
import uuid

# ISO 8601 in UTC with microseconds and ``Z``: fixed width, so that text order is time order.
FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


def now() -> str:
    """The present, in the form :data:`FORM`."""
    return datetime.datetime.now(datetime.timezone.utc).strftime(FORM)


def new_id() -> str:
    """A fresh UUID in its 36-character form."""
    return str(uuid.uuid4())
