# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controllers, and the mount points that a private image host needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.resources.controller import Controller, can_have_private_directories, with_image_host


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Controller]:
    if not can_have_private_directories():
        pytest.skip("needs root, for private directories of an image host")
    points = [Path("/etc/agentless"), Path("/var/lib/agentless")]
    made = [point for point in points if not point.exists()]
    for point in made:
        point.mkdir()
    yield with_image_host(tmp_path)
    for point in made:
        if not any(point.iterdir()):
            point.rmdir()
