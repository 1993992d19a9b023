#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The half of compute that runs on hosts: what ``agentless.cloud.instance`` and ``host`` ask of libvirt."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compute_backend
short_description: Carry out compute operations on a host
version_added: 0.1.0
description:
  - Runs on compute hosts, called by the action plugins of this collection. It is not meant for playbooks.
  - Serves C(discover), C(spawn), C(start), C(stop), C(reboot), C(destroy), C(inspect), C(attach_nic), C(detach_nic),
    C(attach_volume), C(detach_volume), C(resize_volume), C(copy_volume), C(tune_volume), C(export_disk),
    C(export_absent), C(console_log), C(survey) and C(prefetch).
author:
  - agentless.cloud contributors (@agentless)
requirements:
  - python3-libvirt
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
- name: What the instance module sends, for a look at a host by hand
  agentless.cloud.compute_backend:
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

from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.compute import (
    batch,
    cache,
    console,
    discover,
    domains,
    exports,
    images,
    nics,
    spawn,
    survey,
    tuning,
    volumes,
)

OPERATIONS: dict[str, backend.Handler] = {
    "discover": discover.discover,
    "spawn": spawn.spawn,
    "start": domains.start,
    "stop": domains.stop,
    "reboot": domains.reboot,
    "destroy": domains.destroy,
    "inspect": domains.inspect,
    "survey": survey.survey,
    "attach_nic": nics.attach_nic,
    "detach_nic": nics.detach_nic,
    "attach_volume": volumes.attach_volume,
    "detach_volume": volumes.detach_volume,
    "resize_volume": volumes.resize_volume,
    "copy_volume": volumes.copy_volume,
    "tune_volume": tuning.tune_volume,
    "export_disk": exports.export_disk,
    "export_absent": exports.export_absent,
    "console_log": console.console_log,
    "prefetch": images.prefetch,
    "prune_images": lambda ctx, _op: cache.report(cache.prune(ctx, cache.limits())),
}
READING = frozenset({"discover", "inspect", "survey", "console_log"})


def carry_out(ctx: backend.Context, operations: list[backend.Operation]) -> list[dict[str, Any]]:
    """All operations of a call, different instances at the same time."""
    results = batch.together(ctx, operations, lambda context, op: backend.one(context, op, OPERATIONS))
    return spawn.settled(ctx, operations, results)


def main() -> None:
    """Serve one call."""
    backend.main(OPERATIONS, reading=READING, batch=carry_out)


if __name__ == "__main__":
    main()
