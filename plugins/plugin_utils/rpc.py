# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RPC is Ansible: run backend modules on other inventory hosts, many at once.

The only file that runs modules; how it gets to a host is :mod:`connections`. Every call is a numbered effect, carries
the identity that the host must have, and what comes back is looked at before it is believed.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.cloud.plugins.plugin_utils import bounds, effects, transfers
from ansible_collections.agentless.cloud.plugins.plugin_utils.ahead import Ahead
from ansible_collections.agentless.cloud.plugins.plugin_utils.connections import Connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import (
    FROM_HOSTS,
    BackendFailed,
    BadReply,
    CloudError,
    HostMismatch,
    HostUnreachable,
    Timeout,
)
from ansible_collections.agentless.cloud.plugins.plugin_utils.fan_out import Crowd, Member
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import clean, introduced

PREFIX = "agentless.cloud."
DEADLINE = 900  # seconds a call may take where the caller does not say
INTRODUCTION = 120  # seconds that a host never met has to say who it is; all others wait for that
RUSH_TRIES = 8
RUSH_SIGNS = (
    "kex_exchange_identification",
    "ssh_exchange_identification",
    "Session open refused by peer",
    # ansible-core says this of an ssh that is about to die of one of the above and could not be reaped within 1 ms;
    # the host may have got the beginning of a packed module, which does not run
    "Data could not be sent to remote host",
)
NOBODY_THERE = "ssh: connect to host"  # follows the same words of ansible-core where the host is dead


@dataclass(frozen=True)
class Call:
    """Operations for one host.

    :param module: short name of the backend module, such as ``compute_backend``.
    :param operations: each ``{"op": ..., "id": ..., "generation": ..., ...}``.
    :param timeout: seconds until the call counts as failed.
    """

    host: str
    module: str
    operations: Sequence[Mapping[str, Any]]
    timeout: int = DEADLINE

    @property
    def introduces(self) -> bool:
        """Whether the call itself asks the host who it is."""
        return all(op["op"] in ("identify", "discover") for op in self.operations)

    @property
    def subject(self) -> str:
        """How messages about the call begin."""
        return f"{self.module} on {self.host}"

    @property
    def label(self) -> str:
        """What the numbered choke point calls this effect."""
        verbs = ",".join(sorted({str(op["op"]) for op in self.operations}))
        return f"{self.module}:{verbs}@{self.host}"


@dataclass
class Reply:
    """What one call brought: a result for each operation, or the reason why there is none."""

    host: str
    results: list[dict[str, Any]] = field(default_factory=list)
    identity: str | None = None
    error: CloudError | None = None


class Identities(Protocol):
    """The identities of hosts that the conductor has recorded."""

    def recorded(self, hosts: Sequence[str]) -> Mapping[str, str | None]:
        """The identity of each host named, None for one never met."""

    def remember(self, host: str, kind: str, identity: str) -> None:
        """Record the identity of a host met for the first time."""


class Rpc:
    """The bus of one running task.

    :param action: the running action plugin; lends its task, play context, loader and templar.
    :param hostvars: the variables of each inventory host.
    :param identities: where the hosts' identities are kept.
    """

    def __init__(self, action: ActionBase, hostvars: Mapping[str, Any], identities: Identities) -> None:
        self._action = action
        self._connections = Connections(action, hostvars)
        self._identities = identities
        self._ahead = Ahead(self._connections)

    def expect(self, hosts: Iterable[str], module: str, *, packed: bool = True) -> None:
        """Get hosts ready for a call of a module that is about to come, and return at once. It changes nothing.

        :param packed: pack the module too; not beside work of this process itself.
        """
        self._ahead.expect(hosts, PREFIX + module, packed=packed)

    def call(self, call: Call) -> list[dict[str, Any]]:
        """The results of one call, in the order of its operations.

        :raises CloudError: the call failed, or its first failing operation did.
        """
        return self.results(self.map([call])[0])

    @staticmethod
    def results(reply: Reply) -> list[dict[str, Any]]:
        """The results of a reply in which nothing failed.

        :raises CloudError: what failed first, with the host in its details.
        """
        if reply.error is not None:
            raise reply.error
        for result in reply.results:
            if not result["ok"]:
                raise failure(reply.host, result)
        return reply.results

    def map(self, calls: Sequence[Call], *, meanwhile: Callable[[], None] = lambda: None) -> list[Reply]:
        """Run all calls at once; a failing host never stops the others, and replies keep the order of the calls.

        :param meanwhile: done once while the hosts work, such as :meth:`expect` for the calls that come next.
        """
        known, strangers = self._acquainted(calls)
        met = self._run([call for call in calls if call.host not in strangers], known, meanwhile)
        in_order = iter(met)
        return [
            Reply(call.host, error=strangers[call.host]) if call.host in strangers else next(in_order) for call in calls
        ]

    def _acquainted(self, calls: Sequence[Call]) -> tuple[dict[str, str | None], dict[str, CloudError]]:
        """The identity of each host called; a host never met is asked first, and its answer is recorded for ever.

        Returns also the hosts that could not be asked, with the reason.
        """
        known = dict(self._identities.recorded([call.host for call in calls]))
        unmet = {call.host: call for call in calls if known.get(call.host) is None and not call.introduces}
        asked = [{"op": "identify"}]
        introductions = [Call(host, one.module, asked, timeout=INTRODUCTION) for host, one in unmet.items()]
        strangers: dict[str, CloudError] = {}
        for call, reply in zip(introductions, self._run(introductions, {}) if introductions else [], strict=True):
            if reply.error is not None:
                strangers[call.host] = reply.error
            elif reply.identity is not None:
                self._identities.remember(call.host, call.module.partition("_")[0], reply.identity)
                known[call.host] = reply.identity
        return known, strangers

    def _run(
        self, calls: Sequence[Call], known: Mapping[str, str | None], meanwhile: Callable[[], None] = lambda: None
    ) -> list[Reply]:
        replies = [Reply(call.host) for call in calls]
        crowd = Crowd([call.timeout for call in calls])
        members: list[tuple[Member, int]] = []
        for place, call in enumerate(calls):
            work = self._prepared(call, known.get(call.host), replies[place])
            if work is not None:
                members.append((crowd.start(work, call.timeout), place))
        meanwhile()
        for member, place in members:
            if not crowd.wait(member):
                late = _late(calls[place], begun=member.began is not None)
                replies[place] = Reply(calls[place].host, error=late)
        return replies

    def put(self, host: str, local: str, remote: str) -> str:
        """Copy a file of the controller to a host; returns where it lies there, see :func:`transfers.put`."""
        normal = self._connections.to(host)
        return effects.backend(f"put@{host}").carry_out(lambda _fault: transfers.put(normal, host, local, remote))

    def fetch(self, host: str, remote: str, local: str, *, size: int) -> None:
        """Copy a file of a host, which the login user may read and which has ``size`` bytes, to the controller."""
        normal = self._connections.to(host)
        effects.backend(f"fetch@{host}").carry_out(
            lambda _fault: transfers.fetch(normal, host, remote, local, size=size)
        )

    def _prepared(self, call: Call, identity: str | None, reply: Reply) -> Callable[[float], None] | None:
        """The work of one call; None (and the error in the reply) where not even a connection can be made."""
        try:
            connected = self._ahead.to(call.host, PREFIX + call.module)
        except CloudError as exc:
            reply.error = exc
            return None
        effect = effects.backend(call.label)
        payload = json.dumps([dict(op) for op in call.operations])
        name = PREFIX + call.module

        def run(fault: str | None) -> dict[str, Any]:
            args = {"identity": identity, "payload": payload, "fault": fault}
            variables = self._connections.variables(call.host)
            return _past_a_rush(
                lambda: dict(connected()._execute_module(module_name=name, module_args=dict(args), task_vars=variables))
            )

        def work(seconds: float) -> None:
            most = bounds.answer(len(call.operations))
            try:
                with bounds.Bound(call.host, call.subject, size=most, seconds=seconds).held():
                    raw = effect.carry_out(run)
                reply.results, reply.identity = _validated(call, identity, raw)
            except CloudError as exc:
                exc.details.setdefault("host", call.host)
                reply.error = exc
            except AnsibleConnectionFailure as exc:
                reply.error = HostUnreachable(f"{call.host} cannot be reached: {clean(str(exc))}", host=call.host)
            except Exception as exc:  # the edge: a thread must not die with the reason untold
                reply.error = BackendFailed(f"{call.module} on {call.host} failed: {clean(str(exc))}", host=call.host)

        return work


def failure(host: str, result: Mapping[str, Any]) -> CloudError:
    """The error of one failed operation. Only the classes that a host may name are taken from it."""
    kind = FROM_HOSTS.get(clean(result.get("error")), BackendFailed)
    return kind(f"{host}: {clean(result.get('msg'))}", host=host)


def _past_a_rush(perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Connect again where sshd turned us away at the door because too many came at once (MaxStartups, MaxSessions).

    Nothing ran there, and it passes. Every other failure to connect is told at once.
    """
    for attempt in range(1, RUSH_TRIES + 1):
        try:
            return perform()
        except AnsibleConnectionFailure as exc:
            rush = NOBODY_THERE not in str(exc) and any(sign in str(exc) for sign in RUSH_SIGNS)
            if attempt == RUSH_TRIES or not rush:
                raise
            time.sleep(random.uniform(0.2, 1.0) * attempt)  # spreads the crowd, guards no secret
    raise AnsibleConnectionFailure("not reached")


def _late(call: Call, *, begun: bool) -> Timeout:
    if begun:
        return bounds.late(call.host, call.subject, call.timeout)
    return Timeout(
        f"{call.subject} was not called, since too many other hosts did not answer. Nothing was done there; run again.",
        host=call.host,
    )


def _validated(call: Call, identity: str | None, raw: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """The results in a module's answer. It comes from a host, so nothing in it is believed before it is looked at."""
    if raw.get("unreachable"):
        raise HostUnreachable(f"{call.host} cannot be reached: {clean(raw.get('msg'))}", host=call.host)
    # ansible-core renames a results list that is not a list of its own
    results = raw.get("results", raw.get("ansible_module_results"))
    if raw.get("failed") or results is None:
        raise failure(call.host, {**raw, "msg": raw.get("msg") or raw.get("module_stderr") or raw.get("exception")})
    if not isinstance(results, list) or len(results) != len(call.operations):
        raise BadReply(f"{call.host} did not answer each operation of {call.module}.", host=call.host)
    if not all(isinstance(result, dict) and isinstance(result.get("ok"), bool) for result in results):
        raise BadReply(f"{call.host} gave an answer of {call.module} that is not of the form agreed.", host=call.host)
    found = introduced(call.host, raw.get("identity"))
    if identity is not None and found != identity:
        raise HostMismatch(f"{call.host} answered as {found!r}, recorded is {identity!r}.", host=call.host)
    return [dict(result) for result in results], found
