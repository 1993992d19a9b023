# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A test host for the compute backend, shared by the tests of this directory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from agentless_lab import lab
from agentless_lab.system import PREREQUISITES, LabError, require

from tests.functional.compute.machine import Machine


@pytest.fixture(scope="package")
def machine() -> Iterator[Machine]:
    """A host with libvirtd and an image store, with nothing on it."""
    try:
        require(PREREQUISITES)
    except LabError as error:
        pytest.skip(str(error))
    name = f"compute{os.getpid()}"
    lab.up(lab.Plan(name=name, hosts=("c1",)), timeout=60)
    try:
        made = Machine(name)
        made.prepare()
        yield made
    finally:
        lab.down(name)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test leaves nothing on the host, whatever becomes of it, but a guest that the next one uses again."""
    if "machine" in request.fixturenames and "guest" not in request.fixturenames:
        _empty(request.getfixturevalue("machine"))
    yield
    if "machine" in request.fixturenames:
        request.getfixturevalue("machine").tidy()


def _empty(machine: Machine) -> None:
    if machine.kept:
        machine.kept = None
        machine.tidy()
