# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asks: the operator's file, what makes it unfit, and the projects that a principal finds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import front
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, projects
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, NotFound
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import (
    ADMIN,
    ENVIRONMENT,
    LARGEST,
    MEMBER,
    READER,
    Principal,
    configured,
    suffices,
)

ALICE = "user: alice\nroles: {shop: member, news: reader}\n"


def named(monkeypatch: pytest.MonkeyPatch, path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    monkeypatch.setenv(ENVIRONMENT, str(path))
    return path


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (ALICE, Principal("alice", {"shop": "member", "news": "reader"})),
        ("user: bob\n", Principal("bob")),
        ("user: eve\nadmin: true\n", Principal("eve", {}, admin=True)),
        ("user: eve\nadmin: false\nroles:\n", Principal("eve")),
        ('{"user": "carol", "roles": {"1": "reader"}}', Principal("carol", {"1": "reader"})),
    ],
)
def test_what_the_operator_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, want: Principal) -> None:
    named(monkeypatch, tmp_path / "who", text, 0o640)
    assert configured("root") == want
    assert front.caller() == want


def test_without_a_file_the_user_of_the_controller_is_an_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert configured("ops") == Principal("ops", admin=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a dictionary"),
        ("[alice]", "must be a dictionary"),
        ("user: [", "is not YAML"),
        (b"user: \xff", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("[" * 20_000, "is not YAML"),
        ("roles: {shop: member}", "must be a dictionary with user"),
        ("user: 7", "must be a dictionary with user"),
        ("user: alice\nadmim: false", "no other key"),
        ("user: alice\nadmin: 'false'", "admin is 'false'"),
        ("user: alice\nadmin: 1", "admin is 1"),
        ("user: alice\nroles: [shop]", "roles must be a dictionary"),
        ("user: alice\nroles: {shop: owner}", "'shop': 'owner'"),
        ("user: alice\nroles: {shop: admin}", "'shop': 'admin'"),
        ("user: alice\nroles: {shop: [member]}", "'shop'"),
        ("user: alice\nroles: {7: member}", "quote numbers"),
        ("user: ''", "1 to 255 characters"),
        ('user: "a\\nb"', "control characters"),
        ("user: alice\n#" + "x" * LARGEST, "larger than 64 KiB"),
    ],
)
def test_what_is_not_understood_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | bytes, said: str
) -> None:
    named(monkeypatch, tmp_path / "who", text)
    with pytest.raises(BadInput, match=said):
        configured("root")


def writable(path: Path) -> str:
    path.chmod(0o620)
    return str(path)


def others(path: Path) -> str:
    path.chmod(0o602)
    return str(path)


def foreign(path: Path) -> str:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)
    return str(path)


def pipe(path: Path) -> str:
    path.unlink()
    os.mkfifo(path, 0o600)
    return str(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (writable, "nobody else may write it"),
        (others, "nobody else may write it"),
        (foreign, "belongs to uid 12345"),
        (pipe, "is not a file"),
        (lambda path: str(path.parent), "cannot be read: Is a directory"),
        (lambda path: str(path) + ".gone", "cannot be read: No such file"),
        (os.path.relpath, "give an absolute path"),
        (lambda path: "", "give an absolute path"),
    ],
)
def test_a_file_that_another_may_have_written_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoil: Callable[[Path], str], said: str
) -> None:
    path = named(monkeypatch, tmp_path / "who", "user: eve\nadmin: true\n")
    assert configured("root").admin
    monkeypatch.setenv(ENVIRONMENT, spoil(path))
    with pytest.raises(BadInput, match=said):
        configured("root")


@pytest.mark.parametrize(
    ("role", "needed", "want"),
    [
        (None, READER, False),
        (READER, READER, True),
        (READER, MEMBER, False),
        (MEMBER, READER, True),
        (MEMBER, MEMBER, True),
        (MEMBER, ADMIN, False),
        (ADMIN, ADMIN, False),
        ("", "", False),
    ],
)
def test_roles_in_order(role: str | None, needed: str, want: bool) -> None:
    assert suffices(role, needed) is want


def test_the_highest_role_counts() -> None:
    who = Principal("alice", {"shop": READER, "1234": MEMBER, "news": READER})
    assert who.role_in({"id": "1234", "name": "shop"}) == MEMBER
    assert who.role_in({"id": "5678", "name": "news"}) == READER
    assert who.role_in({"id": "5678", "name": "bank"}) is None
    assert who.role_anywhere() == MEMBER
    assert Principal("bob").role_anywhere() is None


def test_a_project_without_a_role_looks_like_none(tmp_path: Path) -> None:
    with Conductor.open(str(tmp_path / "cloud.db")) as conductor:
        with conductor.transaction() as conn:
            shop, bank = projects.create(conn, "shop"), projects.create(conn, "bank")
        alice, root = Principal("alice", {"shop": READER}), Principal("root", admin=True)
        by_id = Principal("bob", {bank["id"]: MEMBER})
        with conductor.read() as conn:
            for who, wanted in ((alice, shop), (root, shop), (root, bank), (by_id, bank)):
                for word in (wanted["name"], wanted["id"]):
                    assert projects.resolve(conn, word, who)["id"] == wanted["id"]
            assert projects.resolve(conn, "", root)["name"] == "default"
            said = []
            for word in ("bank", "bang"):
                with pytest.raises(NotFound) as caught:
                    projects.resolve(conn, word, alice)
                said.append((caught.value.msg.replace(word, "X"), {**caught.value.details, "name": "X"}))
            assert said[0] == said[1]
            for who, word in ((alice, bank["id"]), (alice, ""), (alice, "default"), (Principal("eve"), "shop")):
                with pytest.raises(NotFound):
                    projects.resolve(conn, word, who)


@pytest.mark.parametrize(
    ("user", "job", "want"),
    [("root", None, "root"), ("alice", None, "alice by:root"), ("alice", "17", "alice by:root awx:17")],
)
def test_who_stands_in_the_log(monkeypatch: pytest.MonkeyPatch, user: str, job: str | None, want: str) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    for name in ("JOB_ID", "AWX_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    if job:
        monkeypatch.setenv("JOB_ID", job)
    assert front.actor(Principal(user)) == want
