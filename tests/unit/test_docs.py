# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of every plugin against the code, the action group and the interface that users were promised."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "agentless.cloud."
Doc = dict[str, Any]

# What users were promised: module -> options, beside state, database and project.
INTERFACE: dict[str, str] = {
    "cell": "name zone virt_type",
    "flavor": "name vcpus ram disk ephemeral swap extra_specs is_public",
    "host": "name cell zone aggregates allocation_ratios reserved reason resources",
    "image": "name filename uri checksum disk_format container_format kernel ramdisk min_disk min_ram properties "
    "visibility protected tags",
    "instance": "name count flavor image boot_volume volumes networks nics security_groups key_name userdata metadata "
    "tags server_group scheduler_hints zone host config_drive wait timeout",
    "keypair": "name public_key",
    "network": "name subnets mtu external shared port_security_enabled",
    "project": "name quota",
    "secgroup": "name description rules stateful purge_rules",
    "server_group": "name policy max_per_host",
    "volume": "name size volume_type image snapshot source_volume multiattach delete_snapshots",
    "volume_backup": "name volume",
    "volume_snapshot": "name volume force",
    "volume_type": "name backend extra_specs encryption qos",
}
# They stand above the projects.
WITHOUT_PROJECT = {"cell", "host", "project", "volume_type"}
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
PUBLIC = [name for name in MODULES if not name.endswith("_backend")]
RESOURCES = [name for name in PUBLIC if not name.endswith("_info") and name != "audit"]


def render(kind: str, *names: str) -> dict[str, Doc]:
    """What ansible-doc makes of these plugins, fragments included."""
    program = str(Path(sys.executable).with_name("ansible-doc"))
    argv = [program, "--json", "--type", kind, *(PREFIX + name for name in names)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents: dict[str, Doc] = json.loads(done.stdout)
    return {name.removeprefix(PREFIX): document for name, document in documents.items()}


@pytest.fixture(scope="module")
def docs() -> dict[str, Doc]:
    return render("module", *MODULES)


def options_of(doc: Doc) -> dict[str, Any]:
    found: dict[str, Any] = doc["doc"].get("options") or {}
    return found


def walk(options: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, option in options.items():
        yield path + name, option
        yield from walk(option.get("suboptions") or {}, f"{path}{name}.")


def tasks_of(node: object) -> Iterator[Mapping[str, Any]]:
    """The tasks of an example: it is a list of tasks, of blocks or of plays."""
    for item in node if isinstance(node, list) else []:
        inner = [item[key] for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always") if key in item]
        for part in inner:
            yield from tasks_of(part)
        if not inner:
            yield item


def module_of(task: Mapping[str, Any]) -> str | None:
    return next((key for key in task if key.startswith(PREFIX)), None)


def strangers(given: object, options: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Option names of an example that the documentation does not know; below a dict of free keys anything goes."""
    for item in given if isinstance(given, list) else [given]:
        for key, value in item.items() if isinstance(item, dict) else ():
            names = {
                alias: option for name, option in options.items() for alias in (name, *(option.get("aliases") or ()))
            }
            if key not in names:
                yield path + str(key)
            elif names[key].get("suboptions"):
                yield from strangers(value, names[key]["suboptions"], f"{path}{key}.")


def test_every_module_has_its_action_plugin_and_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    actions = {path.stem for path in (ROOT / "plugins/action").glob("*.py") if path.stem != "__init__"}
    assert set(runtime["action_groups"]["cloud"]) == set(PUBLIC)
    assert actions == set(PUBLIC)
    assert set(PUBLIC) == {"audit", *(name for resource in INTERFACE for name in (resource, f"{resource}_info"))}


@pytest.mark.parametrize("name", MODULES)
def test_options_are_described_and_typed(docs: dict[str, Doc], name: str) -> None:
    for path, option in walk(options_of(docs[name])):
        assert option.get("description"), f"{path} has no description"
        assert option.get("type"), f"{path} has no type"
        if option["type"] == "list":
            assert option.get("elements"), f"{path} does not say what it is a list of"


@pytest.mark.parametrize("name", PUBLIC)
def test_attributes_say_what_modes_it_has(docs: dict[str, Doc], name: str) -> None:
    attributes = docs[name]["doc"].get("attributes") or {}
    for mode in ("check_mode", "diff_mode", "idempotent"):
        support = (attributes.get(mode) or {}).get("support")
        fine = {"full", "none", "N/A"} if name.endswith("_info") and mode == "diff_mode" else {"full"}
        assert support in fine, f"{mode}: {support}"
    assert docs[name]["doc"].get("version_added")


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_tasks_with_documented_options(docs: dict[str, Doc], name: str) -> None:
    examples = yaml.safe_load(docs[name]["examples"])
    tasks = list(tasks_of(examples))
    used = [module_of(task) for task in tasks]
    assert PREFIX + name in used, "no example uses the module by its full name"
    for task in tasks:
        assert task.get("name"), f"an example without a name: {task}"
        full = module_of(task)
        if full is None:
            assert any("." in key for key in task), f"{task['name']}: its module is not named in full"
            continue
        short = full.removeprefix(PREFIX)
        assert short in docs, f"{task['name']}: there is no module {full}"
        unknown = list(strangers(task[full] or {}, options_of(docs[short])))
        assert not unknown, f"{task['name']}: {full} does not document {unknown}"


@pytest.mark.parametrize("name", PUBLIC)
def test_return_values_are_documented(docs: dict[str, Doc], name: str) -> None:
    returned = docs[name]["return"]
    key = f"{name.removesuffix('_info')}s" if name.endswith("_info") else name
    assert (key if name != "audit" else "findings") in returned
    for field, value in returned.items():
        assert value.get("description"), f"{field} has no description"
        assert value.get("type"), f"{field} has no type"
        assert value.get("returned"), f"{field} does not say when it is returned"


@pytest.mark.parametrize("name", RESOURCES)
def test_interface_is_kept(docs: dict[str, Doc], name: str) -> None:
    promised = {*INTERFACE[name].split(), "state", "database"} | (set() if name in WITHOUT_PROJECT else {"project"})
    missing = promised - set(options_of(docs[name]))
    assert not missing, f"promised and not documented: {sorted(missing)}"
    listed = {"name", "query", "database"} | (set() if name in WITHOUT_PROJECT else {"project"})
    missing = listed - set(options_of(docs[f"{name}_info"]))
    assert not missing, f"promised and not documented: {sorted(missing)}"


@pytest.mark.parametrize(("kind", "folder"), [("lookup", "lookup"), ("inventory", "inventory")])
def test_other_plugins_render(kind: str, folder: str) -> None:
    names = [path.stem for path in sorted((ROOT / "plugins" / folder).glob("*.py")) if path.stem != "__init__"]
    assert names
    for name, doc in render(kind, *names).items():
        assert doc["examples"], f"{name} has no examples"
        for path, option in walk(options_of(doc)):
            assert option.get("description"), f"{path} has no description"


def test_checks_see_what_is_wrong() -> None:
    options = {"name": {"type": "str"}, "nics": {"type": "list", "suboptions": {"network": {"type": "str"}}}}
    assert list(strangers({"name": "a", "nmae": "b"}, options)) == ["nmae"]
    assert list(strangers({"nics": [{"network": "a"}, {"net": "b"}]}, options)) == ["nics.net"]
    play = [{"hosts": "all", "tasks": [{"block": [{"name": "x", "agentless.cloud.host": {}}]}]}]
    assert [module_of(task) for task in tasks_of(play)] == ["agentless.cloud.host"]
