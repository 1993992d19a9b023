# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbered choke points: what is counted, and which fault happens where. Kills are shown by processes elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import effects
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import CloudError


def task(done: list[str | None]) -> None:
    """A commit, a backend call and a commit."""
    effects.begin("instance", "web")
    effects.commit("first", lambda: done.append("commit"))
    effects.backend("spawn@k1").carry_out(done.append)
    effects.commit("last", lambda: done.append("commit"))


@pytest.mark.parametrize(
    ("fault", "done", "error", "words"),
    [
        ("", ["commit", None, "commit"], None, ""),
        ("9:error", ["commit", None, "commit"], None, ""),
        ("1:error", [], "DatabaseFailed", "the connection to the database was lost"),
        ("1:locked", [], "DatabaseFailed", "the database is locked"),
        ("3:reply_lost", ["commit", None, "commit"], "DatabaseFailed", "the connection to the database was lost"),
        ("2:error", ["commit"], "BackendFailed", "the call failed"),
        ("2:reply_lost", ["commit", None], "HostUnreachable", "the answer never came"),
        ("2:disk_full", ["commit", "disk_full", "commit"], None, ""),
        ("2:command_killed@instance", ["commit", "command_killed", "commit"], None, ""),
        ("2:error@volume", ["commit", None, "commit"], None, ""),
        ("2:disk_full@instance/web", ["commit", "disk_full", "commit"], None, ""),
        ("2:error@instance/db", ["commit", None, "commit"], None, ""),
        ("1:locked@instance/db,2:disk_full@instance/web", ["commit", "disk_full", "commit"], None, ""),
        ("2:eror@instance/db", [], "DatabaseFailed", "names the fault 'eror'"),
        ("2:eror", [], "DatabaseFailed", "names the fault 'eror'"),
    ],
)
def test_a_fault_happens_at_its_number(
    fault: str, done: list[str | None], error: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTLESS_FAULT", fault)
    found: list[str | None] = []
    if error is None:
        task(found)
    else:
        with pytest.raises(CloudError) as caught:
            task(found)
        assert caught.value.error == error
        assert words in caught.value.msg
    assert found == done


def test_each_task_counts_from_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGENTLESS_FAULT", raising=False)
    monkeypatch.setenv("AGENTLESS_FAULT_TRACE", str(tmp_path / "trace"))
    for _turn in range(2):
        task([])
    one = ["1\tcommit\tfirst\tinstance", "2\tbackend\tspawn@k1\tinstance", "3\tcommit\tlast\tinstance"]
    assert (tmp_path / "trace").read_text().splitlines() == one * 2
