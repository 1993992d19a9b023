#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The half of volumes that runs on storage hosts: what ``agentless.cloud.volume`` and its like ask for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_backend
short_description: Carry out volume operations on a storage host
version_added: 0.2.0
description:
  - Runs on storage hosts, called by the action plugins of this collection. It is not meant for playbooks.
  - Serves C(discover), C(usage), C(inspect), C(survey), C(create), C(delete), C(extend), C(snapshot),
    C(snapshot_absent), C(export), C(unexport), C(backup), C(backup_absent) and C(restore).
author:
  - agentless.cloud contributors (@agentless)
requirements:
  - lvm2, for the driver C(lvm)
  - python3-rtslib-fb
  - qemu-img
options:
  identity:
    description:
      - The UUID that this host was registered with. Another one, and nothing is done.
    type: str
  payload:
    description:
      - The operations, as a JSON list of dictionaries.
    type: str
    required: true
  fault:
    description:
      - A fault that a test asks for.
    type: str
"""

EXAMPLES = r"""
- name: What the volume module sends, for a look at a host by hand
  agentless.cloud.volume_backend:
    payload: '[{"op": "discover"}]'
"""

RETURN = r"""
identity:
  description: This host's own UUID.
  returned: success
  type: str
  sample: 5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11
results:
  description: One entry for each operation, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    ok:
      description: Whether the operation was carried out.
      returned: always
      type: bool
    changed:
      description: Whether it changed anything.
      returned: always
      type: bool
    error:
      description: The class of the failure.
      returned: when it failed
      type: str
    msg:
      description: What went wrong, for a person.
      returned: when it failed
      type: str
"""

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.volume import operations


def main() -> None:
    """Serve one call."""
    backend.main({}, reading=operations.READING, batch=operations.carry_out)


if __name__ == "__main__":
    main()
