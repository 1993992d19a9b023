# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scheduler works on: hosts as they are, and a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class HostState(NamedTuple):
    """One host at one moment. A tuple, because ten thousand of them are made for one question.

    ``vcpus``, ``ram`` (MiB) and ``disk`` (GiB) are what may still be claimed, overcommit included. ``cpu`` has
    ``arch``, ``model``, ``vendor`` and ``features``, as the host reported them; ``aggregates`` metadata by name.
    """

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int
    state: str = "enabled"
    reason: str | None = None
    zone: str | None = None
    virt_types: tuple[str, ...] = ()
    cpu: Mapping[str, Any] = _NOTHING
    aggregates: Mapping[str, Mapping[str, Any]] = _NOTHING
    instances: int = 0
    planned: bool = False

    def less(self, request: RequestSpec) -> HostState:
        """The host with one more instance of that kind."""
        return self._replace(
            vcpus=self.vcpus - request.vcpus,
            ram=self.ram - request.ram,
            disk=self.disk - request.disk,
            instances=self.instances + 1,
        )


@dataclass(frozen=True)
class Group:
    """The server group of a request.

    :param hosts: how many members are on each host now, by host name.
    :param max_per_host: for anti-affinity, how many members one host may have.
    """

    id: str
    policy: str
    max_per_host: int = 1
    hosts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestSpec:
    """What one instance wants of a host. Equal requests can be placed as one batch.

    :param ram: MiB.
    :param disk: GiB.
    :param same_host: the hosts of the instances of which one must be its neighbour; None: no matter.
    :param different_host: the hosts of the instances that must not be its neighbours.
    :param force_host: the only host that may take it.
    :param exclude: hosts that have been tried already.
    :param connections: how its volumes must be reached, beyond what every host can.
    :param able: the hosts that can; None: no matter.
    :param real: whether a guest is to run, so that a planned host is no answer.
    """

    vcpus: int
    ram: int
    disk: int
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_properties: Mapping[str, Any] = field(default_factory=dict)
    zone: str | None = None
    same_host: frozenset[str] | None = None
    different_host: frozenset[str] = frozenset()
    group: Group | None = None
    force_host: str | None = None
    exclude: frozenset[str] = frozenset()
    real: bool = False
    connections: tuple[str, ...] = ()
    able: frozenset[str] | None = None

    @property
    def needs(self) -> dict[str, int]:
        """The amounts to claim."""
        return {"vcpus": self.vcpus, "ram": self.ram, "disk": self.disk}

    @property
    def policy(self) -> str | None:
        """The policy of its server group."""
        return self.group.policy if self.group else None

    def times(self, count: int) -> RequestSpec:
        """As much as so many of them want together."""
        return replace(self, vcpus=self.vcpus * count, ram=self.ram * count, disk=self.disk * count)


class Candidate:
    """A host in the course of one batch: what is left of it after the picks so far."""

    __slots__ = ("disk", "host", "instances", "members", "ram", "vcpus")

    def __init__(self, host: HostState, members: int = 0) -> None:
        self.host = host
        self.vcpus = host.vcpus
        self.ram = host.ram
        self.disk = host.disk
        self.instances = host.instances
        self.members = members  # of the request's server group

    def take(self, request: RequestSpec) -> None:
        """One more instance of the request is on this host."""
        self.vcpus -= request.vcpus
        self.ram -= request.ram
        self.disk -= request.disk
        self.instances += 1
        self.members += 1


@dataclass(frozen=True)
class Placement:
    """The hosts picked, in the order of the instances, and the story of how.

    :param explanation: ``seen``, ``survivors`` [{filter, left}], ``filtered`` [{filter, host, reason}] with
        ``filtered_counts`` {filter: hosts}, and ``candidates`` [{host, weight, weights}], best first.
    """

    hosts: tuple[HostState, ...]
    explanation: Mapping[str, Any]
