# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts say they have, looked at before it is believed: forms, and no more of it than a host can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply
from ansible_collections.agentless.cloud.plugins.plugin_utils.hosttext import clean

MOST = 100_000  # things that one host may name
LONGEST = 255  # characters of a name


@dataclass(frozen=True)
class Storage:
    """A storage host.

    :param backends: bytes by name of the thing, by backend.
    :param broken: why a backend did not answer.
    :param targets: names of initiators that are let in, by backend and volume's name.
    :param backstores: backstores that no target uses, as ``backend.name``.
    :param backups: names of backups kept in files.
    """

    backends: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    backstores: frozenset[str] = frozenset()
    backups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Guest:
    """An instance as its host has it: power state, names of its files, serial numbers of its disks.

    :param shown: whether its screen is shown to the network, as earlier releases did.
    """

    state: str
    files: frozenset[str]
    serials: frozenset[str]
    shown: bool = False


@dataclass(frozen=True)
class Compute:
    """A compute host: guests by instance, and the UUIDs of secrets that were made for volumes."""

    guests: Mapping[str, Guest] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()


def storage(host: str, said: Mapping[str, Any]) -> Storage:
    """The answer of a storage host.

    :raises BadReply: it is not of the form agreed.
    """
    backends = {
        name: {thing: _number(host, size) for thing, size in _dict(host, things).items()}
        for name, things in _dict(host, said.get("backends")).items()
    }
    targets = {}
    for entry in _list(host, said.get("targets")):
        one = _dict(host, entry)
        where = (_text(host, one.get("backend")), _text(host, one.get("name")))
        targets[where] = _texts(host, one.get("initiators"))
    broken = {name: clean(why, 500) for name, why in _dict(host, said.get("broken")).items()}
    return Storage(backends, broken, targets, _texts(host, said.get("backstores")), _texts(host, said.get("backups")))


def compute(host: str, said: Mapping[str, Any]) -> Compute:
    """The answer of a compute host.

    :raises BadReply: it is not of the form agreed.
    """
    guests = {}
    for key, entry in _dict(host, said.get("instances")).items():
        one = _dict(host, entry)
        disks = [_dict(host, disk) for disk in _list(host, one.get("disks") or [])]
        serials = frozenset(_text(host, disk["serial"]) for disk in disks if disk.get("serial"))
        shown = bool(_texts(host, one.get("screens") or []))
        guests[key] = Guest(_text(host, one.get("state")), _texts(host, one.get("files")), serials, shown)
    return Compute(guests, _texts(host, said.get("secrets")))


def _bad(host: str) -> BadReply:
    return BadReply(f"{host} did not say what it has in the form agreed.", host=host)


def _dict(host: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST:
        raise _bad(host)
    for key in value:
        _text(host, key)
    return value


def _list(host: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST:
        raise _bad(host)
    return value


def _text(host: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise _bad(host)
    return value


def _texts(host: str, value: Any) -> frozenset[str]:
    return frozenset(_text(host, each) for each in _list(host, value))


def _number(host: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _bad(host)
    return value
