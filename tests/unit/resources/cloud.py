# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cloud in a temporary SQLite file, whose flows a test calls as the front desk does."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.agentless.cloud.plugins.plugin_utils import front
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import engine as engines
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.front import Outcome, Request
from ansible_collections.agentless.cloud.plugins.plugin_utils.image import images
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import (
    cells,
    flavors,
    keypairs,
    projects,
    server_groups,
)

PLUGINS = "ansible_collections.agentless.cloud.plugins"
FLOWS = {
    "cell": cells,
    "flavor": flavors,
    "image": images,
    "keypair": keypairs,
    "project": projects,
    "server_group": server_groups,
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjBH9rouX+UcsdcHEQ6tzc6RwB/7C69Xxsn9uBT36Uh ada"
OPERATOR = Principal("root", admin=True)
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMzbBJx6Gv3vH8rTj4pQ2m0C5y0X1k5Yw8b3qf1n2T7d ada"


class NoHosts:
    """The bus of a cloud without hosts."""

    def call(self, *given: Any) -> Any:
        raise BadInput("this test has no hosts")

    put = call


class StaysOpen(Conductor):
    """A conductor whose engine another one of the same test goes on with."""

    def close(self) -> None:
        """Leave the engine as it is."""


@dataclass
class Cloud:
    """One cloud of a test.

    :param engine: serves every task where it is given; a new one for each task compiles every statement anew, which
        takes longer than all that most tests are about. Not for tests that fork.
    """

    path: Path
    rpc: Any = field(default_factory=NoHosts)
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    hostvars: Mapping[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    engine: sa.Engine | None = None
    principal: Principal = OPERATOR

    @property
    def conductor(self) -> Conductor:
        if self.engine is not None:
            return StaysOpen(self.engine, actor="test")
        return Conductor.open(str(self.path), actor="test")

    def ask(self, module: str, *, check: bool = False, **args: Any) -> Outcome:
        """Call the flow of a module with options as the documentation validates them."""
        name = module.removesuffix("_info")
        flow = FLOWS[name].info if module.endswith("_info") else FLOWS[name].apply
        with self.conductor as conductor:
            return flow(
                Request(
                    args=validated(module, args),
                    check=check,
                    conductor=conductor,
                    rpc=self.rpc,
                    groups=self.groups,
                    host="localhost",
                    hostvars=self.hostvars,
                    principal=self.principal,
                    progress=self.told.append,
                )
            )

    def digest(self) -> str:
        """What is in the database, as one hash."""
        with sqlite3.connect(self.path) as db:
            return hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()


@cache
def spec(module: str) -> dict[str, Any]:
    """The argument spec that the front desk makes of the documentation, without a plugin loader."""
    documentation = yaml.safe_load(import_module(f"{PLUGINS}.modules.{module}").DOCUMENTATION)
    options = dict(documentation.get("options") or {})
    for name in documentation["extends_documentation_fragment"]:
        _namespace, _collection, fragment, *variant = name.split(".")
        source = import_module(f"{PLUGINS}.doc_fragments.{fragment}").ModuleDocFragment
        text = getattr(source, variant[0].upper() if variant else "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options") or {})
    return {name: front._option(name, option, frozenset()) for name, option in options.items()}


def validated(module: str, args: Mapping[str, Any]) -> dict[str, Any]:
    result = ArgumentSpecValidator(spec(module)).validate(dict(args))
    if result.error_messages:
        raise BadInput("; ".join(result.error_messages))
    return {option: result.validated_parameters.get(option) for option in spec(module)}


@cache
def template(directory: Path) -> Path:
    """A new cloud's database, made once; tests take copies."""
    path = directory / "template.db"
    with Conductor.open(str(path)) as conductor, conductor.read():
        pass
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def new(directory: Path, templates: Path) -> Cloud:
    path = directory / "cloud.db"
    shutil.copy(template(templates), path)
    return Cloud(path, engine=engines.create(sa.make_url(f"sqlite:///{path}")))


def predict_then_do(cloud: Cloud, module: str, **args: Any) -> Outcome:
    """P10: check mode says what will change and writes nothing; the second run changes nothing."""
    before = cloud.digest()
    predicted = cloud.ask(module, check=True, **args)
    assert cloud.digest() == before, "check mode wrote"
    done = cloud.ask(module, **args)
    assert (predicted.changed, list(predicted.changes), predicted.header) == (
        done.changed,
        list(done.changes),
        done.header,
    ), "check mode predicted something else"
    assert set(predicted.values) == set(done.values), "check mode returned less, or more"
    assert_agrees(predicted.values, done.values)
    after = cloud.digest()
    assert done.changed or after == before, "changed without saying so"
    for check in (False, True):
        again = cloud.ask(module, check=check, **args)
        assert not again.changed, f"the second run changed {again.changes}"
        assert not again.changes
    assert cloud.digest() == after, "the second run wrote"
    return done


def assert_agrees(predicted: Any, done: Any) -> None:
    """What check mode returned is part of what came; what cannot be known before is left out."""
    if isinstance(predicted, dict):
        for key, value in predicted.items():
            if key != "updated_at":
                assert_agrees(value, done[key])
    elif isinstance(predicted, list):
        assert len(predicted) == len(done)
        for one, other in zip(predicted, done, strict=True):
            assert_agrees(one, other)
    else:
        assert predicted == done
