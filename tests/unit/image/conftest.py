# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new cloud and a web server for each test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.compute import images
from ansible_collections.agentless.cloud.plugins.module_utils.image import addresses
from tests.unit.image.tls import Authority, authority
from tests.unit.image.web import Server, serving
from tests.unit.resources.cloud import Cloud, new


@pytest.fixture
def cloud(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    templates = tmp_path_factory.getbasetemp() / "templates"
    templates.mkdir(exist_ok=True)
    return new(tmp_path, templates)


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the operator of the image stores says where they may fetch from; nothing yet."""
    path = tmp_path / "image_imports.json"
    monkeypatch.setattr(addresses, "CONFIG", str(path))
    return path


@pytest.fixture
def server(told: Path) -> Iterator[Server]:
    """A server on loopback, where the operator allows it."""
    told.write_text(json.dumps({"allowed": ["127.0.0.1/32"]}))
    with serving() as started:
        yield started


@pytest.fixture
def trusted(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """What stores show, which hosts trust for the time of a test."""
    found = authority(tmp_path_factory.getbasetemp() / "authority")
    monkeypatch.setattr(images, "CA", str(found.ca))
    return found
