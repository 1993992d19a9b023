# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front desk: what every action plugin has in common.

An action plugin names its flow and nothing else. The front validates the task against the module's own documentation
(so that documentation and behaviour cannot part), learns who asks and whether they may, opens the conductor, calls the
flow once and turns what comes back, an outcome or an error of our tree, into a task result.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import fragment_loader, module_loader
from ansible.utils.display import Display
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.agentless.cloud.plugins.plugin_utils import (
    changes,
    effects,
    hostfacts,
    hosttext,
    limits,
    policy,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, CloudError
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal, configured
from ansible_collections.agentless.cloud.plugins.plugin_utils.rpc import Rpc

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor

_SPEC_KEYS = ("type", "required", "default", "choices", "elements", "aliases")


@dataclass(frozen=True)
class Request:
    """One task, read and validated.

    :param args: the module's options; one that the user did not give has its documented default, or None.
    :param check: whether this is check mode: plan, change nothing.
    :param groups: the inventory's groups and their hosts.
    :param host: the inventory host that the task runs for.
    :param hostvars: the variables of each inventory host.
    :param principal: who asks; in which projects a flow may look is decided with it.
    :param progress: tells the person at the terminal how long work goes on; shown with ``-v``, and always where the
        variable ``agentless_progress`` is true.
    """

    args: Mapping[str, Any]
    check: bool
    conductor: Conductor
    rpc: Rpc
    groups: Mapping[str, Sequence[str]]
    host: str
    hostvars: Mapping[str, Mapping[str, Any]]
    principal: Principal
    progress: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Outcome:
    """What a flow did, or would do in check mode.

    :param values: the returned values, such as ``{"flavor": {...}}``.
    :param changes: what differed; printed by ``--diff``.
    :param header: what the changes are about, such as ``flavor small``.
    """

    changed: bool
    values: Mapping[str, Any]
    changes: Sequence[changes.Change] = field(default_factory=tuple)
    header: str = ""


class CloudAction(ActionBase):
    """An action plugin that reads its task, calls one flow and returns its result.

    :cvar flow: the flow to call, set by the subclass as a ``staticmethod``.
    :cvar secret: names of options whose values never come out again.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    flow: Callable[[Request], Outcome]
    secret: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Serve the task. ``CloudError`` becomes a failed result; anything else is a bug and is left to Ansible."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        name = self._task.action.rpartition(".")[2]
        effects.begin(name, str(self._task.args.get("name", "")))
        spec, args = self._validated(name)
        try:
            result.update(self._serve(policy.asked(name, spec, args), args, variables))
        except CloudError as exc:
            result.update({**exc.as_result(), "msg": hosttext.escaped(exc.msg)})
        return result

    def _validated(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        spec = argument_spec(name, self.secret)
        _result, args = self.validate_argument_spec(argument_spec=spec)
        return spec, {option: args.get(option) for option in spec}

    def _serve(self, ask: policy.Ask, args: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        limits.whole(args)
        principal, host = caller(), str(variables.get("inventory_hostname", "localhost"))
        hostfacts.refuse(host, variables)
        hostvars = hostfacts.HostVariables(variables.get("hostvars", {}))
        variable = self._templar.template(variables.get("agentless_database"))
        with admitted(principal, ask, args.get("database"), variable) as conductor:
            request = Request(
                args=args,
                check=bool(self._task.check_mode),
                conductor=conductor,
                rpc=Rpc(self, hostvars, _Identities(conductor, writing=not self._task.check_mode)),
                groups=variables.get("groups", {}),
                host=host,
                hostvars=hostvars,
                principal=principal,
                progress=_teller(self._templar.template(variables.get("agentless_progress", False))),
            )
            outcome = type(self).flow(request)
        served = {**outcome.values, "changed": outcome.changed}
        if self._task.diff and outcome.changes:
            served["diff"] = changes.render(outcome.changes, outcome.header)
        return served


def _teller(wanted: Any) -> Callable[[str], None]:
    always = boolean(wanted)
    display = Display()

    def tell(line: str) -> None:
        said = hosttext.escaped(line)
        if always:
            display.display(f"    {said}")
        else:
            display.v(said)

    return tell


class _Identities:
    """The recorded identity of hosts, read in one go for each round of calls."""

    def __init__(self, conductor: Conductor, *, writing: bool) -> None:
        self._conductor = conductor
        self._writing = writing

    def recorded(self, hosts: Sequence[str]) -> dict[str, str | None]:
        """The identity of each host named, None for one never met."""
        from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as rooms

        known: dict[str, str | None] = {}
        with self._conductor.read() as conn:
            for host in sorted(set(hosts)):
                record = rooms.endpoint(conn, host)
                known[host] = record["identity"] if record else None
        return known

    def remember(self, host: str, kind: str, identity: str) -> None:
        """Record the identity of a host met for the first time."""
        from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as rooms

        if self._writing:
            with self._conductor.transaction() as conn:
                rooms.remember_endpoint(conn, host, kind, identity)


@contextmanager
def admitted(principal: Principal, ask: policy.Ask, given: str | None, variable: Any = None) -> Iterator[Conductor]:
    """The open conductor, for a principal who may do what is asked; closed when the block ends.

    :param given: the database's address as the task says it.
    :param variable: the variable ``agentless_database``, with its templates rendered.

    :raises BadInput: the principal may not do that.
    :raises NotFound: there is no such project, or the principal has no role in it.
    :raises DatabaseFailed: it is unreachable, locked or newer than this collection.
    """
    # First without the database: what no role of the principal allows does not even open it.
    policy.allow(principal, ask, principal.role_anywhere())
    with _open_conductor(given, variable, principal) as conductor:
        if ask.project is not None and not principal.admin:
            from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects

            with conductor.read() as conn:
                project = projects.resolve(conn, ask.project, principal)
            policy.allow(principal, ask, principal.role_in(project))
        yield conductor


def _open_conductor(given: str | None, variable: Any, principal: Principal) -> Conductor:
    """The conductor at the address found: the task's option, the variable ``agentless_database``, the environment."""
    from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor

    address = str(given or variable or "")
    if address and not principal.admin and address != os.environ.get("AGENTLESS_DATABASE"):
        # A variable can come from who asks, and in a database of their own they would be whoever they like.
        raise BadInput(
            f"A database is named by the task or by the variable agentless_database. For {principal.user!r}, who is no "
            "administrator, it is named by AGENTLESS_DATABASE in the environment of Ansible alone."
        )
    return Conductor.open(address or None, actor=actor(principal))


def caller() -> Principal:
    """Who asks, as the operator's environment says it.

    :raises BadInput: what it says cannot be trusted or understood.
    """
    return configured(_login())


def actor(principal: Principal) -> str:
    """Who asks, for the log: the principal, the controller's user, and the AWX job where there is one."""
    user = _login()
    words = [user] if principal.user == user else [principal.user, f"by:{user}"]
    job = os.environ.get("JOB_ID") or os.environ.get("AWX_JOB_ID")
    return " ".join([*words, f"awx:{job}"] if job else words)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def answer(name: str, rows: Sequence[Mapping[str, Any]], args: Mapping[str, Any]) -> Outcome:
    """The outcome of an ``_info`` module: the rows of that name or id, then the JMESPath query over the list.

    :raises BadInput: the query is not JMESPath, or makes too much of the list.
    """
    wanted = args.get("name")
    found: Any = [dict(row) for row in rows if wanted is None or wanted in (row.get("name"), row.get("id"))]
    if args.get("query"):
        from ansible_collections.agentless.cloud.plugins.plugin_utils import query

        found = query.search(args["query"], found)
    return Outcome(changed=False, values={name: found})


def argument_spec(name: str, secret: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The argument spec of one of our modules, read from its documentation and fragments."""
    path = module_loader.find_plugin(f"agentless.cloud.{name}")
    documentation = get_docstring(path, fragment_loader, collection_name="agentless.cloud")[0]
    return {option: _option(option, text, secret) for option, text in documentation["options"].items()}


def _option(name: str, text: Mapping[str, Any], secret: frozenset[str]) -> dict[str, Any]:
    spec: dict[str, Any] = {key: text[key] for key in _SPEC_KEYS if key in text}
    if name in secret:
        spec["no_log"] = True
    if "suboptions" in text:
        spec["options"] = {key: _option(key, value, secret) for key, value in text["suboptions"].items()}
    return spec
