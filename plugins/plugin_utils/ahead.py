# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Getting ready for a call while something else is waited for.

Opening an SSH connection and packing a module with what it imports take longer than many a call itself. Both are known
to be needed before the call can be made, and neither changes anything, so they are done in the shadow of what comes
before: a connection while the database decides, a packing while a host works. A packing beside other work of this
process would only slow both, since they share one interpreter.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.cloud.plugins.plugin_utils import bounds
from ansible_collections.agentless.cloud.plugins.plugin_utils.connections import Connections
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError

OPENING = 60  # seconds; ssh itself gives up connecting sooner
MOST = 32  # hosts got ready at once; more would only queue on the controller's cores


class Ahead:
    """The hosts of one task that are being got ready. Modules go by their full names."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: dict[tuple[str, str], _Host] = {}
        self._packed: set[str] = set()

    def expect(self, hosts: Iterable[str], module: str, *, packed: bool) -> None:
        """Begin to get hosts ready for a call of a module, and return at once."""
        for host in list(hosts)[:MOST]:
            if (host, module) in self._waiting:
                continue
            try:
                waiting = self._waiting[host, module] = _Host(self._connections.to(host), host)
            except CloudError:
                continue  # the call itself will meet it, and tells it with its own words
            if packed and module not in self._packed:
                self._packed.add(module)
                waiting.also(partial(_pack, waiting.normal, module, self._connections.variables(host)))

    def to(self, host: str, module: str) -> Callable[[], ActionBase]:
        """A function that gives the action plugin connected to a host, got ready or not.

        :raises BadInput: as :meth:`Connections.to`. What is returned raises AnsibleConnectionFailure.
        """
        waiting = self._waiting.pop((host, module), None)
        normal = waiting.normal if waiting else self._connections.to(host)
        if module in self._packed:
            return waiting.ready if waiting else lambda: normal
        self._packed.add(module)
        waiting = waiting or _Host(normal, host)  # the connection opens beside the packing
        _pack(normal, module, self._connections.variables(host))
        return waiting.ready


class _Host:
    def __init__(self, normal: ActionBase, name: str) -> None:
        self.normal, self._name = normal, name
        self._failure: AnsibleConnectionFailure | None = None
        self._threads: list[threading.Thread] = []
        if _shared(normal._connection):
            self.also(self._open)

    def also(self, work: Callable[[], None]) -> None:
        """Do something aside before the host is ready."""
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def ready(self) -> ActionBase:
        """Wait, as long as the call may take, and return the action plugin.

        :raises AnsibleConnectionFailure: the host could not be reached. Told once; who asks again may try for himself.
        """
        for thread in self._threads:
            thread.join(bounds.seconds_left())
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self.normal

    def _open(self) -> None:
        bound = bounds.Bound(self._name, f"A connection to {self._name}", size=bounds.ANSWER, seconds=OPENING)
        try:
            with bound.held():
                self.normal._connection.exec_command("true", sudoable=False)
        except AnsibleConnectionFailure as exc:
            self._failure = exc
        except (AnsibleError, CloudError):
            return  # as above


def _shared(connection: Any) -> bool:
    """Whether later commands go over the connection that a first one opened. Else opening ahead would open one more."""
    options = ("ssh_args", "ssh_common_args", "ssh_extra_args")
    return connection.transport == "ssh" and any(
        "controlpersist" in (connection.get_option(name) or "").lower() for name in options
    )


def _pack(normal: ActionBase, module: str, variables: Mapping[str, Any]) -> None:
    """Have Ansible pack a module; it keeps the package for the rest of the run."""
    try:
        normal._configure_module(module, {}, dict(variables))
    except AnsibleError:
        return  # as above
