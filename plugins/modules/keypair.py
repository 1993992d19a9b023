#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(keypair); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: keypair
short_description: Manage public keys for instances
version_added: 0.1.0
description:
  - Keeps SSH public keys by name. An instance that is booted with a key gets its text in the metadata of its config
    drive.
  - No private key is made, asked for or kept.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the keypair, unique in the project.
    type: str
    required: true
  state:
    description: Whether the keypair is to exist.
    type: str
    choices: [present, absent]
    default: present
  public_key:
    description:
      - The public key, one line such as the content of C(~/.ssh/id_ed25519.pub), of up to 16384 bytes. Needed for a new
        keypair.
      - A changed key is given to instances booted from then on.
    type: str
seealso:
  - module: agentless.cloud.keypair_info
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: The operators' key
  agentless.cloud.keypair:
    name: operators
    public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3QzIiFsS7H0wEIlLm6d9n1qKGlgWQzVd5QrPoHVq3r operators
"""

RETURN = r"""
keypair:
  description: The keypair; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID.
      type: str
      returned: always
    name:
      description: Name of the keypair.
      type: str
      returned: always
    project_id:
      description: ID of the project that made it.
      type: str
      returned: always
    public_key:
      description: The public key.
      type: str
      returned: always
    fingerprint:
      description: Its fingerprint, as C(ssh-keygen -l) prints it.
      type: str
      returned: always
      sample: SHA256:gYgJqvVYEKiQpgGYdS2lXeY0Wk9o2n7VYQzYQH8sVtE
    type:
      description: Always V(ssh).
      type: str
      returned: always
    created_at:
      description: When it was made, as UTC in ISO 8601.
      type: str
      returned: always
    updated_at:
      description: When it last changed, as UTC in ISO 8601.
      type: str
      returned: always
"""
