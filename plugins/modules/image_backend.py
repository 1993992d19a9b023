#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The half of images that runs on the image host: a directory of files named by their digests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_backend
short_description: Carry out image operations on an image host
version_added: 0.1.0
description:
  - Runs on hosts of the group C(cloud_image), called by the action plugins of this collection. It is not meant for
    playbooks.
  - Serves C(offer), C(store), C(fetch), C(remove), C(present), C(verify), C(discover), C(import_begin),
    C(import_status), C(import_read), C(import_keep) and C(import_absent).
  - A content is stored only if its digest and size are those announced, under its digest as its name, and never
    written again.
author:
  - agentless.cloud contributors (@agentless-cloud)
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
- name: What the audit sends, to see by hand whether a stored image is intact
  agentless.cloud.image_backend:
    payload: >-
      [{"op": "verify", "checksum":
      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
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
from ansible_collections.agentless.cloud.plugins.module_utils.image import imports, store

OPERATIONS: dict[str, backend.Handler] = {
    "offer": store.offer,
    "store": store.store,
    "fetch": store.fetch,
    "remove": store.remove,
    "present": store.present,
    "verify": store.verify,
    "discover": imports.discover,
    "import_begin": imports.begin,
    "import_status": imports.status,
    "import_read": imports.read,
    "import_keep": imports.keep,
    "import_absent": imports.discard,
}


def main() -> None:
    """Serve one call."""
    backend.main(OPERATIONS, reading=frozenset({"present", "verify", "discover", "import_status", "import_read"}))


if __name__ == "__main__":
    main()
