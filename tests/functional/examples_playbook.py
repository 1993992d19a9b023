# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook made of the EXAMPLES in the modules' documentation, so that a test can run every one of them.

The examples tell one story in one cloud. They run in the order of the modules given: first what makes and changes,
then the questions (``_info``), then what removes things, backwards. Each is followed by itself, which must change
nothing.

Those that are about volumes need a storage host, and are a story of their own (``--storage``).

    python examples_playbook.py --machines cloud_compute --set image.filename=/tmp/guest.qcow2
    python examples_playbook.py --machines cloud_compute --storage --smaller 10
"""

from __future__ import annotations

import argparse
import ast
import copy
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "agentless.cloud."
# In the order in which one needs the other.
PLANNED = ("project", "cell", "host", "flavor", "keypair", "server_group")
LIVE = ("secgroup", "network", "image", "instance")
STORED = ("volume_type", "volume", "volume_snapshot", "volume_backup")  # about volumes alone
WITH_STORAGE = (*STORED, "image", "instance")  # where there are examples that need a storage host
Task = dict[str, Any]
# What the story of a module takes for granted, and who is left when it has been told; then the same of volumes.
BEFORE = {
    "instance": """
- {name: A flavor, agentless.cloud.flavor: {name: small, vcpus: 1, ram: 256, disk: 1}}
- name: A network
  agentless.cloud.network: {name: front, subnets: [{name: front-v4, cidr: 10.10.0.0/24}]}
- {name: A group, agentless.cloud.secgroup: {name: web, rules: [{protocol: tcp, port_range_min: 80}]}}
- {name: Another group, agentless.cloud.secgroup: {name: dns, rules: [{protocol: udp, port_range_min: 53}]}}
- name: A key
  agentless.cloud.keypair:
    name: operators
    public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3QT0GNWP3eN47+ZCCp8n5yPOPue9WYMaXNEZ8wAFaW
- {name: A server group, agentless.cloud.server_group: {name: spread, policy: anti-affinity}}
""",
}
AFTER = {
    "instance": """
- name: None of the story's instances
  agentless.cloud.instance: {name: "{{ item }}", state: absent}
  loop: [web1, worker-1, worker-2, resolver]
""",
}
BEFORE_STORED = {
    "volume": """
- name: An image
  agentless.cloud.image: {name: debian-12, filename: debian-12.qcow2, disk_format: qcow2}
- {name: Another type, agentless.cloud.volume_type: {name: fast, extra_specs: {driver: file}}}
""",
    "instance": BEFORE["instance"]
    + """
- {name: A volume for data, agentless.cloud.volume: {name: db1-data, size: 10, volume_type: standard}}
""",
}
AFTER_STORED = {
    "volume": """
- name: None of the story's other volumes
  agentless.cloud.volume: {name: "{{ item }}", state: absent}
  loop: [root, spare-1, spare-2, spare-3, spare-4, data-copy]
""",
    "volume_snapshot": """
- name: Nor the volume made from one
  agentless.cloud.volume: {name: data-of-monday, state: absent}
""",
    "volume_backup": """
- {name: Nor the backup, agentless.cloud.volume_backup: {name: data-sunday, state: absent}}
""",
    "image": """
- {name: Nor the image made of a volume, agentless.cloud.image: {name: golden, state: absent}}
""",
    "instance": """
- {name: Nor the guest, agentless.cloud.instance: {name: db2, state: absent}}
- name: Nor its volumes
  agentless.cloud.volume: {name: "{{ item }}", state: absent}
  loop: [db1-boot, db1-data]
""",
}


def documented(name: str, folder: str = "modules") -> str:
    """The text of EXAMPLES in a plugin."""
    tree = ast.parse((ROOT / "plugins" / folder / f"{name}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["EXAMPLES"]:
            return str(ast.literal_eval(node.value))
    raise SystemExit(f"{name}: no EXAMPLES")


def examples(name: str, folder: str = "modules") -> list[Task]:
    """The tasks in the EXAMPLES of a plugin."""
    found = yaml.safe_load(documented(name, folder))
    return [task for item in found for task in (item.get("tasks", [item]) if isinstance(item, dict) else [])]


def call(task: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The module of ours that a task calls, without prefix, and its arguments; an empty name for another's module."""
    for key, value in task.items():
        if key.startswith(PREFIX):
            return key.removeprefix(PREFIX), value or {}
    return "", {}


def removes(task: Mapping[str, Any]) -> bool:
    return call(task)[1].get("state") == "absent"


def needs_machine(task: Mapping[str, Any]) -> bool:
    """Whether it is told of the host that the play runs for."""
    module, arguments = call(task)
    return module == "host" and "name" not in arguments


def needs_storage(task: Mapping[str, Any]) -> bool:
    """Whether it is about volumes, for which there has to be a storage host."""
    module, arguments = call(task)
    return module in STORED or bool({"volume", "volumes", "boot_volume"} & set(arguments))


def of_module(module: str, *, storage: bool) -> list[Task]:
    """The examples that need a storage host, or those that need none.

    Whoever has been told of once with a volume belongs to that story for good.
    """
    tasks = [task for task in examples(module) if not needs_machine(task)]
    theirs = {call(task)[1].get("name") for task in tasks if needs_storage(task)}
    return [task for task in tasks if (needs_storage(task) or call(task)[1].get("name") in theirs) == storage]


def adapted(task: Task, changes: Mapping[str, Mapping[str, Any]], *, smaller: int = 1) -> Task:
    """The task with options replaced, where it gives them: a test has fewer hosts and other files than the story.

    :param smaller: the part that is left of a volume's size.
    """
    module, arguments = call(task)
    wanted = changes.get(module, {})
    if not module or not arguments:
        return task
    replaced = {key: wanted.get(key, value) for key, value in arguments.items()}
    if smaller > 1:
        replaced = {key: _less(key, value, smaller) for key, value in replaced.items()}
    return {**task, PREFIX + module: replaced}


def _less(key: str, value: Any, smaller: int) -> Any:
    if key == "boot_volume":
        return {inner: _less(inner, content, smaller) for inner, content in value.items()}
    return max(1, value // smaller) if key == "size" else value


def again(task: Task) -> list[Task]:
    """The task, and the same once more, which must find nothing to do."""
    module, arguments = call(task)
    if not module or arguments.get("state") == "rebooted":
        return [task]
    second = {**copy.deepcopy(task), "name": f"{task['name']} (again)", "register": "second_run"}
    second["failed_when"] = "second_run is failed or second_run is changed"
    return [task, second]


def story(texts: Mapping[str, str], module: str) -> list[Task]:
    found: list[Task] = yaml.safe_load(texts.get(module, "[]"))
    return found


def parted(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """What is told at once, and the removals at the end, for which there is time when all has been told."""
    end = len(tasks)
    while end and removes(tasks[end - 1]):
        end -= 1
    return list(tasks[:end]), list(tasks[end:])


def playbook(
    modules: Sequence[str],
    *,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    removing: bool = True,
    machines: str | None = None,
    storage: bool = False,
    smaller: int = 1,
) -> list[dict[str, Any]]:
    """A play with every example of these modules and of their ``_info``; one before it for the machines' own.

    :param storage: those that need a storage host, and no others; otherwise those that need none.
    """
    plays = []
    if machines:
        own = [one for task in examples("host") if needs_machine(task) for one in again(task)]
        plays.append({"name": "Examples of a machine", "hosts": machines, "gather_facts": False, "tasks": own})
    before, after = (BEFORE_STORED, AFTER_STORED) if storage else (BEFORE, AFTER)
    making: list[Task] = []
    asking: list[Task] = []
    undoing: list[Task] = []
    for module in modules:
        told, undone = parted(of_module(module, storage=storage))
        making += story(before, module) + [one for task in told for one in again(task)]
        undoing[:0] = [one for task in undone for one in again(task)] + story(after, module)
        asking += examples(f"{module}_info") if not storage or module in STORED else []
        if module == "instance" and not storage:
            asking += examples("scheduler", "lookup")
    tasks = [*making, *asking, *(undoing if removing else [])]
    tasks = [adapted(task, changes or {}, smaller=smaller) for task in tasks]
    return [*plays, {"name": "Every example", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def settings(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """``image.filename=/x`` as ``{"image": {"filename": "/x"}}``."""
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        path, _sign, value = word.partition("=")
        module, _dot, option = path.partition(".")
        found.setdefault(module, {})[option] = yaml.safe_load(value)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", nargs="+", help=f"in this order; default: {LIVE}, or of volumes: {WITH_STORAGE}")
    parser.add_argument(
        "--set",
        nargs="*",
        action="extend",
        default=[],
        metavar="MODULE.OPTION=VALUE",
        help="replace an option where it is given; the last one counts",
    )
    parser.add_argument("--keep", action="store_true", help="leave out the examples that remove")
    parser.add_argument("--machines", metavar="GROUP", help="also the examples that a compute host has for itself")
    parser.add_argument("--storage", action="store_true", help="those of volumes instead of the others")
    parser.add_argument("--smaller", type=int, default=1, metavar="TIMES", help="divide the sizes of volumes")
    arguments = parser.parse_args(argv)
    plays = playbook(
        arguments.modules or (WITH_STORAGE if arguments.storage else LIVE),
        changes=settings(arguments.set),
        removing=not arguments.keep,
        machines=arguments.machines,
        storage=arguments.storage,
        smaller=arguments.smaller,
    )
    yaml.safe_dump(plays, sys.stdout, sort_keys=False, width=150)
    return 0


if __name__ == "__main__":
    sys.exit(main())
