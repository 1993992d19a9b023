# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backend can, for the scheduler: put together from its driver and the inventory. Pure.

Volume types ask for these. A storage host that could say what it likes here would draw the volumes that others should
have, so that its word counts only where nobody else knows: whether LVM is thin, while the inventory does not name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import PROTOCOLS

Record = dict[str, Any]

_FILE = {"thin": True, "snapshots": True, "online_extend": True}
_DRIVERS: Mapping[str, Mapping[str, bool]] = {
    "lvm": {"online_extend": True},
    "file": _FILE,
    "nfs": _FILE,
    "gluster": _FILE,
    "rbd": {**_FILE, "clones": True},
}


def abilities(driver: str, entry: Mapping[str, Any], said: Mapping[str, Any]) -> Record:
    """Return what a backend of a driver can.

    :param entry: the backend in the inventory's ``volume_backends``, empty where it is not there.
    :param said: what its host said; what no driver has is left out.
    """
    found: Record = {"protocol": PROTOCOLS[driver], **_DRIVERS[driver]}
    if driver == "lvm":
        thin = _boolean(entry.get("thin", True)) if entry else said.get("thin") is True
        found |= {"thin": thin, "snapshots": thin}
    # Believed: the source of each export is put together anyway, and a lie only has a move refused that would do.
    if said.get("separate_exports") is True:
        found["separate_exports"] = True
    return found


def _boolean(value: Any) -> bool:
    """Return the inventory's word, which may be a text where it comes from an INI file."""
    return value.strip().lower() in ("yes", "true", "on", "1") if isinstance(value, str) else bool(value)
