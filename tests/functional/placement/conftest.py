# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of the conductor's tests serve here too."""

from __future__ import annotations

from tests.functional.conductor.conftest import (
    address,
    cluster,
    conductor,
    migrated_postgresql,
    migrated_sqlite,
)

__all__ = ["address", "cluster", "conductor", "migrated_postgresql", "migrated_sqlite"]
