# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of both families as roles put them together; an IPv6 address stands in brackets before a port."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.functional.roles.test_controller import ROOT, begin, changed


@pytest.mark.parametrize(
    ("address", "want"), [("192.0.2.1", "tcp:192.0.2.1:6642"), ("2001:db8::1", "tcp:[2001:db8::1]:6642")]
)
def test_where_chassis_find_the_southbound_database(tmp_path: Path, address: str, want: str) -> None:
    defaults = str(ROOT / "roles/compute/defaults/main.yml")
    tasks = [
        {"ansible.builtin.include_vars": {"file": defaults}},
        {"ansible.builtin.assert": {"that": f"compute_ovn_remote == '{want}'"}},
    ]
    run = begin(tmp_path, [{**task, "vars": {"__compute_central_address": address}} for task in tasks])
    assert changed(run) == 0
