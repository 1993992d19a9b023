# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection without one of its guards: an attack that is in vain must succeed there, or its test shows nothing."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from .cloud import CHECKOUT

PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
# By kind of host: the lines that guard, each without its indentation and once in its file, and what replaces them.
GUARDS = {
    "compute": {
        "roles/common/tasks/facts.yml": {
            "that: not lookup('ansible.builtin.config', 'INJECT_FACTS_AS_VARS')": "that: true",
        },
        "plugins/plugin_utils/hostfacts.py": {"if not C.INJECT_FACTS_AS_VARS:": "if C.INJECT_FACTS_AS_VARS:"},
    },
    "storage": {
        "plugins/plugin_utils/volume/sources.py": {
            "if said.get(key) != wanted.get(key):": "if False:",
            "return wanted": "return said",
        },
        # The compute host looks once more.
        "plugins/module_utils/compute/volume_xml.py": {
            'raise ValueError(f"the source {name!r} is not that of volume {key}")': "pass",
        },
    },
    "network": {
        "roles/compute/tasks/renamed.yml": {
            "delegate_facts: true # what the central says of itself is never taken for a fact of this host": "",
        },
    },
    "image": {"plugins/module_utils/compute/images.py": {"if seen.hexdigest() != digest:": "if False:"}},
}


@contextlib.contextmanager
def without(kind: str, folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """The environment of plays with a copy of the collection that believes hosts of a kind."""
    tree = folder / f"unguarded-{kind}"
    copy = tree / "ansible_collections" / "agentless" / "cloud"
    copy.mkdir(parents=True)
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / part)
    for name, lines in GUARDS[kind].items():
        text = (copy / name).read_text().splitlines()
        for line, instead in lines.items():
            (place,) = [number for number, found in enumerate(text) if found.strip() == line]
            text[place] = text[place].replace(line, instead)
        (copy / name).write_text("\n".join(text) + "\n")
    try:
        yield {"ANSIBLE_COLLECTIONS_PATH": str(tree), "PYTHONPATH": str(tree)}
    finally:
        shutil.rmtree(tree)
