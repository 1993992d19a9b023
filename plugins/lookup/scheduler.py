# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup ``scheduler``: where would this go, and why."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scheduler
short_description: Say which host has an instance, or would get it
version_added: 0.1.0
description:
  - For the name of an instance that exists, returns the host that it is on. For any other name, returns the host that
    the scheduler would choose now.
  - Nothing is claimed and nothing is written, not even a database where there is none. The host is claimed only by the
    task that boots the instance.
  - Names that are given together are placed together, as one task with that many instances would place them. Between
    hosts that are equally good the first name decides, so that the same question has the same answer.
  - Planned hosts, which have no machine, are answers only in a cloud where every host is planned.
options:
  _terms:
    description:
      - Names or IDs of instances.
    type: list
    elements: str
    required: true
  flavor:
    description: Name or ID of the flavor. Needed for an instance that does not exist.
    type: str
  image:
    description: Name or ID of the image, whose properties hosts must meet.
    type: str
  networks:
    description: Names or IDs of the networks. They must exist; the choice does not depend on them yet.
    type: list
    elements: str
    default: []
  server_group:
    description: Name or ID of the server group that the instance would join.
    type: str
  zone:
    description: Availability zone that the host must be in.
    type: str
  hints:
    description:
      - Scheduler hints, V(same_host) and V(different_host). Each is the name or ID of an instance, or a list of them.
    type: dict
    default: {}
  count:
    description:
      - How many equal instances each name stands for. They are called V(name-1), V(name-2) and so on.
    type: int
  project:
    description: Name or ID of the project.
    type: str
    default: default
  database:
    description:
      - Address of the cloud's database.
      - Without it, the variable C(agentless_database) is used, then the environment variable E(AGENTLESS_DATABASE),
        then C(~/.local/share/agentless/cloud.db).
    type: str
    vars:
      - name: agentless_database
  explain:
    description: Whether to return the whole story of each choice instead of the host's name.
    type: bool
    default: false
notes:
  - Where the operator has named a principal by E(AGENTLESS_PRINCIPAL_FILE), that principal needs the role C(member) in
    the project; O(database) and O(explain) are for administrators.
  - Weights are counted as Nova counts them, with its multipliers, which aggregates of hosts may set in their metadata
    (C(ram_weight_multiplier), C(cpu_weight_multiplier), C(disk_weight_multiplier), C(num_instances_weight_multiplier),
    C(soft_affinity_weight_multiplier), C(soft_anti_affinity_weight_multiplier)); the lowest wins.
seealso:
  - module: agentless.cloud.instance
  - module: agentless.cloud.host
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Where would it go?
  ansible.builtin.debug:
    msg: "{{ lookup('agentless.cloud.scheduler', 'web1', flavor='small', image='debian-12') }}"

- name: Why there?
  ansible.builtin.debug:
    msg: "{{ lookup('agentless.cloud.scheduler', 'web1', flavor='small', explain=true) }}"

- name: Where is the one that runs, and where would the next one go?
  ansible.builtin.debug:
    msg: "{{ query('agentless.cloud.scheduler', 'web1', 'web2', flavor='small') }}"

- name: Is there room for two?
  ansible.builtin.debug:
    msg: "{{ query('agentless.cloud.scheduler', 'cache', flavor='small', count=2) | length }} fit"
"""

RETURN = r"""
_raw:
  description:
    - The inventory name of a host for each name, in their order, or of each of O(count).
    - With O(explain), for each name a dictionary. C(host) is the answer, C(seen) the number of hosts looked at,
      C(survivors) how many passed each filter (C(filter), C(left)), C(filtered) why others did not (C(filter),
      C(host), C(reason); the first 50 and at least three of each filter), C(filtered_counts) how many each filter
      refused, and C(candidates) the ten best of the rest, best first (C(host), C(weight), and C(weights) by weigher).
    - For an instance that exists nothing was weighed, so C(seen) is 0 and the lists are empty.
  type: list
  elements: raw
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.agentless.cloud.plugins.plugin_utils import hostfacts, policy
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import admitted, caller


class LookupModule(LookupBase):
    """Reads the options, asks, and returns."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        """One answer for each term."""
        from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import advice

        self.set_options(var_options=variables, direct=kwargs)
        question = advice.Question(
            names=tuple(str(term) for term in terms),
            count=self.get_option("count"),
            flavor=self.get_option("flavor"),
            image=self.get_option("image"),
            networks=tuple(self.get_option("networks")),
            server_group=self.get_option("server_group"),
            zone=self.get_option("zone"),
            hints=self.get_option("hints"),
            project=self.get_option("project"),
            explain=self.get_option("explain"),
        )
        known = variables or {}
        try:
            hostfacts.refuse(str(known.get("inventory_hostname", "localhost")), known)
            # What comes from a variable comes as it was written there, templates and all.
            address = kwargs.get("database") or self._templar.template(known.get("agentless_database"))
            principal = caller()
            ask = policy.Ask(
                "scheduler", policy.READ, _given({**kwargs, "explain": question.explain}), question.project
            )
            policy.allow(principal, ask, principal.role_anywhere())
            _require_there(address)
            with admitted(principal, ask, address) as conductor, conductor.read() as conn:
                answers = advice.answers(conn, question, principal)
        except CloudError as exc:
            raise AnsibleLookupError(f"{exc.error}: {exc.msg}") from exc
        return [dict(one) if self.get_option("explain") else one["host"] for one in answers]


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that ask for more than their defaults do."""
    return {name: value for name, value in options.items() if value not in (None, False)}


def _require_there(database: str | None) -> None:
    """Opening a database that is not there would make one.

    :raises NotFound: it is a file, and not there.
    """
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import address, libraries

    libraries.require()
    url = address.find(str(database) if database else None)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise NotFound(f"There is no database at {address.shown(url)}; the first module that runs makes it.")
