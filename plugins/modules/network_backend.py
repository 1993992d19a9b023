# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The half of networking that runs on an OVN central host: records as rows of the northbound database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_backend
short_description: Carry out network operations on an OVN central host
version_added: 0.1.0
description:
  - Runs on the first host of the group C(cloud_network), called by the action plugins of this collection. It is not
    meant for playbooks.
  - Serves C(network), C(network_absent), C(port), C(port_absent), C(secgroup), C(secgroup_absent), C(ports_up), C(read)
    and C(sync).
  - All operations of a call that change something are one transaction of OVN's northbound database.
author:
  - agentless.cloud contributors (@agentless)
requirements:
  - python3-openvswitch
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
- name: What the instance module sends, for a look at ports by hand
  agentless.cloud.network_backend:
    payload: '[{"op": "ports_up", "ids": ["5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"], "timeout": 0}]'
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
from ansible_collections.agentless.cloud.plugins.module_utils.network import driver


def main() -> None:
    """Serve one call."""
    backend.main({}, reading=frozenset({"ports_up", "read"}), batch=driver.batch)


if __name__ == "__main__":
    main()
