# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a volume would go, and why: the pipeline of hosts for backends of storage hosts, with the same explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.operators import matches
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.story import MOST_CANDIDATES, Story, Words

_WORDS = Words("volume", "backend", "No backend is registered: give storage hosts volume_backends and run site.")
_SCOPE = "capabilities:"
CONNECTION = "connection"  # for the compute host: how it reaches the volume
# How a volume is reached, by the driver of its backend: never what the storage host says.
PROTOCOLS: Mapping[str, str] = {"lvm": "iscsi", "file": "iscsi", "nfs": "nfs", "rbd": "rbd", "gluster": "gluster"}


class BackendState(NamedTuple):
    """One backend at one moment.

    :param free: GiB that may still be claimed, overcommit included.
    :param capabilities: what its driver can, as texts, numbers and booleans by name.
    """

    id: str
    name: str
    host: str
    driver: str
    free: int
    state: str = "enabled"
    zone: str | None = None
    capabilities: Mapping[str, Any] = {}

    @property
    def label(self) -> str:
        """The backend in a message."""
        return f"{self.host}@{self.name}"

    @property
    def protocol(self) -> str:
        """How compute hosts reach its volumes."""
        return PROTOCOLS.get(self.driver, self.driver)


@dataclass(frozen=True)
class VolumeSpec:
    """What one volume wants of a backend.

    :param size: GiB.
    :param backend: the name that its type demands; empty: any.
    :param only: the one backend that it can be, by id.
    :param exclude: ids of backends that have been tried already.
    :param same_host: storage hosts of which it must be on one; None: no matter.
    """

    size: int
    backend: str = ""
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    only: str | None = None
    exclude: frozenset[str] = frozenset()
    same_host: frozenset[str] | None = None
    different_host: frozenset[str] = frozenset()


def place(backends: Sequence[BackendState], spec: VolumeSpec) -> tuple[BackendState, Mapping[str, Any]]:
    """The backend with the most room among those that pass, and the explanation.

    :raises NoValidHost: none passes; carries the explanation.
    """
    story = Story(len(backends), _WORDS)
    left = list(backends)
    for name, why_not in FILTERS.items():
        passing = []
        for backend in left:
            reason = why_not(backend, spec)
            if reason is None:
                passing.append(backend)
            else:
                story.fell(name, backend.label, reason)
        left = passing
        story.left(name, len(left))
    if not left:
        raise story.no_valid_host(1, 0)
    ranked = sorted(left, key=lambda backend: (-backend.free, backend.label))
    for backend in ranked[:MOST_CANDIDATES]:
        parts = {"Capacity": float(backend.free)}
        story.candidates.append({"host": backend.label, "weight": float(backend.free), "weights": parts})
    return ranked[0], story.told()


def fits(backend: BackendState, spec: VolumeSpec) -> bool:
    """Whether a volume that is there already may stay for what its type asks."""
    return all(FILTERS[name](backend, spec) is None for name in ("VolumeType", "Specs"))


def _state(backend: BackendState, spec: VolumeSpec) -> str | None:
    if backend.id in spec.exclude:
        return "was tried and failed"
    return None if backend.state == "enabled" else f"is {backend.state}"


def _source(backend: BackendState, spec: VolumeSpec) -> str | None:
    return None if spec.only in (None, backend.id) else "is not where the source of the volume is"


def _type(backend: BackendState, spec: VolumeSpec) -> str | None:
    wanted = spec.backend or backend.name
    return None if wanted == backend.name else f"the volume type demands the backend {wanted}"


def _specs(backend: BackendState, spec: VolumeSpec) -> str | None:
    """As Cinder reads them: keys without a scope and those of ``capabilities:``; other scopes are for others."""
    ours = {"volume_backend_name": backend.name, "driver": backend.driver, "protocol": backend.protocol}
    known = {**backend.capabilities, **ours}
    for key, wanted in sorted(spec.extra_specs.items()):
        if key == CONNECTION:
            if wanted != "qemu" and backend.protocol != "iscsi":
                return f"is reached by {backend.protocol}, which {CONNECTION} {wanted} cannot"
            continue
        name = key.removeprefix(_SCOPE)
        if ":" in name:
            continue
        if name not in known:
            return f"does not report {name}"
        if not _meets(known[name], wanted):
            return f"{name} is {known[name]}, not {wanted}"
    return None


def _meets(found: Any, wanted: str) -> bool:
    if isinstance(found, bool):
        return str(found).lower() == wanted.removeprefix("<is>").strip().lower()
    return matches(str(found), wanted)


def _zone(backend: BackendState, spec: VolumeSpec) -> str | None:
    wanted = spec.zone
    return None if wanted in (None, backend.zone) else f"zone is {backend.zone or 'not set'}, not {wanted}"


def _neighbours(backend: BackendState, spec: VolumeSpec) -> str | None:
    if spec.same_host is not None and backend.host not in spec.same_host:
        return "none of the volumes of same_host is there"
    return "a volume of different_host is there" if backend.host in spec.different_host else None


def _capacity(backend: BackendState, spec: VolumeSpec) -> str | None:
    return None if backend.free >= spec.size else f"{backend.free} GiB left, {spec.size} wanted"


# One question each, in this order. The claim asks for the room again, in the database.
FILTERS: Mapping[str, Callable[[BackendState, VolumeSpec], str | None]] = {
    "State": _state,
    "Source": _source,
    "VolumeType": _type,
    "Specs": _specs,
    "Zone": _zone,
    "Neighbours": _neighbours,
    "Capacity": _capacity,
}
