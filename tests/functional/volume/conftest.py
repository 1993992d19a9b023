# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine that several files of tests share: they stand beside each other in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.volume import storage


@pytest.fixture(scope="package")
def host() -> Iterator[storage.Storage]:
    """A storage host, made for the first test that wants it and kept until the last."""
    with storage.storage() as made:
        yield made
