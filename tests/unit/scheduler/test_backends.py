# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backend a volume gets, and what the explanation says of the others."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import NoValidHost
from ansible_collections.agentless.cloud.plugins.plugin_utils.scheduler.backends import (
    BackendState,
    VolumeSpec,
    fits,
    place,
)

FAST = BackendState(
    "1", "fast", "vol1", "lvm", 50, zone="west", capabilities={"thin": True, "media": "nvme", "iops": 900}
)
SLOW = BackendState("2", "slow", "vol1", "file", 500, capabilities={"thin": True, "media": "disk", "iops": 90})
FAR = BackendState("3", "far", "vol2", "lvm", 70, zone="east", capabilities={"thin": False})
OFF = BackendState("4", "off", "vol3", "lvm", 900, state="disabled")
ALL = [FAST, SLOW, FAR, OFF]

CHOICES: dict[str, tuple[dict[str, Any], str]] = {
    "the most room": ({}, "slow"),
    "of the type's name": ({"backend": "far"}, "far"),
    "of a driver": ({"extra_specs": {"driver": "lvm"}}, "far"),
    "of a name in the specs": ({"extra_specs": {"volume_backend_name": "fast"}}, "fast"),
    "a capability": ({"extra_specs": {"media": "nvme"}}, "fast"),
    "a scoped capability": ({"extra_specs": {"capabilities:media": "nvme"}}, "fast"),
    "a number": ({"extra_specs": {"iops": ">= 500"}}, "fast"),
    "a boolean as Cinder writes it": ({"extra_specs": {"thin": "<is> False"}}, "far"),
    "another scope is for others": ({"extra_specs": {"vendor:tier": "1"}}, "slow"),
    "how a compute host reaches it is for that one": ({"extra_specs": {"connection": "host"}}, "slow"),
    "a zone": ({"zone": "west"}, "fast"),
    "beside a volume": ({"same_host": frozenset({"vol2"})}, "far"),
    "apart from a volume": ({"different_host": frozenset({"vol1"})}, "far"),
    "where its source is": ({"only": "1"}, "fast"),
    "not where it failed": ({"exclude": frozenset({"2"})}, "far"),
}


@pytest.mark.parametrize(("wanted", "chosen"), CHOICES.values(), ids=list(CHOICES))
def test_choice(wanted: dict[str, Any], chosen: str) -> None:
    best, story = place(ALL, VolumeSpec(size=10, **wanted))
    assert best.name == chosen
    assert story["seen"] == len(ALL)
    assert story["candidates"][0]["host"] == best.label


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "too large": ({"size": 501}, "vol1@slow: 500 GiB left, 501 wanted"),
    "no such type": ({"backend": "gold"}, "vol1@fast: the volume type demands the backend gold"),
    "nobody reports it": ({"extra_specs": {"colour": "red"}}, "vol1@fast: does not report colour"),
    "nobody has it": ({"extra_specs": {"thin": "maybe"}}, "vol2@far: thin is False, not maybe"),
    "all tried": ({"exclude": frozenset("123")}, "vol1@slow: was tried and failed"),
    "nothing is enabled": ({"only": "4"}, "vol3@off: is disabled"),
}


@pytest.mark.parametrize(("wanted", "said"), REFUSALS.values(), ids=list(REFUSALS))
def test_refusal(wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(NoValidHost, match="No valid host for the volume") as caught:
        place(ALL, VolumeSpec(**{"size": 10, **wanted}))
    assert said in caught.value.msg
    assert caught.value.details["explanation"]["seen"] == len(ALL)


def test_a_cloud_without_backends_says_what_to_do() -> None:
    with pytest.raises(NoValidHost, match="No backend is registered: give storage hosts volume_backends"):
        place([], VolumeSpec(size=1))


@pytest.mark.parametrize(
    ("driver", "said", "host"),
    [
        ("lvm", "iscsi", True),
        ("file", None, True),
        ("rbd", None, False),
        ("rbd", "iscsi", False),
        ("nfs", "iscsi", False),
        ("gluster", "iscsi", False),
        ("lvm", "rbd", True),
        ("carrier pigeon", "iscsi", False),
    ],
)
def test_only_iscsi_is_reached_by_the_host(driver: str, said: str | None, host: bool) -> None:
    """What speaks iSCSI is told by the driver on record; what a storage host says of it changes nothing."""
    backend = FAST._replace(driver=driver, capabilities={"protocol": said} if said else {})
    assert fits(backend, VolumeSpec(size=1, extra_specs={"connection": "qemu"}))
    assert fits(backend, VolumeSpec(size=1, extra_specs={"connection": "multipath"})) is host
    assert fits(backend, VolumeSpec(size=1, extra_specs={"protocol": "iscsi"})) is host


def test_a_volume_may_stay_in_a_full_backend_that_its_new_type_fits() -> None:
    full = FAST._replace(free=0, state="disabled")
    assert fits(full, VolumeSpec(size=10, extra_specs={"media": "nvme"}))
    assert not fits(full, VolumeSpec(size=10, extra_specs={"media": "disk"}))
    assert not fits(full, VolumeSpec(size=10, backend="slow"))
