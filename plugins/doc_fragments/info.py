# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that lists resources: of a project, or (``info.whole``) of the whole cloud."""

from __future__ import annotations


class ModuleDocFragment:
    """What to list, and in which form."""

    DOCUMENTATION = r"""
options:
  name:
    description: Only the resource of this name or ID. Without it, all are listed.
    type: str
  query:
    description:
      - A JMESPath expression. It is applied to the list, and its result is returned instead.
      - At most 4096 characters and 100 parts within each other; and what it makes may not be much larger than the list.
    type: str
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
      - Name or ID of the project whose resources are listed.
      - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), that principal needs a role in it.
    type: str
    default: default
"""

    WHOLE = r"""
options:
  name:
    description: Only the resource of this name or ID. Without it, all are listed.
    type: str
  query:
    description:
      - A JMESPath expression. It is applied to the list, and its result is returned instead.
      - At most 4096 characters and 100 parts within each other; and what it makes may not be much larger than the list.
    type: str
  database:
    description:
      - Address of the cloud's database, as a SQLAlchemy URL, or the path of an SQLite file.
      - Without it, the variable C(agentless_database) is used, then the environment variable E(AGENTLESS_DATABASE),
        then C(~/.local/share/agentless/cloud.db).
      - Only the controller opens it. No host gets the address.
      - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), only an administrator may give it.
    type: str
"""
