# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that works on resources: of a project, or (``resource.whole``) of the whole cloud."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the resources are, and whose they are."""

    DOCUMENTATION = r"""
options:
  database:
    description:
      - Address of the cloud's database, as a SQLAlchemy URL, or the path of an SQLite file.
      - Without it, the variable C(agentless_database) is used, then the environment variable E(AGENTLESS_DATABASE),
        then C(~/.local/share/agentless/cloud.db).
      - Only the controller opens it. No host gets the address.
      - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), only an administrator may give it.
    type: str
  project:
    description:
      - Name or ID of the project that owns the resource.
      - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), that principal needs a role in it.
    type: str
    default: default
"""

    WHOLE = r"""
options:
  database:
    description:
      - Address of the cloud's database, as a SQLAlchemy URL, or the path of an SQLite file.
      - Without it, the variable C(agentless_database) is used, then the environment variable E(AGENTLESS_DATABASE),
        then C(~/.local/share/agentless/cloud.db).
      - Only the controller opens it. No host gets the address.
      - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), only an administrator may give it.
    type: str
"""
