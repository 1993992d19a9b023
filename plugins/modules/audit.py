#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(audit); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit
short_description: Compare what is on record with what is on the hosts
version_added: 0.2.0
description:
  - Asks compute hosts and storage hosts for everything of this cloud that they have, compares it with the database,
    and returns what differs. It changes nothing, in no place.
  - Compared are domains, their files, their power state, their volumes and screens that the network sees, the secrets
    of volumes in libvirt's store, what backends hold (volumes, snapshots, backups, drafts) and its sizes, targets,
    backstores and who is let in, claims on hosts and backends, quotas, and work that has begun and not ended. Networks
    and image stores are not.
  - The records are read before the hosts are asked and after. Only what differs from both is returned, so that tasks
    that run at the same time are no findings.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource.whole
options:
  hosts:
    description: Only these hosts, by their inventory names. Without it, all that are on record.
    type: list
    elements: str
  unfinished_after:
    description: Seconds that work may take before it is a finding.
    type: int
    default: 3600
seealso:
  - module: agentless.cloud.instance
  - module: agentless.cloud.volume
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Look at the whole cloud
  agentless.cloud.audit:
  register: audited

- name: Fail when something is not as it is on record
  ansible.builtin.assert:
    that: audited.findings == []
    fail_msg: "{{ audited.findings | map(attribute='says') | join('; ') }}"
"""

RETURN = r"""
findings:
  description: What differs, sorted; empty where nothing does.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description:
        - C(orphan), there and not on record; C(missing), on record and not there; C(different), not as on record;
          C(unfinished), work that began long ago; C(unknown), nobody could look.
      type: str
      returned: always
    what:
      description: The sort of thing, such as C(volume), C(target), C(acl), C(lun), C(secret), C(domain), C(screen),
          C(claim).
      type: str
      returned: always
    id:
      description: Its UUID, or its name where it has none.
      type: str
      returned: always
    host:
      description: The host that has it; null for what only the database has.
      type: str
      returned: always
    says:
      description: What was found, in a sentence.
      type: str
      returned: always
seen:
  description: How much was compared, by sort, so that an empty list says something.
  returned: success
  type: dict
  sample:
    compute_hosts: 2
    domains: 4
    instances: 4
    secrets: 1
    storage_hosts: 1
    stored: 3
    targets: 1
    volumes: 3
"""
