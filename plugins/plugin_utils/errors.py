# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of the controller side, in one tree.

::

    CloudError
    ├── BadInput            the task asks for something that cannot be meant
    ├── NotFound            a named thing does not exist; carries the nearest names
    ├── AlreadyExists       the name, address or key is taken
    ├── InUse               it cannot go while others depend on it
    ├── Conflict            its state moved under us; run again
    ├── ChangeRefused       this option cannot change in place; says what does it
    ├── QuotaExceeded       the project's limit is reached
    ├── NoValidHost         no host passed; carries the explanation
    ├── ClaimLost           a claim did not fit any more when it was written
    ├── AddressExhausted    the subnet has no free address
    ├── AddressInUse        the address or MAC asked for is taken
    ├── ImageRefused        the image is not what was said, or is not safe
    ├── DatabaseFailed      the database is unreachable, locked or too new
    ├── Timeout             the work did not finish in the time given
    └── BackendFailed       a host said no, or said nothing
        ├── HostUnreachable     no connection, or the answer never came
        ├── HostMismatch        another machine answers under this name
        ├── StaleGeneration     the host has seen a later order than ours
        └── BadReply            the answer is not of the form agreed

The class name is the ``error`` that a playbook sees, so it is part of the interface. One class stands for one
reason that a caller treats differently; everything else is in ``details``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class CloudError(Exception):
    """A failure that a person can act on.

    :param msg: one paragraph: what was asked, what was found, what to do next.
    :param details: what belongs to the class (``host``, ``limit``, ``explanation``, ...), returned beside ``msg``.
    """

    def __init__(self, msg: str, **details: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.details = details

    @property
    def error(self) -> str:
        """The machine-readable name of this error."""
        return type(self).__name__

    def as_result(self) -> dict[str, Any]:
        """The failed task result: nothing but ``msg``, ``error`` and the details."""
        return {**self.details, "failed": True, "changed": False, "msg": self.msg, "error": self.error}


class BadInput(CloudError):
    """The task asks for something that cannot be meant."""


class NotFound(CloudError):
    """A named thing does not exist."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str] = ()) -> NotFound:
        """Name the missing thing and the nearest known names (at most three)."""
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
        hint = f" Nearest: {', '.join(near)}." if near else ""
        return cls(f"{kind} {name!r:.300} was not found.{hint}", kind=kind, name=name, nearest=near)


class AlreadyExists(CloudError):
    """The name, address or key is taken."""


class InUse(CloudError):
    """It cannot go while others depend on it."""


class Conflict(CloudError):
    """The record's state moved under us; nothing was written."""


class ChangeRefused(CloudError):
    """This option cannot change in place; the message says what does it."""


class QuotaExceeded(CloudError):
    """The project's limit is reached; ``limit``, ``used`` and ``resource`` are in the details."""


class NoValidHost(CloudError):
    """No host passed the filters; ``explanation`` is in the details."""


class ClaimLost(CloudError):
    """A claim did not fit any more when it was written."""


class AddressExhausted(CloudError):
    """The subnet has no free address in its pools."""


class AddressInUse(CloudError):
    """The address or MAC asked for is taken."""


class ImageRefused(CloudError):
    """The image is not what was said, or is not safe to give to a guest."""


class DatabaseFailed(CloudError):
    """The database is unreachable, locked or newer than this collection."""


class Timeout(CloudError):
    """The work did not finish in the time given."""


class BackendFailed(CloudError):
    """A host said no, or said nothing; ``host`` is in the details."""


class HostUnreachable(BackendFailed):
    """No connection, or the answer never came: what was done there is not known."""


class HostMismatch(BackendFailed):
    """Another machine answers under this inventory name."""


class StaleGeneration(BackendFailed):
    """The host has already carried out a later order for this object."""


class BadReply(BackendFailed):
    """The host's answer is not of the form agreed."""


# What a backend may name in ``error``; everything else becomes BackendFailed, so a host cannot choose our classes.
FROM_HOSTS: dict[str, type[CloudError]] = {
    cls.__name__: cls for cls in (ImageRefused, HostMismatch, StaleGeneration, Timeout, NotFound, InUse, BackendFailed)
}
