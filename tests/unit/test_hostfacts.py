# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fact never stands in for a variable of the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants as C

from ansible_collections.agentless.cloud.plugins.plugin_utils import hostfacts
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted((ROOT / "roles").iterdir())


@pytest.mark.parametrize(
    ("injected", "facts", "refused"),
    [
        (True, {"agentless_database": "sqlite:////tmp/theirs"}, ["agentless_database"]),
        (True, {"compute_tls_key": "/root/.ssh/id", "cell_limits": {}}, ["cell_limits", "compute_tls_key"]),
        (True, {"distribution": "Debian", "nodename": "k1"}, None),
        (True, {}, None),
        (True, None, None),
        (False, {"agentless_database": "sqlite:////tmp/theirs"}, None),
    ],
)
def test_facts_with_names_of_ours(
    monkeypatch: pytest.MonkeyPatch, injected: bool, facts: dict[str, Any] | None, refused: list[str] | None
) -> None:
    monkeypatch.setattr(C, "INJECT_FACTS_AS_VARS", injected, raising=False)
    found = hostfacts.HostVariables({"k1": {"ansible_facts": facts}, "k2": {"ansible_host": "10.0.0.2"}})
    assert list(found) == ["k1", "k2"]
    assert "k1" in found, "who only asks whether there is such a host gets an answer"
    assert found["k2"]["ansible_host"] == "10.0.0.2"
    if refused is None:
        assert found.get("k1") == {"ansible_facts": facts}
        return
    with pytest.raises(BadReply) as caught:
        found.get("k1")
    assert caught.value.details == {"host": "k1", "variables": refused}
    assert "inject_facts_as_vars = False" in caught.value.msg


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_refuses_first(role: Path) -> None:
    """Before it asks its host anything; and every variable of a role begins as those that are guarded."""
    first = yaml.safe_load((role / "tasks/main.yml").read_text())[0]
    imported = first.get("ansible.builtin.import_tasks") or first["ansible.builtin.import_role"]["tasks_from"]
    assert imported in ("facts.yml", "facts")
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    assert [name for name in defaults if not name.startswith(hostfacts.PREFIXES)] == []


def test_the_site_refuses_before_a_host_has_answered() -> None:
    plays = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    assert plays[0]["gather_facts"] is False
    assert plays[0]["tasks"][0]["ansible.builtin.import_role"]["tasks_from"] == "facts"


def tasks(content: Any) -> Any:
    """Every task of a file, those of blocks too."""
    for entry in content or ():
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_host_answers_for_another(role: Path) -> None:
    """Facts of what runs once count for every host of a play, those of what is delegated for the one that delegates.

    With ``delegate_facts`` both count for the host that answers.
    """
    wrong = []
    for path in sorted((role / "tasks").glob("*.yml")):
        for task in tasks(yaml.safe_load(path.read_text())):
            here = task.get("delegate_to") == "localhost" or "ansible.builtin.assert" in task
            ours = any(word.startswith("agentless.cloud.") for word in task)
            own = task.get("delegate_facts") and task.get("delegate_to")
            elsewhere = task.get("delegate_to", "localhost") != "localhost"
            if not own and ((task.get("run_once") and not here and not ours) or elsewhere):
                wrong.append(f"{path.name}: {task['name']}")
    assert wrong == []


def test_no_fact_names_a_file() -> None:
    """Variables of a system are chosen from a list; a fact is never part of a path that the controller reads."""
    for path in sorted((ROOT / "roles").glob("*/tasks/*.yml")):
        for task in tasks(yaml.safe_load(path.read_text())):
            for word in ("include_vars", "include_tasks", "import_tasks", "include_role", "import_role"):
                told = task.get(f"ansible.builtin.{word}")
                assert "first_found" not in str(told), path
                if "ansible_facts" in str(told):
                    assert "files[ansible_facts" in str(told), path
                    assert task["vars"]["files"], path
