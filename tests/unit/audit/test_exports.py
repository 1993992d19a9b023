# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets and backstores as the kernel shows them in directories."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.agentless.cloud.plugins.module_utils.volume import survey

KEY = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
BASE = "iqn.2026-01.cloud.agentless"


def test_what_the_kernel_shows(tmp_path: Path) -> None:
    for path in (
        f"iscsi/{BASE}:lvm.one.volume-{KEY}/tpgt_1/acls/iqn.2026-01.test:k1",
        f"iscsi/{BASE}:something-else/tpgt_1/acls",
        f"iscsi/iqn.2020-01.other:lvm.one.volume-{OTHER}/tpgt_1/acls",
        "iscsi/discovery_auth",
        f"core/iblock_0/lvm.one.volume-{KEY}",
        f"core/fileio_1/files.volume-{OTHER}",
        "core/iblock_2/by-hand",
    ):
        (tmp_path / path).mkdir(parents=True)
    assert survey.exports(BASE, str(tmp_path)) == {
        "targets": [{"backend": "lvm.one", "name": f"volume-{KEY}", "initiators": ["iqn.2026-01.test:k1"]}],
        "backstores": [f"files.volume-{OTHER}"],
    }


def test_where_there_is_no_target(tmp_path: Path) -> None:
    assert survey.exports(BASE, str(tmp_path / "none")) == {"targets": [], "backstores": []}


def test_only_what_is_named_as_ours() -> None:
    names = [f"volume-{KEY}", f"making-snap-{KEY}", "pool", "volume-x", f"volume-{KEY}.old", f"kept-{OTHER}"]
    assert survey.ours(names) == sorted([f"volume-{KEY}", f"making-snap-{KEY}", f"kept-{OTHER}"])
