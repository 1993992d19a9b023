# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a compute host, whoever asked for it: for audits. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.compute import domains, secrets

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context


def survey(ctx: Context, _op: dict[str, Any]) -> dict[str, Any]:
    """Operation: every domain and directory of ours, and the secrets of volumes by their UUID in libvirt's store."""
    return {**domains.inspect(ctx, {}), "secrets": secrets.listed()}
