# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to other inventory hosts of the running play, made as Ansible makes them for a delegated task.

The connection plugin, variables, become and interpreter are those of the host called. Differences, each for a reason:

- pipelining is on unless the host's variables say otherwise, so that arguments (user data, keys) never lie in a file
  on the host and a call is one SSH round trip instead of four;
- the interpreter is ``/usr/bin/python3`` unless the host's variables say otherwise: libvirt's and OVN's Python
  bindings are packages of the system's Python, and discovery costs a round trip;
- SSH sends keep-alives, so that a host that dies in the middle of a call is noticed in seconds. They belong to the
  connection that is shared (ControlPersist), so that one that the play opened without them is not used: ours has a
  socket of its own. Where the configuration itself asks for keep-alives, or names the socket, both share one;
- what a host sends is bounded, see :mod:`bounds`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import action_loader, become_loader, connection_loader
from ansible.utils.display import Display

from ansible_collections.agentless.cloud.plugins.plugin_utils import bounds
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import quiet

display = Display()
KEEP_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=4"
_PLAIN = (
    "ansible_host",
    "ansible_connection",
    "ansible_become",
    "ansible_become_method",
    "ansible_python_interpreter",
    "ansible_remote_tmp",
    "ansible_module_compression",
)


class Connections:
    """Connects to hosts in the name of a running action.

    :param action: lends its task, play context, loader and templar.
    :param hostvars: the variables of each inventory host.
    """

    def __init__(self, action: ActionBase, hostvars: Mapping[str, Mapping[str, Any]]) -> None:
        self._action = action
        self._hostvars = hostvars
        self._become_method = str(action._task.become_method or C.DEFAULT_BECOME_METHOD)

    def __contains__(self, host: str) -> bool:
        """Whether the inventory of the play has the host."""
        return host in self._hostvars

    def variables(self, host: str) -> dict[str, Any]:
        """The variables of the host that Ansible itself reads when it connects and runs a module.

        Each is looked up by name: a template in any other variable of the host is none of our business.
        """
        hostvars = self._hostvars[host]
        present = set(hostvars)
        kind = str(hostvars["ansible_connection"]) if "ansible_connection" in present else "ssh"
        method = str(hostvars["ansible_become_method"]) if "ansible_become_method" in present else self._become_method
        wanted = set(_PLAIN).union(
            C.config.get_plugin_vars("connection", kind),
            C.config.get_plugin_vars("shell", str(hostvars.get("ansible_shell_type", "sh"))),
            C.config.get_plugin_vars("become", method),
        )
        found = {key: hostvars[key] for key in wanted & present}
        found.setdefault("ansible_python_interpreter", "/usr/bin/python3")
        return found

    def to(self, host: str) -> ActionBase:
        """The action plugin that runs modules, connected (lazily) to the host.

        :raises BadInput: the inventory has no such host, or its connection plugin is not installed.
        """
        if host not in self._hostvars:
            raise BadInput(f"Host {host!r} is not in the inventory of this play.", host=host)
        variables = self.variables(host)
        task = self._action._task.copy()
        task.delegate_to = None
        task.async_val = 0
        play_context = self._action._play_context.copy()
        play_context.remote_addr = variables.get("ansible_host", host)
        kind = str(variables.get("ansible_connection", "ssh"))
        connection = connection_loader.get(
            kind, play_context, None, task_uuid=task._uuid, ansible_playbook_pid=str(os.getppid())
        )
        if connection is None:
            raise BadInput(f"Host {host!r} has the connection plugin {kind!r}, which is not installed.", host=host)
        self._set_options(connection, variables, host, task)
        if not bounds.install(connection) and connection.transport != "local":
            display.warning(
                f"What a host sends over the connection plugin {kind!r} is not bounded; with 'ssh' of a supported "
                "ansible-core it is."
            )
        action = action_loader.get(
            "ansible.legacy.normal",
            task=task,
            connection=connection,
            play_context=play_context,
            loader=self._action._loader,
            templar=self._action._templar,
            shared_loader_obj=self._action._shared_loader_obj,
        )
        if not isinstance(action, ActionBase):
            raise BackendFailed("ansible-core gave no action plugin to run modules.", host=host)
        action._low_level_execute_command = _quieted(action._low_level_execute_command)
        return action

    def _set_options(self, connection: Any, variables: Mapping[str, Any], host: str, task: Any) -> None:
        become = boolean(variables.get("ansible_become", task.become or False))
        if become:
            method = variables.get("ansible_become_method", self._become_method)
            connection.set_become_plugin(become_loader.get(str(method)))
        keys = {"timeout": self._action._play_context.timeout, "remote_user": task.remote_user}
        plugins = [("connection", connection), ("shell", connection._shell)]
        if become:
            keys = {**keys, "become_user": task.become_user, "become_pass": self._action._play_context.become_pass}
            plugins.append(("become", connection.become))
        for kind, plugin in plugins:
            wanted = C.config.get_plugin_vars(kind, plugin._load_name)
            options = {key: variables[key] for key in wanted if key in variables}
            if kind == "connection":
                options.setdefault("inventory_hostname", host)
            plugin.set_options(task_keys={k: v for k, v in keys.items() if v is not None}, var_options=options)
        _tune(connection, variables)


def _quieted(execute: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Run commands as before; ansible-core shows some of what they print as it is, in warnings."""
    return lambda *args, **kwargs: quiet(execute(*args, **kwargs))


def _tune(connection: Any, variables: Mapping[str, Any]) -> None:
    names = connection.get_options() if hasattr(connection, "get_options") else {}
    if "pipelining" in names and not {"ansible_pipelining", "ansible_ssh_pipelining"} & set(variables):
        connection.set_option("pipelining", True)
    if "ssh_common_args" in names:  # common to ssh and sftp: whichever comes first opens what both share
        given = [connection.get_option(name) or "" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args")]
        said = " ".join(given).lower()
        if "serveraliveinterval" in said:
            return
        connection.set_option("ssh_common_args", f"{given[1]} {KEEP_ALIVE}".strip())
        if not connection.get_option("control_path") and "controlpath" not in said:
            connection.set_option("control_path", _own_socket(connection))


def _own_socket(connection: Any) -> str:
    """Where SSH listens for our calls to this host; no longer than Ansible's own, since a socket's path has a limit."""
    whom = "-".join(str(connection.get_option(name)) for name in ("host", "port", "remote_user"))
    return "%(directory)s/" + hashlib.sha256(f"agentless-{whom}".encode()).hexdigest()[:10]
