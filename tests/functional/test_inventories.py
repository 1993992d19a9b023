# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example inventories: an unedited copy is refused before anything is connected to, an edited one is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

INVENTORIES = Path(__file__).parents[2] / "inventory"
REFUSED = "still has what the example inventories say"


class Site:
    """Copies of the examples, and a stand-in for ssh that notes each call and refuses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.called = folder / "called"
        self.ssh = folder / "ssh"
        self.ssh.write_text(f'#!/bin/sh\necho "$*" >>{self.called}\necho no route >&2\nexit 255\n')
        self.ssh.chmod(0o755)

    def copy(self, example: str, **edits: str) -> Path:
        """A copy of an example in which texts (by a word for each) are replaced: ``word=old>new``."""
        target = self.folder / example
        shutil.copytree(INVENTORIES / example, target)
        for edit in edits.values():
            old, new = edit.split(">")
            for path in target.rglob("*.yml"):
                path.write_text(path.read_text().replace(old, new))
        return target

    def run(self, inventory: Path) -> str:
        """What the playbook site says; it must fail, since nobody answers."""
        environ = {
            **os.environ,
            "HOME": str(self.folder),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_EXECUTABLE": str(self.ssh),
            "ANSIBLE_SSH_RETRIES": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), "agentless.cloud.site"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        return " ".join(done.stdout.split())

    @property
    def connections(self) -> int:
        """How often ssh was called."""
        return len(self.called.read_text().splitlines()) if self.called.exists() else 0


def refused(said: str) -> set[str]:
    """The hosts that the playbook refused."""
    return set(re.findall(rf"(\w+) {REFUSED}", said))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("example", "named"),
    [
        ("all_in_one", {"cloud1": "192.0.2.10"}),
        ("small", {"control1": "192.0.2.10 and 192.0.2.0/24", "compute1": "192.0.2.21", "compute2": "192.0.2.22"}),
        ("cells", {"db1": "192.0.2.10 and 192.0.2.0/24", "net1": "192.0.2.11", "img1": "192.0.2.12"}),
    ],
)
def test_an_unedited_copy_is_refused_before_anything_is_connected_to(
    site: Site, example: str, named: dict[str, str]
) -> None:
    copy = site.copy(example)
    said = site.run(copy)
    for host, addresses in named.items():
        assert f"{host} {REFUSED}, {addresses}: " in said
    assert refused(said) == set(named)
    assert f"ansible_host in {copy / 'hosts.yml'} and" in said
    assert site.connections == 0


@pytest.mark.parametrize("left", ["198.51.100.7", "203.0.113.250", "2001:db8::1", "2001:0db8:0::1"])
def test_one_address_left_is_enough(site: Site, left: str) -> None:
    said = site.run(site.copy("small", most="192.0.2.>10.0.0.", one=f"10.0.0.22>{left}"))
    assert f"compute2 {REFUSED}, {left}: " in said
    assert refused(said) == {"compute2"}
    assert site.connections == 0


def test_the_range_that_may_reach_the_database_counts(site: Site) -> None:
    said = site.run(site.copy("small", hosts="ansible_host: 192.0.2.>ansible_host: 10.0.0."))
    assert f"control1 {REFUSED}, 192.0.2.0/24: " in said
    assert site.connections == 0


def test_an_edited_copy_is_tried(site: Site) -> None:
    said = site.run(site.copy("small", all="192.0.2.>192.0.20."))
    assert REFUSED not in said
    assert "no route" in said
    assert site.connections > 0
