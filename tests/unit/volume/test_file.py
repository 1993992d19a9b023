# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file driver on a real directory, and what its names and sizes refuse."""

from __future__ import annotations

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.volume import driver, file, lvm

NAME = "volume-5f0e3f4e-2a52-4a4c-9b5b-5a7a9e9d8c11"


def test_a_volume_lives_and_the_next_reads_zeros(tmp_path):
    it = file.File(Context(), {"path": str(tmp_path)})
    for turn in range(2):
        it.make(NAME, 4096, None)
        assert it.size(NAME) is None, turn
        it.finish(NAME)
        assert (tmp_path / NAME).read_bytes() == bytes(4096)
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
        (tmp_path / NAME).write_bytes(b"x" * 4096)
        it.snapshot("snapshot-1", NAME)
        it.make("volume-2", 8192, "snapshot-1")
        it.finish("volume-2")
        assert (tmp_path / "volume-2").read_bytes() == b"x" * 4096 + bytes(4096)
        it.extend(NAME, 8192)
        assert it.size(NAME) == 8192
        assert [it.delete(n) for n in (NAME, NAME, "snapshot-1", "volume-2")] == [True, False, True, True]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gib", [0, -1, 1.5, "1", True, None])
def test_a_bad_size_is_refused(gib):
    with pytest.raises(BackendError):
        driver.size_bytes(gib)


@pytest.mark.parametrize("text", ["", "../x", None, "-rf"])
def test_only_a_uuid_becomes_a_name(text):
    with pytest.raises(BackendError):
        driver.named("volume", text)


def test_a_report_is_read_by_its_bars():
    assert lvm.rows("  a|1 \n\n  b|2\n") == [["a", "1"], ["b", "2"]]
