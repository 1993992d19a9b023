# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What audits find: nothing in a cloud in which all is right, and one finding for each thing that goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.compute.volume_xml import secret_id
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit import compute, ledger, replies, storage
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.book import Book
from ansible_collections.agentless.cloud.plugins.plugin_utils.audit.findings import Finding, lasting
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadReply

VM, VOLUME, OTHER, SNAP, BACKUP = (f"{number}0000000-0000-4000-8000-00000000000{number}" for number in range(1, 6))
GIB = 1 << 30
IQN, STRANGER = "iqn.2026-01.test:k1", "iqn.2026-01.test:stranger"
OLD = "2026-01-01T00:00:00.000000Z"
NOW = "2026-06-01T00:00:00.000000Z"
ATTACHMENT = {
    "id": "a1",
    "volume_id": VOLUME,
    "instance_id": VM,
    "host": "k1",
    "status": "attached",
    "updated_at": OLD,
}
BOOK = Book(
    hosts=[{"id": "h1", "name": "k1", "planned": False, "facts": {"initiator": IQN}}],
    inventories=[{"host_id": "h1", "resource_class": "VCPU", "used": 2}],
    allocations=[{"host_id": "h1", "resource_class": "VCPU", "consumer_id": VM, "amount": 2}],
    instances=[
        {
            "id": VM,
            "name": "web",
            "project_id": "p1",
            "status": "ACTIVE",
            "host_id": "h1",
            "updated_at": OLD,
            "flavor": {"vcpus": 2, "ram": 512},
        }
    ],
    quotas=[
        {"project_id": "p1", "resource": resource, "used": used}
        for resource, used in (("instances", 1), ("vcpus", 2), ("ram", 512), ("volumes", 1), ("gigabytes", 4))
    ],
    backends=[{"id": "b1", "name": "lvm1", "host": "s1", "used": 2, "driver": "lvm", "capabilities": {}}],
    volumes=[
        {
            "id": VOLUME,
            "name": "data",
            "project_id": "p1",
            "size": 2,
            "status": "in-use",
            "backend_id": "b1",
            "spec": {},
            "updated_at": OLD,
        }
    ],
    attachments=[ATTACHMENT],
    snapshots=[
        {
            "id": SNAP,
            "name": "s",
            "project_id": "p1",
            "volume_id": VOLUME,
            "size": 2,
            "status": "available",
            "updated_at": OLD,
        }
    ],
    backups=[
        {
            "id": BACKUP,
            "name": "b",
            "project_id": "p1",
            "size": 2,
            "kind": "file",
            "status": "available",
            "location": {"host": "s1", "backend_id": "b1", "of": "lvm1", "backend": None},
            "updated_at": OLD,
        }
    ],
)
STORED = {f"volume-{VOLUME}": 2 * GIB, f"snap-{SNAP}": 2 * GIB}
TARGETS = {("lvm1", f"volume-{VOLUME}"): frozenset({IQN})}
STORAGE = replies.Storage({"lvm1": STORED}, {}, TARGETS, frozenset(), frozenset({f"backup-{BACKUP}"}))
GUEST = replies.Guest("running", frozenset({"disk.qcow2"}), frozenset({VOLUME}))
COMPUTE = replies.Compute({VM: GUEST}, frozenset({secret_id(VOLUME)}))


def volume(**values: Any) -> Book:
    return replace(BOOK, volumes=[{**BOOK.volumes[0], **values}])


def backend(**values: Any) -> Book:
    return replace(BOOK, backends=[{**BOOK.backends[0], **values}])


def attachment(**values: Any) -> Book:
    row = {**ATTACHMENT, **values}
    return replace(BOOK, attachments=[row])


def stored(things: Mapping[str, int]) -> replies.Storage:
    return replace(STORAGE, backends={"lvm1": {**STORED, **things}})


def brief(found: Any) -> list[tuple[str, str, str]]:
    return [(one.kind, one.what, one.id) for one in found]


ON_STORAGE: dict[str, tuple[Book, replies.Storage, list[tuple[str, str, str]]]] = {
    "all is well": (BOOK, STORAGE, []),
    "a volume nobody knows": (BOOK, stored({f"volume-{OTHER}": GIB}), [("orphan", "volume", OTHER)]),
    "a snapshot nobody knows": (BOOK, stored({f"snap-{OTHER}": GIB}), [("orphan", "snapshot", OTHER)]),
    "a draft of a killed call": (
        BOOK,
        stored({f"making-volume-{OTHER}": GIB}),
        [("orphan", "draft", f"volume-{OTHER}")],
    ),
    "a draft while it is made": (volume(status="creating"), stored({f"making-volume-{VOLUME}": GIB}), []),
    "a volume that is gone": (
        BOOK,
        replace(STORAGE, backends={"lvm1": {f"snap-{SNAP}": GIB}}),
        [("missing", "volume", VOLUME)],
    ),
    "a volume of another size": (BOOK, stored({f"volume-{VOLUME}": GIB}), [("different", "volume", VOLUME)]),
    "a volume that moves is in both places": (
        volume(status="retyping", backend_id="b0", spec={"retype": {"backends": ["b0", "b1"]}}),
        replace(STORAGE, targets={}),
        [("orphan", "snapshot", SNAP)],
    ),
    "a target nobody has": (replace(BOOK, attachments=[]), STORAGE, [("orphan", "target", VOLUME)]),
    "a target while an image is made of the volume": (
        replace(volume(status="reading"), attachments=[]),
        STORAGE,
        [],
    ),
    "a target while it is attached": (attachment(status="attaching"), STORAGE, []),
    "no target for one that is attached": (BOOK, replace(STORAGE, targets={}), [("missing", "target", VOLUME)]),
    "no target, of a host that says that it needs none": (
        backend(driver="lvm", capabilities={"protocol": "nfs"}),
        replace(STORAGE, targets={}),
        [("missing", "target", VOLUME)],
    ),
    "no target, where none is needed": (
        backend(driver="nfs", capabilities={"protocol": "iscsi"}),
        replace(STORAGE, targets={}),
        [],
    ),
    "a stranger let in": (
        BOOK,
        replace(STORAGE, targets={("lvm1", f"volume-{VOLUME}"): frozenset({IQN, STRANGER})}),
        [("orphan", "acl", VOLUME)],
    ),
    "a target of a backend nobody knows": (
        BOOK,
        replace(STORAGE, targets={**TARGETS, ("lvm9", f"volume-{OTHER}"): frozenset()}),
        [("orphan", "target", OTHER)],
    ),
    "a backstore without a target": (
        BOOK,
        replace(STORAGE, backstores=frozenset({f"lvm1.volume-{OTHER}"})),
        [("orphan", "lun", OTHER)],
    ),
    "a backup nobody knows": (
        BOOK,
        replace(STORAGE, backups=frozenset({f"backup-{BACKUP}", f"backup-{OTHER}"})),
        [("orphan", "backup", OTHER)],
    ),
    "a backup that is gone": (BOOK, replace(STORAGE, backups=frozenset()), [("missing", "backup", BACKUP)]),
    "a backend that does not answer": (
        BOOK,
        replace(STORAGE, backends={}, broken={"lvm1": "no such group"}),
        [("unknown", "backend", "lvm1")],
    ),
}
ON_COMPUTE: dict[str, tuple[Book, replies.Compute, list[tuple[str, str, str]]]] = {
    "all is well": (BOOK, COMPUTE, []),
    "a domain nobody knows": (
        BOOK,
        replace(COMPUTE, guests={VM: GUEST, OTHER: replace(GUEST, serials=frozenset())}),
        [("orphan", "domain", OTHER)],
    ),
    "files nobody knows": (
        BOOK,
        replace(COMPUTE, guests={VM: GUEST, OTHER: replies.Guest("absent", frozenset({"disk.qcow2"}), frozenset())}),
        [("orphan", "files", OTHER)],
    ),
    "a domain that is gone": (
        BOOK,
        replace(COMPUTE, guests={VM: replies.Guest("absent", frozenset(), frozenset())}),
        [("missing", "domain", VM)],
    ),
    "one that was stopped by hand": (
        BOOK,
        replace(COMPUTE, guests={VM: replace(GUEST, state="shutdown")}),
        [("different", "domain", VM)],
    ),
    "one whose screen anybody sees": (
        BOOK,
        replace(COMPUTE, guests={VM: replace(GUEST, shown=True)}),
        [("different", "screen", VM)],
    ),
    "one whose screen will be gone at its next start": (
        replace(BOOK, instances=[{**BOOK.instances[0], "status": "SHUTOFF"}]),
        replace(COMPUTE, guests={VM: replace(GUEST, state="shutdown", shown=True)}),
        [],
    ),
    "one that is being built": (
        replace(BOOK, instances=[{**BOOK.instances[0], "status": "BUILD"}]),
        replace(COMPUTE, guests={VM: replace(GUEST, state="shutdown", serials=frozenset())}),
        [],
    ),
    "what a boot that failed has left": (
        replace(BOOK, instances=[{**BOOK.instances[0], "status": "ERROR", "host_id": None}]),
        COMPUTE,
        [("orphan", "domain", VM)],
    ),
    "a disk that was taken out by hand": (
        BOOK,
        replace(COMPUTE, guests={VM: replace(GUEST, serials=frozenset())}),
        [("missing", "attachment", VOLUME)],
    ),
    "a shared volume that another instance has, and this one gets": (
        replace(
            BOOK,
            attachments=[{**ATTACHMENT, "status": "attaching"}, {**ATTACHMENT, "instance_id": OTHER, "host": "k2"}],
        ),
        replace(COMPUTE, guests={VM: replace(GUEST, serials=frozenset())}),
        [],
    ),
    "a disk that is not on record": (
        replace(BOOK, attachments=[]),
        replace(COMPUTE, secrets=frozenset()),
        [("orphan", "attachment", VOLUME)],
    ),
    "a secret nobody needs": (
        BOOK,
        replace(COMPUTE, secrets=COMPUTE.secrets | {secret_id(OTHER)}),
        [("orphan", "secret", secret_id(OTHER))],
    ),
}
Check = Callable[[Book], Any]
IN_THE_LEDGER: dict[str, tuple[Check, Book, list[tuple[str, str, str]]]] = {
    "claims are right": (ledger.claims, BOOK, []),
    "a claim of nobody": (ledger.claims, replace(BOOK, instances=[]), [("orphan", "claim", VM)]),
    "a wrong sum": (
        ledger.claims,
        replace(BOOK, inventories=[{**BOOK.inventories[0], "used": 3}]),
        [("different", "claim", "h1")],
    ),
    "backends are right": (ledger.room, BOOK, []),
    "a claim that was not given back": (ledger.room, replace(BOOK, volumes=[]), [("different", "claim", "b1")]),
    "one that grows has claimed what it grows to": (
        ledger.room,
        replace(volume(spec={"extend": {"size": 5}}), backends=[{**BOOK.backends[0], "used": 5}]),
        [],
    ),
    "quotas are right": (ledger.quotas, BOOK, []),
    "a quota that was not given back": (
        ledger.quotas,
        replace(BOOK, instances=[]),
        [
            ("different", "quota", "p1"),
            ("different", "quota", "p1"),
            ("different", "quota", "p1"),
        ],
    ),
    "attachments are right": (ledger.owners, BOOK, []),
    "an attachment of nobody": (ledger.owners, replace(BOOK, instances=[]), [("orphan", "attachment", "a1")]),
    "nothing is unfinished": (lambda book: ledger.unfinished(book, NOW), BOOK, []),
    "work that ended nowhere": (
        lambda book: ledger.unfinished(book, NOW),
        volume(status="extending"),
        [("unfinished", "volume", VOLUME)],
    ),
    "work that has just begun": (lambda book: ledger.unfinished(book, OLD[:-2] + "0"), volume(status="extending"), []),
}


@pytest.mark.parametrize("case", ON_STORAGE)
def test_storage_hosts(case: str) -> None:
    book, has, want = ON_STORAGE[case]
    assert brief(storage.compare(book, "s1", has)) == want


@pytest.mark.parametrize("case", ON_COMPUTE)
def test_compute_hosts(case: str) -> None:
    book, has, want = ON_COMPUTE[case]
    assert brief(compute.compare(book, "k1", has)) == want


@pytest.mark.parametrize("case", IN_THE_LEDGER)
def test_the_records_themselves(case: str) -> None:
    check, book, want = IN_THE_LEDGER[case]
    assert brief(check(book)) == want


def test_only_what_held_before_and_after_counts() -> None:
    """A volume that was made while the hosts were asked is there, and was on record after it."""
    old, new = Finding("orphan", "volume", VOLUME, "s1", "x"), Finding("orphan", "volume", OTHER, "s1", "x")
    assert lasting([old, new], [old]) == [old]


SAID = {
    "compute": {"instances": {VM: {"state": "running", "files": [], "disks": [{"serial": VOLUME}]}}, "secrets": []},
    "storage": {"backends": {"lvm1": STORED}, "broken": {}, "targets": [], "backstores": [], "backups": []},
}
LIES: dict[str, tuple[str, Any]] = {
    "no list": ("secrets", {"a": "b"}),
    "a name that is none": ("secrets", ["\x1b[2J"]),
    "a name without end": ("secrets", ["x" * 300]),
    "no dictionary": ("instances", []),
    "too many": ("secrets", ["x"] * (replies.MOST + 1)),
}


def test_what_hosts_say_is_read() -> None:
    assert replies.compute("k1", SAID["compute"]).guests[VM].serials == {VOLUME}
    assert replies.compute("k1", SAID["compute"]).guests[VM].shown is False
    shown = {"instances": {VM: {**SAID["compute"]["instances"][VM], "screens": ["vnc"]}}, "secrets": []}
    assert replies.compute("k1", shown).guests[VM].shown is True
    assert replies.storage("s1", SAID["storage"]).backends == {"lvm1": STORED}


@pytest.mark.parametrize("case", LIES)
def test_what_hosts_say_is_looked_at_first(case: str) -> None:
    key, value = LIES[case]
    with pytest.raises(BadReply, match="form agreed"):
        replies.compute("k1", {**SAID["compute"], key: value})


def test_sizes_are_numbers() -> None:
    for size in (True, "2", -1):
        with pytest.raises(BadReply, match="form agreed"):
            replies.storage("s1", {**SAID["storage"], "backends": {"lvm1": {"volume-x": size}}})


def test_ten_thousand_instances_take_no_time() -> None:
    """P22: each host is compared with its own rows, not with all there are."""
    count, each = 1000, 10
    name = "{:08d}-0000-4000-8000-{:012d}".format
    keys = [(host, name(host, number)) for host in range(count) for number in range(each)]
    rows = [{**ATTACHMENT, "volume_id": key, "instance_id": key, "host": f"k{host}"} for host, key in keys]
    book = replace(
        BOOK,
        hosts=[{"id": f"h{host}", "name": f"k{host}", "planned": False, "facts": {}} for host in range(count)],
        instances=[{**BOOK.instances[0], "id": key, "host_id": f"h{host}"} for host, key in keys],
        volumes=[{**BOOK.volumes[0], "id": key} for _host, key in keys],
        attachments=rows,
    )
    started = time.process_time()
    found = [one for host in range(count) for one in compute.compare(book, f"k{host}", replies.Compute())]
    assert len(found) == count * each
    assert time.process_time() - started < 5
