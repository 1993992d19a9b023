# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private OVN for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from tests.functional.network.ovn import Ovn, installed


def _running(place: Path) -> Iterator[Ovn]:
    root = installed()
    if root is None:
        pytest.skip("OVN is not installed: neither on this system nor in the cached root of the test hosts")
    running = Ovn(root, place)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def ovn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ovn]:
    """A running OVN with empty databases, for one test."""
    yield from _running(tmp_path_factory.mktemp("ovn"))


@pytest.fixture(scope="module")
def shared_ovn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ovn]:
    """A running OVN for tests that change nothing in it."""
    yield from _running(tmp_path_factory.mktemp("ovn"))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """The context of a backend call on this machine."""
    return Context(state_dir=str(tmp_path / "state"))
