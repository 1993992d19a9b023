# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host has fallen: its Python says something else than its modules do, and it gains nothing by it.

A compute host adds facts with the names of our variables. Where nothing guards, Ansible takes them for the operator's
own words, which the first test shows: else the others could not fail. A storage host says that a volume is somewhere
else, the OVN central tells a compute host where it is, an image store gives away what nobody has put there.

The last test has a host of each kind lie twice: to this collection, and to one that lacks the guard.
"""

from __future__ import annotations

import json
import pathlib
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from agentless_lab import lab

from . import liar, unguarded
from .cloud import Cloud, usual
from .volumes import STORAGE, Site

pytestmark = pytest.mark.lab

INJECTED = {"ANSIBLE_INJECT_FACT_VARS": "True"}
GONE = (("instance", "trusting"), ("volume", "data"))
CANARY = "canary-51ab7e-of-the-controller"
LIMIT = 2
FILE = "/srv/secret"  # of a compute host, for root alone
ELSEWHERE = "203.0.113.66"  # an address of nobody
POSTED = b"posted by its owner"
# As site does.
NEEDED = ("network", "distribution", "service_mgr", "pkg_mgr", "selinux", "python", "platform")
GATHER = {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", *NEEDED]}}


@dataclass
class Fallen:
    """A host that lies, and what it is after on the controller."""

    cloud: Cloud
    host: str
    folder: pathlib.Path

    @property
    def secret(self) -> pathlib.Path:
        """A file that only the controller's user reads."""
        return self.folder / "secret"

    @property
    def theirs(self) -> pathlib.Path:
        """Where they would have the database."""
        return self.folder / "theirs.db"

    def lie(self) -> dict[str, Any]:
        return {
            "compute_ovn_protocol": "ssl",
            "compute_tls_key": str(self.secret),
            "compute_tls_certificate": str(self.secret),
            "compute_tls_ca": str(self.secret),
            "agentless_database": f"sqlite:///{self.theirs}",
            "cell_limits": {"vcpus": 60000},
            "distribution": "../../../../../tmp/theirs",
        }

    def stolen(self) -> list[str]:
        """The files of the host that have what only the controller should have."""
        line = f"grep -rlsa {CANARY[:-1]}[{CANARY[-1]}] /etc /root /tmp /var/lib /run || true"
        return self.cloud.host(self.host, line).split()

    def answers(self) -> int:
        """How often its Python has run since it lies."""
        return liar.answers(self.cloud, self.host)


@pytest.fixture
def fallen(clean: Cloud, tmp_path: pathlib.Path) -> Iterator[Fallen]:
    """The host k2, which has fallen; it is well again afterwards."""
    found = Fallen(clean, "k2", tmp_path)
    found.secret.write_text(CANARY)
    with liar.lying(clean, "k2", facts=found.lie()):
        yield found


def test_the_lie_works_where_nothing_guards(fallen: Fallen) -> None:
    """What the roles did: a file of the controller by a variable of the inventory, after the facts were gathered."""
    said = fallen.folder / "said.json"
    said.write_text(json.dumps({"all": {"hosts": {"k2": {"compute_tls_key": "/dev/null"}}}}))
    steal = {"ansible.builtin.copy": {"src": "{{ compute_tls_key }}", "dest": "/root/stolen", "mode": "0600"}}
    play = {
        "hosts": "k2",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}}, steal],
    }
    assert fallen.cloud.run([play], "-i", str(said), **INJECTED).returncode == 0
    assert fallen.stolen() == ["/root/stolen"]
    fallen.cloud.host("k2", "rm /root/stolen")
    assert fallen.cloud.run([play], "-i", str(said)).returncode == 0
    assert fallen.stolen() == [], "without facts as variables the inventory's word counts"


def test_the_site_does_not_begin_where_facts_are_variables(fallen: Fallen) -> None:
    before, played = fallen.answers(), fallen.cloud.run("agentless.cloud.site", **INJECTED)
    assert played.returncode != 0
    assert "inject_facts_as_vars = False" in played.last["msg"]
    assert fallen.answers() == before, "no host is asked anything"
    tasks = [GATHER, {"ansible.builtin.include_role": {"name": "agentless.cloud.compute"}}]
    played = fallen.cloud.run([{"hosts": "k2", "gather_facts": False, "tasks": tasks}], **INJECTED)
    assert "inject_facts_as_vars = False" in played.last["msg"], "nor does a role alone"
    assert fallen.answers() <= before + 2, "only the facts were asked for"


def test_a_module_refuses_a_host_whose_facts_have_names_of_ours(fallen: Fallen) -> None:
    """Playbooks of others may run with facts as variables, and modules work in them, unless a host does this."""
    setup = {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}}
    known = {"agentless.cloud.host_info": {}}
    plays = [
        {"hosts": "k2", "gather_facts": False, "tasks": [setup, {**known, "ignore_errors": True}]},
        {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [known]},
    ]
    played = fallen.cloud.run(plays, **INJECTED)
    refused, told = played.results[-2:]
    assert (refused["error"], refused["host"]) == ("BadReply", "k2"), played.output
    assert refused["variables"] == sorted(name for name in fallen.lie() if name != "distribution")
    assert {row["name"] for row in told["hosts"]} == {"k1", "k2"}
    assert not fallen.theirs.exists()


def test_the_roles_believe_the_inventory_alone(fallen: Fallen) -> None:
    """It gets no file, records nothing elsewhere, and has the capacity that the operator allows."""
    cloud = fallen.cloud
    query = "SELECT total FROM inventories i JOIN hosts h ON h.id = i.host_id"
    query += " WHERE h.name = 'k2' AND resource_class = 'VCPU'"
    ((before,),) = cloud.ask(query)
    said = fallen.folder / "limits.json"
    said.write_text(json.dumps({"all": {"hosts": {"k2": {"cell_limits": {"vcpus": min(LIMIT, before)}}}}}))
    play = {
        "hosts": "k2",
        "gather_facts": False,
        "tasks": [
            GATHER,
            {"ansible.builtin.include_role": {"name": "agentless.cloud.compute"}},
            {"ansible.builtin.include_role": {"name": "agentless.cloud.cell"}},
        ],
    }
    played = cloud.run([play], "-i", str(said))
    assert played.returncode == 0, played.output[-4000:]
    assert fallen.answers() > 5
    assert fallen.stolen() == []
    assert not fallen.theirs.exists()
    assert cloud.ask(query) == [(min(LIMIT, before),)]
    restored = cloud.tasks({"agentless.cloud.host": {"name": "k2", "limits": {"vcpus": before}}})
    assert restored.returncode == 0, restored.output
    assert cloud.ask(query) == [(before,)]


def test_a_storage_host_that_says_another_source(site: Site) -> None:
    """A file of the compute host, another target, another name: no guest gets it, and the truth works afterwards."""
    cloud, boot = site, {"flavor": "none", "image": "halt", "networks": ["front"], "host": "k1", "timeout": 120}
    wish = {"agentless.cloud.instance": {"name": "trusting", "volumes": ["data"], **boot}}
    made = cloud.tasks({"agentless.cloud.volume": {"name": "data", "size": 1, "volume_type": "fast"}})
    key = made.last["volume"]["id"]
    iqn, portal = f"iqn.2026-01.cloud.agentless:lvm1.volume-{key}", f"{lab.find(cloud.name, STORAGE).address}:3260"
    true = {"protocol": "iscsi", "portal": portal, "portals": [portal], "iqn": iqn, "lun": 0}
    lies: list[dict[str, Any]] = [
        {"protocol": "file", "path": "/etc/shadow"},
        {**true, "portal": "127.0.0.1:3260"},
        {**true, "iqn": iqn.replace(key, str(uuid.UUID(int=7)))},
        {**true, "lun": 1},
        {**true, "path": "/etc/shadow"},
    ]
    for told in lies:
        with liar.lying(cloud, STORAGE, instead=told):
            played = cloud.tasks({**wish, "ignore_errors": True})
        assert played.last["error"] in ("BadReply", "NoValidHost"), (told, played.output)
        assert "Nothing was attached" in played.output
        assert cloud.host("k1", "virsh dumpxml trusting 2>/dev/null | grep -c shadow; true").strip() in ("", "0")
    assert cloud.tasks(wish).returncode == 0
    ((_host, domain),) = cloud.domains()
    xml = cloud.host("k1", f"virsh dumpxml {domain}")
    assert f"{iqn}/0" in xml
    assert "shadow" not in xml
    gone = cloud.tasks(*({f"agentless.cloud.{kind}": {"name": name, "state": "absent"}} for kind, name in GONE))
    assert gone.returncode == 0, gone.output
    assert cloud.left_over() == {}


def a_database_of_theirs(site: Site, folder: pathlib.Path, **environ: str) -> list[str]:
    """A compute host chooses the database: what there is at its path on the controller."""
    theirs = folder / "theirs.db"
    play = {
        "hosts": "k2",
        "gather_facts": False,
        "tasks": [GATHER, {"ansible.builtin.include_role": {"name": "agentless.cloud.cell"}}],
    }
    with liar.lying(site, "k2", facts={"agentless_database": f"sqlite:///{theirs}"}):
        site.run([play], **INJECTED, **environ)
    return [path.name for path in folder.glob("theirs.db")]


def a_file_of_the_compute_host(site: Site, folder: pathlib.Path, **environ: str) -> list[str]:
    """A storage host says that a volume is a file of the host that asks: the disks of the guest that are that file."""
    wanted = {"agentless.cloud.volume": {"name": "data", "size": 1, "volume_type": "fast"}}
    guest = {**usual({"name": "trusting", "host": "k1"})["agentless.cloud.instance"], "volumes": ["data"]}
    site.host("k1", f"printf {CANARY} > {FILE}; chmod 600 {FILE}; truncate -s 1M {FILE}")
    with liar.lying(site, STORAGE, instead={"protocol": "file", "path": FILE}):
        played = site.tasks(wanted, {"agentless.cloud.instance": guest}, **environ)
    print(played.output[-8000:])  # is shown where the test fails
    listed = "for each in $(virsh list --all --uuid); do virsh domblklist $each; done"
    found = [line.split()[1] for line in site.host("k1", listed).splitlines() if FILE in line]
    site.host("k1", f"rm {FILE}")
    gone = site.tasks(*({f"agentless.cloud.{kind}": {"name": name, "state": "absent"}} for kind, name in GONE))
    assert gone.returncode == 0, gone.output
    return found


def an_address_of_another_host(site: Site, folder: pathlib.Path, **environ: str) -> list[str]:
    """The OVN central says where it is while it answers for a compute host: where that one would send tunnels to."""
    role = {"name": "agentless.cloud.compute", "tasks_from": "renamed", "public": True}
    tasks = [
        GATHER,
        {"ansible.builtin.include_role": role, "vars": {"__compute_external_ids": {}}},
        {"ansible.builtin.debug": {"msg": "{{ compute_encap_address }}"}},
    ]
    lie = {"all_ipv4_addresses": [], "default_ipv4": {"address": ELSEWHERE}}
    with liar.lying(site, "k1", facts=lie):
        played = site.run([{"hosts": "k2", "gather_facts": False, "tasks": tasks}], **environ)
    assert played.returncode == 0, played.output
    true = lab.find(site.name, "k2").address
    assert played.last["msg"] in (true, ELSEWHERE)
    return [played.last["msg"]] if played.last["msg"] != true else []


def a_disk_of_the_stores(site: Site, folder: pathlib.Path, **environ: str) -> list[str]:
    """An image store gives away something else than was put there: the files of the compute host that have it."""
    content = folder / "posted.raw"
    content.write_bytes((b"\xfa\xf4\xeb\xfd" + POSTED).ljust(510, b"\0") + b"\x55\xaa".ljust(1 << 20, b"\0"))
    posted = {"name": "posted", "filename": str(content), "disk_format": "raw", "stores": ["k1"]}
    (made,) = site.tasks({"agentless.cloud.image": posted}).results
    digest = made["image"]["checksum"].removeprefix("sha256:")
    kept = f"/var/lib/agentless/image-store/sha256/{digest}"
    site.host("k1", f"printf {shlex.quote(CANARY)} | dd of={kept} bs=1 seek=4096 conv=notrunc status=none")
    played = site.tasks(usual({"name": "victim", "image": "posted", "host": "k2"}), **environ)
    assert (played.returncode == 0) == bool(environ), played.output
    line = f"grep -lsa {CANARY[:-1]}[{CANARY[-1]}] /var/lib/agentless/images/* || true"
    found = site.host("k2", line).split()
    gone = site.tasks(
        {"agentless.cloud.instance": {"name": "victim", "state": "absent"}},
        {"agentless.cloud.image": {"name": "posted", "state": "absent"}},
    )
    assert gone.returncode == 0, gone.output
    site.host("k2", f"rm -f /var/lib/agentless/images/{digest}")
    return [pathlib.Path(path).name.replace(digest, "the image") for path in found]


Attack = Callable[..., list[str]]
ATTACKS: dict[str, tuple[Attack, list[str]]] = {
    "compute": (a_database_of_theirs, ["theirs.db"]),
    "storage": (a_file_of_the_compute_host, [FILE]),
    "network": (an_address_of_another_host, [ELSEWHERE]),
    "image": (a_disk_of_the_stores, ["the image"]),
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_host_of_each_kind_gains_nothing_and_would_without_the_guard(
    site: Site, tmp_path: pathlib.Path, kind: str
) -> None:
    attack, gained = ATTACKS[kind]
    assert attack(site, tmp_path) == []
    with unguarded.without(kind, tmp_path) as environ:
        assert attack(site, tmp_path, **environ) == gained
    assert site.left_over() == {}
