# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scheduler works on: hosts as they are, and a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HARD = ("affinity", "anti-affinity")
SOFT = ("soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True)
class HostState:
    """One host at one moment.

    :param free: what may still be claimed, overcommit included: ``vcpus``, ``ram`` (MiB), ``disk`` (GiB).
    :param cpu: ``arch``, ``model``, ``vendor`` and ``features``, as the host reported them.
    :param aggregates: metadata by aggregate name.
    :param instance_ids: the instances recorded on it.
    """

    id: str
    name: str
    free: Mapping[str, int]
    state: str = "enabled"
    reason: str | None = None
    zone: str | None = None
    cell: str | None = None
    virt_types: tuple[str, ...] = ()
    cpu: Mapping[str, Any] = field(default_factory=dict)
    aggregates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    instances: int = 0
    instance_ids: frozenset[str] = frozenset()
    planned: bool = False


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
    :param same_host: instances, by id, of which one must be on the host.
    :param different_host: instances, by id, none of which may be on the host.
    :param force_host: the only host that may take it.
    :param exclude: hosts that have been tried already.
    :param real: whether a guest is to run, so that a planned host is no answer.
    """

    vcpus: int
    ram: int
    disk: int
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_properties: Mapping[str, Any] = field(default_factory=dict)
    zone: str | None = None
    same_host: frozenset[str] = frozenset()
    different_host: frozenset[str] = frozenset()
    group: Group | None = None
    force_host: str | None = None
    exclude: frozenset[str] = frozenset()
    real: bool = False

    @property
    def needs(self) -> dict[str, int]:
        """The amounts to claim, under the names of :attr:`HostState.free`."""
        return {"vcpus": self.vcpus, "ram": self.ram, "disk": self.disk}


class Candidate:
    """A host in the course of one batch: what is left of it after the picks so far."""

    __slots__ = ("disk", "host", "instances", "members", "ram", "vcpus")

    def __init__(self, host: HostState, members: int = 0) -> None:
        self.host = host
        self.vcpus = host.free.get("vcpus", 0)
        self.ram = host.free.get("ram", 0)
        self.disk = host.free.get("disk", 0)
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

    :param explanation: ``seen``, ``survivors`` [{filter, left}], ``filtered`` [{filter, host, reason}] and
        ``candidates`` [{host, weight, weights}], best first.
    """

    hosts: tuple[HostState, ...]
    explanation: Mapping[str, Any]
