# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asks: a user, their role in each project, and whether they are an administrator of the cloud.

The operator names the principal by a file, whose path is in ``AGENTLESS_PRINCIPAL_FILE`` in the environment of Ansible
itself. No option, variable or ``environment`` of a task reaches that. Whoever can set it, or can run code as the
controller's user, is the operator; see ``docs/authorisation.md``. Without it the controller's user is an administrator.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.agentless.cloud.plugins.plugin_utils import names
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput

ENVIRONMENT = "AGENTLESS_PRINCIPAL_FILE"
READER, MEMBER, ADMIN = "reader", "member", "admin"
# The roles in a project, each with what those before it may. ADMIN is no role in a project: it is for the whole cloud.
ROLES = (READER, MEMBER)
LARGEST = 64 * 1024
_KEYS = frozenset({"user", "roles", "admin"})
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Principal:
    """Who asks.

    :param roles: the role in each project, by the project's name or id.
    :param admin: whether everything is allowed, in all projects and above them.
    """

    user: str
    roles: Mapping[str, str] = field(default_factory=dict)
    admin: bool = False

    def role_in(self, project: Mapping[str, Any]) -> str | None:
        """The role in the project of that record; None where the principal has none."""
        return _highest(self.roles[key] for key in (project["id"], project["name"]) if key in self.roles)

    def role_anywhere(self) -> str | None:
        """The highest role that the principal has in any project."""
        return _highest(self.roles.values())


def suffices(role: str | None, needed: str) -> bool:
    """Whether a role in a project covers the one needed. What only an administrator may, no role covers."""
    return role in ROLES and needed in ROLES and ROLES.index(role) >= ROLES.index(needed)


def configured(login: str) -> Principal:
    """The principal that the operator has named, else the controller's user, who may do everything.

    :raises BadInput: the operator's file cannot be trusted or understood; nobody is let in instead.
    """
    path = os.environ.get(ENVIRONMENT)
    return Principal(login, admin=True) if path is None else _understood(path, _read(path))


def _highest(roles: Any) -> str | None:
    return max((role for role in roles if role in ROLES), key=ROLES.index, default=None)


def _read(path: str) -> bytes:
    """What is in the file. It is looked at when it is open, so that it cannot be exchanged in between."""
    if not os.path.isabs(path):
        raise BadInput(f"{ENVIRONMENT} is {path!r}; give an absolute path, or unset it to act as an administrator.")
    try:
        # Opening a pipe without a writer would wait for one.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise BadInput(f"{path}, which {ENVIRONMENT} names, is not a file.")
            if about.st_uid not in (0, os.geteuid()) or about.st_mode & _OTHERS_MAY_WRITE:
                raise BadInput(
                    f"{path}, which {ENVIRONMENT} names, belongs to uid {about.st_uid} with mode "
                    f"{stat.S_IMODE(about.st_mode):04o}. It says who may do what, so it must belong to root or to the "
                    "user who runs Ansible, and nobody else may write it: chown it and chmod 0600."
                )
            text = file.read(LARGEST + 1)
    except OSError as exc:
        raise BadInput(f"{path}, which {ENVIRONMENT} names, cannot be read: {exc.strerror}.") from exc
    if len(text) > LARGEST:
        raise BadInput(f"{path}, which {ENVIRONMENT} names, is larger than {LARGEST // 1024} KiB.")
    return text


def _understood(path: str, text: bytes) -> Principal:
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        raise BadInput(f"{path}, which {ENVIRONMENT} names, is not YAML.") from exc
    if not isinstance(given, dict) or not set(given) <= _KEYS or not isinstance(given.get("user"), str):
        raise BadInput(f"{path} must be a dictionary with user, and roles or admin; there is no other key.")
    roles, admin = given.get("roles") or {}, given.get("admin", False)
    if not isinstance(admin, bool):
        raise BadInput(f"{path}: admin is {admin!r}; it can be true or false.")
    if not isinstance(roles, dict):
        raise BadInput(f"{path}: roles must be a dictionary of projects and the role in each.")
    for project, role in roles.items():
        if not isinstance(project, str) or role not in ROLES:
            raise BadInput(
                f"{path}: roles has {project!r}: {role!r}; a project is a text (quote numbers), its role one of "
                f"{', '.join(ROLES)}."
            )
    return Principal(names.label("user of a principal", given["user"]), dict(roles), admin)
