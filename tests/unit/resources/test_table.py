# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""P10 and P5: every module, state and option predicts exactly what it does, and the second run does nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome
from tests.unit.resources.cloud import KEY, OTHER_KEY, Cloud, predict_then_do

# What is needed to make one of each, and for each option another value with the changes that it means.
MAKING: dict[str, dict[str, Any]] = {
    "cell": {},
    "flavor": {"vcpus": 1, "ram": 512, "disk": 1},
    "keypair": {"public_key": KEY},
    "project": {},
    "server_group": {"policy": "anti-affinity"},
}
CHANGING: list[tuple[str, dict[str, Any], list[Change]]] = [
    ("cell", {"zone": "z"}, [Change("zone", None, "z")]),
    ("cell", {"virt_type": "kvm"}, [Change("virt_type", None, "kvm")]),
    ("flavor", {"vcpus": 2}, [Change("vcpus", 1, 2)]),
    ("flavor", {"ram": "1024"}, [Change("ram", 512, 1024)]),
    ("flavor", {"disk": 0}, [Change("disk", 1, 0)]),
    ("flavor", {"ephemeral": 3}, [Change("ephemeral", 0, 3)]),
    ("flavor", {"swap": 4}, [Change("swap", 0, 4)]),
    ("flavor", {"is_public": False}, [Change("is_public", True, False)]),
    ("flavor", {"extra_specs": {"a": True, "b:c": 1}}, [Change("extra_specs", {}, {"a": "true", "b:c": "1"})]),
    ("keypair", {"public_key": OTHER_KEY + "\n"}, [Change("public_key", KEY, OTHER_KEY)]),
    ("project", {"description": "x"}, [Change("description", None, "x")]),
    ("project", {"enabled": False}, [Change("enabled", True, False)]),
    ("project", {"quota": {"ram": 5, "instances": 100}}, [Change("quota.ram", 512_000, 5)]),
    ("project", {"quota": {"ports": -1}, "enabled": True}, [Change("quota.ports", 500, -1)]),
    ("server_group", {"policy": "affinity"}, [Change("policy", "anti-affinity", "affinity")]),
    ("server_group", {"max_per_host": 3}, [Change("max_per_host", None, 3)]),
]


@pytest.mark.parametrize("module", MAKING)
def test_made_and_removed(cloud: Cloud, module: str) -> None:
    made = predict_then_do(cloud, module, name="it", **MAKING[module])
    assert made.changed
    assert Change("name", None, "it") in made.changes
    row = made.values[module]
    assert row["name"] == "it"
    assert {"id", "created_at", "updated_at"} <= set(row)
    assert not predict_then_do(cloud, module, name="it").changed, "only what is given is compared"
    assert not predict_then_do(cloud, module, name=row["id"]).changed, "an ID is as good as a name"
    gone = predict_then_do(cloud, module, name="it", state="absent")
    assert gone.changed
    assert gone.values == {module: None}
    assert not predict_then_do(cloud, module, name="it", state="absent").changed


@pytest.mark.parametrize(("module", "options", "changes"), CHANGING)
def test_changed_in_place(cloud: Cloud, module: str, options: dict[str, Any], changes: list[Change]) -> None:
    before = cloud.ask(module, name="it", **MAKING[module]).values[module]
    done = predict_then_do(cloud, module, name="it", **options)
    assert list(done.changes) == changes
    after = done.values[module]
    assert after["id"] == before["id"]
    assert after["updated_at"] > before["updated_at"]
    (listed,) = cloud.ask(f"{module}_info", name="it").values[f"{module}s"]
    assert listed == after


@pytest.mark.parametrize(("module", "options", "_changes"), CHANGING)
def test_made_with_each_option(cloud: Cloud, module: str, options: dict[str, Any], _changes: list[Change]) -> None:
    assert predict_then_do(cloud, module, name="it", **{**MAKING[module], **options}).changed


@pytest.mark.parametrize("module", MAKING)
def test_asking_writes_nothing(cloud: Cloud, module: str) -> None:
    for name in ("b", "a"):
        cloud.ask(module, name=name, **MAKING[module])
    before = cloud.digest()
    listed = cloud.ask(f"{module}_info", query="[?name!='default'].name")
    assert listed.values == {f"{module}s": ["a", "b"]}
    assert not listed.changed
    assert cloud.ask(f"{module}_info", name="c").values == {f"{module}s": []}
    assert cloud.digest() == before


def test_the_table_has_every_option() -> None:
    from tests.unit.resources.cloud import spec

    common = {"name", "state", "database", "project"}
    for module in MAKING:
        tried = {option for name, options, _changes in CHANGING if name == module for option in options}
        assert set(spec(module)) - common == tried, module


def test_a_flow_that_writes_in_check_mode_is_seen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Cloud.ask

    def broken(self: Cloud, module: str, *, check: bool = False, **args: Any) -> Outcome:
        return real(self, module, check=False, **args)

    monkeypatch.setattr(Cloud, "ask", broken)
    with pytest.raises(AssertionError, match="check mode wrote"):
        predict_then_do(cloud, "cell", name="it")
