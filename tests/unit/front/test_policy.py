# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may do what: the table against the modules, and that nothing is done before it was asked."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from ansible_collections.agentless.cloud.plugins.lookup import scheduler
from ansible_collections.agentless.cloud.plugins.plugin_utils import front, policy
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, projects
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, CloudError, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.policy import ITSELF, READ, TABLE, Ask
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import (
    ADMIN,
    ENVIRONMENT,
    MEMBER,
    READER,
    ROLES,
    Principal,
)
from tests.unit.resources.cloud import spec, validated

ROOT = Path(__file__).resolve().parents[3]
ACTIONS = sorted(path.stem for path in (ROOT / "plugins/action").glob("*.py") if path.stem != "__init__")
ROOT_USER = Principal("root", admin=True)


def promised(options: dict[str, Any]) -> set[tuple[str, str]]:
    """The verb and option of each entry that a module with these options must have."""
    verbs = options["state"]["choices"] if "state" in options else [READ]
    return {(verb, option) for verb in verbs for option in {ITSELF, *options} - policy.DECIDING}


def questions() -> dict[str, dict[str, Any]]:
    """The options of whatever reads the database, by its name; the inventory asks for instances as instance_info."""
    documented = yaml.safe_load(scheduler.DOCUMENTATION)["options"]
    return {**{name: spec(name) for name in ACTIONS}, "scheduler": {k: v for k, v in documented.items() if k[0] != "_"}}


@pytest.mark.parametrize("name", questions())
def test_every_state_and_option_has_an_entry(name: str) -> None:
    options = questions()[name]
    resource = name.removesuffix("_info")
    verbs = {verb for verb, _option in promised(options)}
    there = {(verb, option) for kind, verb, option in TABLE if kind == resource and verb in verbs}
    plain = {(verb, option) for verb, option in there if "=" not in option}
    assert plain == promised(options)
    for _verb, special in there - plain:
        option, _is, value = special.partition("=")
        assert value in options[option]["choices"]


def test_nothing_else_has_one() -> None:
    known = {
        (name.removesuffix("_info"), verb)
        for name, options in questions().items()
        for verb, _option in promised(options)
    }
    assert {(resource, verb) for resource, verb, _option in TABLE} == known
    assert set(TABLE.values()) == {*ROLES, ADMIN}


def test_the_table_says_a_thing_once() -> None:
    said = [
        (resource, verb, option)
        for resource, verbs, options, _role in policy._ROWS
        for verb in verbs.split()
        for option in options.split()
    ]
    assert len(said) == len(set(said))


# (module, options, the role that is enough)
NEEDS: list[tuple[str, dict[str, Any], str]] = [
    ("instance", {"name": "web", "flavor": "small", "image": "debian"}, MEMBER),
    ("instance", {"name": "web", "state": "absent", "timeout": 20}, MEMBER),
    ("instance", {"name": "web", "host": "kvm1"}, ADMIN),
    ("instance_info", {}, READER),
    ("instance_info", {"name": "web", "query": "[].id"}, READER),
    ("instance_info", {"database": "/tmp/mine.db"}, ADMIN),
    ("image", {"name": "debian", "uri": "https://example.org/x", "visibility": "private"}, MEMBER),
    ("image", {"name": "debian", "uri": "https://example.org/x", "visibility": "public"}, ADMIN),
    ("image", {"name": "debian", "filename": "/etc/shadow"}, ADMIN),
    ("image", {"name": "debian", "allow_local_uri": False}, MEMBER),
    ("network", {"name": "front", "subnets": [{"cidr": "10.0.0.0/24"}]}, MEMBER),
    ("network", {"name": "front", "shared": True}, ADMIN),
    ("network", {"name": "front", "shared": False}, ADMIN),
    ("network", {"name": "front", "provider_physical_network": "lan"}, ADMIN),
    ("volume", {"name": "data", "size": 1, "database": "/tmp/mine.db"}, ADMIN),
    ("flavor", {"name": "huge", "vcpus": 64}, ADMIN),
    ("flavor_info", {}, READER),
    ("host", {"name": "kvm1", "state": "absent"}, ADMIN),
    ("host_info", {}, ADMIN),
    ("project", {"name": "shop", "quota": {"instances": -1}}, ADMIN),
    ("project_info", {}, ADMIN),
    ("volume_type_info", {}, READER),
    ("audit", {}, ADMIN),
]


@pytest.mark.parametrize(("module", "options", "needed"), NEEDS)
def test_who_may(module: str, options: dict[str, Any], needed: str) -> None:
    ask = policy.asked(module, spec(module), validated(module, options))
    alice = Principal("alice")
    for role in (None, READER, MEMBER):
        enough = role is not None and needed in ROLES and ROLES.index(role) >= ROLES.index(needed)
        if enough:
            policy.allow(alice, ask, role)
            continue
        with pytest.raises(BadInput, match="Not permitted to 'alice'") as caught:
            policy.allow(alice, ask, role)
        result = caught.value.as_result()
        assert result["failed"]
        assert (result["error"], result["reason"]) == ("BadInput", "not_permitted")
        assert (result["principal"], result["resource"], result["verb"]) == ("alice", ask.resource, ask.verb)
        assert result["role"] == role
        assert result["needs"] in (*ROLES, ADMIN)
    policy.allow(ROOT_USER, ask, None)


@pytest.mark.parametrize(
    "ask",
    [
        Ask("router", "present", {}),
        Ask("instance", "rescued", {}),
        Ask("instance", "None", {}),
        Ask("instance", "running", {"brand_new": 1}),
        Ask("image", "present", {"visibility": "public"}),
        Ask("image_info", READ, {}),
    ],
)
def test_what_has_no_entry_is_denied(ask: Ask) -> None:
    with pytest.raises(BadInput) as caught:
        policy.allow(Principal("alice", {"shop": MEMBER}), ask, MEMBER)
    assert caught.value.details["needs"] == ADMIN


class Keypairs(front.CloudAction):
    """A front desk whose flow only tells that it was called."""

    called: ClassVar[list[front.Request]] = []

    @staticmethod
    def flow(request: front.Request) -> front.Outcome:
        Keypairs.called.append(request)
        return front.Outcome(False, {})


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cloud.db"
    with Conductor.open(str(path)) as conductor, conductor.transaction() as conn:
        for name in ("shop", "news", "bank"):
            projects.create(conn, name)
    monkeypatch.setenv("AGENTLESS_DATABASE", str(path))
    monkeypatch.setattr(front.ActionBase, "run", lambda self, tmp, variables: {})
    monkeypatch.setattr(front, "argument_spec", lambda name, secret: spec(name))
    Keypairs.called.clear()
    return path


def serve(module: str, variables: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """A task through the front desk, as Ansible gives it."""
    action = object.__new__(Keypairs)
    action._task = SimpleNamespace(
        action=f"agentless.cloud.{module}", args=options, check_mode=False, diff=False, become_method=None
    )
    action._templar = SimpleNamespace(template=lambda value: value)
    action.validate_argument_spec = lambda argument_spec: (None, validated(module, options))
    return action.run(task_vars={"hostvars": {}, **(variables or {})})


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "who"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


ALICE = "user: alice\nroles: {shop: member, news: reader}\n"


@pytest.mark.parametrize(
    ("who", "module", "options", "error"),
    [
        (None, "keypair", {"name": "k", "project": "bank"}, None),
        (None, "host", {"name": "kvm1"}, None),
        ("user: eve\nadmin: true", "host", {"name": "kvm1"}, None),
        (ALICE, "keypair", {"name": "k", "project": "shop"}, None),
        (ALICE, "keypair_info", {"project": "news"}, None),
        (ALICE, "volume_type_info", {}, None),
        (ALICE, "keypair", {"name": "k", "project": "news"}, "BadInput"),
        (ALICE, "keypair", {"name": "k", "project": "bank"}, "NotFound"),
        (ALICE, "keypair_info", {"project": "bank"}, "NotFound"),
        (ALICE, "keypair_info", {}, "NotFound"),
        (ALICE, "host", {"name": "kvm1", "project": "shop"}, "BadInput"),
        (ALICE, "project", {"name": "shop"}, "BadInput"),
        ("user: bob", "volume_type_info", {}, "BadInput"),
        ("user: bob\nadmin: 1", "keypair_info", {}, "BadInput"),
        ("", "keypair_info", {}, "BadInput"),
    ],
)
def test_no_flow_is_called_before_the_policy(
    cloud: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    who: str | None,
    module: str,
    options: dict[str, Any],
    error: str | None,
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    if who is not None:
        monkeypatch.setenv(ENVIRONMENT, file(tmp_path, who))
    result = serve(module, **options)
    assert result.get("error") == error
    assert len(Keypairs.called) == (error is None)
    for request in Keypairs.called:
        assert request.principal == front.caller()


@pytest.mark.parametrize(
    ("options", "variables", "allowed"),
    [
        ({}, {}, True),
        ({}, {"agentless_database": "{0}"}, True),
        ({}, {"agentless_database": "{0}.mine"}, False),
        ({"database": "{0}.mine"}, {}, False),
        ({"database": "{0}"}, {}, False),
    ],
)
def test_only_an_administrator_names_the_database(
    cloud: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    variables: dict[str, str],
    allowed: bool,
) -> None:
    monkeypatch.setenv(ENVIRONMENT, file(tmp_path, ALICE))
    options = {key: value.format(cloud) for key, value in options.items()}
    variables = {key: value.format(cloud) for key, value in variables.items()}
    result = serve("keypair_info", variables, project="shop", **options)
    assert result.get("error") == (None if allowed else "BadInput")
    assert len(Keypairs.called) == allowed
    assert not Path(f"{cloud}.mine").exists(), "the database of a stranger was opened"
    monkeypatch.delenv(ENVIRONMENT)
    assert "error" not in serve("keypair_info", variables, project="shop" if allowed else "default", **options)


def test_variables_and_options_make_nobody_an_administrator(
    cloud: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, file(tmp_path, ALICE))
    (tmp_path / "mine").mkdir()
    mine = file(tmp_path / "mine", "user: eve\nadmin: true")
    for name in (ENVIRONMENT, ENVIRONMENT.lower(), "agentless_principal", "ansible_user", "environment"):
        assert serve("host", {name: mine}, name="kvm1")["error"] == "BadInput"
    assert not Keypairs.called


def lookup(question: dict[str, Any]) -> None:
    plugin = scheduler.LookupModule()
    plugin._templar = SimpleNamespace(template=lambda value: value)
    documented = yaml.safe_load(scheduler.DOCUMENTATION)["options"]
    options = {**{name: option.get("default") for name, option in documented.items()}, **question}
    plugin.set_options = lambda **given: None
    plugin.get_option = options.__getitem__
    plugin.run(["web1"], {}, **question)


def inventory(question: dict[str, Any]) -> None:
    instances = import_module("ansible_collections.agentless.cloud.plugins.inventory.instances")
    instances.read(question.get("database"), question.get("project", "default"), front.caller())


@pytest.mark.parametrize(
    ("ask", "question", "said"),
    [
        # It was let in, and lacks a flavor.
        (lookup, {"project": "shop"}, "BadInput: web1: no such instance"),
        (lookup, {"project": "news"}, "BadInput: Not permitted.*needs the role member in project 'news'"),
        (lookup, {"project": "bank"}, "NotFound: project 'bank'"),
        (lookup, {"project": "shop", "explain": True}, "BadInput: Not permitted.*explain"),
        (lookup, {"project": "shop", "database": "/nowhere/x.db"}, "BadInput: Not permitted.*database"),
        (inventory, {"project": "news"}, None),
        (inventory, {"project": "bank"}, "project 'bank' was not found"),
        (inventory, {"project": "news", "database": "/nowhere/x.db"}, "Not permitted.*database"),
    ],
)
def test_the_lookup_and_the_inventory_ask_too(
    cloud: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[dict[str, Any]], None],
    question: dict[str, Any],
    said: str | None,
) -> None:
    monkeypatch.setenv(ENVIRONMENT, file(tmp_path, ALICE))
    if said is None:
        ask(question)
        return
    with pytest.raises((scheduler.AnsibleLookupError, CloudError), match=said):
        ask(question)


def test_a_refusal_opens_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "not" / "there.db"
    monkeypatch.setenv("AGENTLESS_DATABASE", str(path))
    ask = Ask("host", "absent", {}, "shop")
    with pytest.raises(BadInput), front.admitted(Principal("alice", {"shop": MEMBER}), ask, None):
        pytest.fail("admitted")
    assert not path.parent.exists()
    with (
        pytest.raises(NotFound),
        front.admitted(Principal("alice", {"shop": READER}), Ask("flavor", READ, {}, "shop"), None),
    ):
        pytest.fail("admitted")  # the role is for a project that is not there
