# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cloud that all tests of this directory share, one after the other; each leaves it empty."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from .cloud import LAB, Cloud
from .volumes import Site


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The cloud, with a storage host from the start where one of the chosen tests wants it."""
    stores = any("site" in getattr(item, "fixturenames", ()) for item in request.session.items)
    name = f"inst{os.getpid()}"
    try:
        made = (Site if stores else Cloud)(name, tmp_path_factory.mktemp("cloud"))
        made.prepare()
        yield made
    finally:
        subprocess.run([LAB, "down", "--name", name], check=False)


@pytest.fixture(scope="session")
def site(cloud: Cloud) -> Site:
    """The cloud with its storage host."""
    assert isinstance(cloud, Site)
    return cloud


@pytest.fixture
def clean(cloud: Cloud) -> Iterator[Cloud]:
    """The cloud without instances, before and after."""
    yield cloud
    names = [row[0] for row in cloud.ask("SELECT name FROM instances")]
    if names:
        cloud.tasks(*({"agentless.cloud.instance": {"name": name, "state": "absent"}} for name in names))
