# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts are what a host says of itself, and Ansible may put them above the variables of the inventory.

Any module's answer can bring facts. Where ``INJECT_FACTS_AS_VARS`` is on, which is ansible-core's default, a fact named
like a variable of ours would replace that variable. The roles refuse to run then; a task of a module runs only where no
host that it looks at has such a fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants as C

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply

# How variables of this collection begin: those of all roles, and those that modules read.
PREFIXES = (
    "agentless_",
    "ca_",
    "cell_",
    "common_",
    "compute_",
    "conductor_",
    "host_",
    "image_store_",
    "network_",
    "volume_",
)

Variables = Mapping[str, Any]


class HostVariables(Mapping[str, Variables]):
    """The variables of each inventory host, refused where a fact of the host stands in for one of ours.

    :param hostvars: as Ansible has them.
    """

    def __init__(self, hostvars: Mapping[str, Variables]) -> None:
        self._hostvars = hostvars

    def __getitem__(self, host: str) -> Variables:
        found = self._hostvars[host]
        refuse(host, found)
        return found

    def __contains__(self, host: object) -> bool:
        return host in self._hostvars

    def __iter__(self) -> Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)


def refuse(host: str, variables: Variables) -> None:
    """Refuse the variables of a host of which facts have replaced some of ours.

    :raises BadReply: they have; the names are in ``variables`` of the error.
    """
    if not C.INJECT_FACTS_AS_VARS:
        return
    facts = variables.get("ansible_facts") or {}
    names = sorted(name for name in facts if isinstance(name, str) and name.startswith(PREFIXES))
    if names:
        raise BadReply(
            f"The facts of {host} have the names of variables of this collection, {', '.join(names[:5])}, and would be "
            f"taken for what your inventory says. A host that does so may have fallen: look at it before you go on. "
            "With inject_facts_as_vars = False in ansible.cfg, or ANSIBLE_INJECT_FACT_VARS=False in the environment, "
            "no fact can stand in for a variable.",
            host=host,
            variables=names,
        )
