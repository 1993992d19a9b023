# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that go over the connection to a host, bounded in size and time.

A file of a host is read from the standard output of a command there and written as it comes: what sftp and scp do with
a file they write themselves, as long as the host sends.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.cloud.plugins.plugin_utils import bounds
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BackendFailed, BadReply, HostUnreachable
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import clean

BEGIN = 900  # seconds that a file may take besides
SLOW = 1 << 20  # bytes a second that a connection has at least
_LOST = 255  # exit status of an ssh that has no connection


def seconds(size: int) -> float:
    """The seconds that a file of a size may take."""
    return BEGIN + size / SLOW


def put(normal: ActionBase, host: str, local: str, remote: str) -> str:
    """Copy a file of the controller to a host; returns where it lies there.

    With become it goes to a temporary directory of the login user, since only that one can write there.

    :raises HostUnreachable, Timeout: it is not there, or not all of it.
    """
    subject = f"The copy of a file to {host}"
    bound = bounds.Bound(host, subject, size=bounds.ANSWER, seconds=seconds(os.path.getsize(local)))
    try:
        with bound.held():
            if normal._connection.become is not None:
                remote = f"{normal._make_tmp_path()}{remote.rsplit('/', 1)[-1]}"
            normal._connection.put_file(local, remote)
            return remote
    except AnsibleError as exc:
        raise HostUnreachable(f"The file could not be copied to {host}: {clean(str(exc))}", host=host) from exc


def fetch(normal: ActionBase, host: str, remote: str, local: str, *, size: int) -> None:
    """Copy a file of a host, which the login user may read, to the controller.

    :param size: bytes that the file has. If the host sends more, it is cut off there.
    :raises BadReply: the file has another size.
    """
    subject, connection = f"The copy of a file from {host}", normal._connection
    try:
        if bounds.install(connection):
            with open(local, "wb") as into:
                bound = bounds.Bound(host, subject, size=size, seconds=seconds(size), into=into)
                _read(connection, bound, remote)
        else:
            connection.fetch_file(remote, local)
    except AnsibleError as exc:
        raise HostUnreachable(f"The file could not be copied from {host}: {clean(str(exc))}", host=host) from exc
    except OSError as exc:
        raise BackendFailed(f"{subject} cannot be kept on the controller: {exc}", host=host) from exc
    came = os.path.getsize(local)
    if came != size:
        raise BadReply(f"{host} said that a file has {size} bytes, and sent {came}.", host=host)


def _read(connection: Any, bound: bounds.Bound, remote: str) -> None:
    given = connection.get_option("ssh_extra_args") or ""
    connection.set_option("ssh_extra_args", f"{given} -T".strip())  # a terminal would change what goes over it
    with bound.held():
        code, _out, said = connection.exec_command(f"cat {connection._shell.quote(remote)}", sudoable=False)
    if code != 0:
        kind = HostUnreachable if code == _LOST else BackendFailed
        raise kind(
            f"The file could not be copied from {bound.host}: {clean(said.decode(errors='replace').strip()[-500:])}",
            host=bound.host,
        )
