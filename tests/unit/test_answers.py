# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing that a host answers is used unseen: every place where the controller reads an answer is on a list.

``BROKEN`` puts the mistakes that such a list is for into the real source, each of which must be noticed: a rule that
has gone blind is a failing test as well.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit import answers

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("answers.yml").read_text())
FATES = frozenset(
    {"form", "answer", "number", "word", "address", "uuid"}
    | {"digest", "compared", "content", "back", "shown", "table"}
)
ROLES = ROOT / "roles"


@cache
def sources() -> dict[str, str]:
    return answers.sources(PLUGINS / answers.ROOM)


def found(changed: dict[str, str] | None = None) -> dict[str, set[str]]:
    """What is read where, in the source as it is or with some files changed."""
    return dict(answers.Reading({**sources(), **(changed or {})}, TABLE["checked"]).found)


def told(listed: dict[str, Any]) -> set[str]:
    return {f"{function}: {what}" for function, every in listed.items() for what in every}


def test_every_answer_that_is_read_is_on_the_list() -> None:
    now, listed = told(found()), told(TABLE["read"])
    assert now - listed == set(), "read, and tests/unit/answers.yml does not say what becomes of it"
    assert listed - now == set(), "on the list, and not read any more"


def test_the_list_says_what_becomes_of_each() -> None:
    fates = [fate for every in [*TABLE["read"].values(), TABLE["roles"]] for fate in every.values()]
    assert [fate for fate in fates if re.split("[ ,;]", fate)[0] not in FATES] == []


def test_functions_whose_results_count_as_looked_at_are_there_and_look() -> None:
    """One that reads nothing of an answer would be a way past the list."""
    known = answers.Reading(sources(), {})
    assert [name for name in TABLE["checked"] if name not in known.functions] == []
    given = [name for name in TABLE["checked"] if any(known.functions[name].given.values())]
    own = {name for name in TABLE["checked"] if name in TABLE["read"]}
    assert sorted({*given, *own}) == sorted(TABLE["checked"])


def test_nobody_else_asks_hosts() -> None:
    """The list covers one directory; in the others nothing has the bus."""
    for folder in ("action", "inventory", "lookup"):
        for path in (PLUGINS / folder).glob("*.py"):
            assert not re.search(r"\brpc\b", path.read_text()), path


# What is changed in which file, and what must be found then.
BROKEN: dict[str, tuple[str, str, str, str]] = {
    "the answer to an export is believed": (
        "volume/moving.py",
        "return sources.confirmed(request, order.host, backend, order.operation, answer)",
        "return answer",
        "volume/orders.py::Loaded.order: > Order",
    ),
    "the same for guests": (
        "compute/exports.py",
        "found[order.owner] = sources.confirmed(request, order.host, backend, order.operation, answer)",
        "found[order.owner] = answer",
        "compute/attachments.py::disk: > hardware.VolumeDisk",
    ),
    "the same for images": (
        "image/volumes.py",
        "sources.confirmed(request, order.host, found.backend or {}, order.operation, answer)",
        "dict(answer)",
        "image/imports.py::_watched: > Call",
    ),
    "a key of an answer is passed on": (
        "compute/volumes.py",
        "        request.rpc.results(reply)\n",
        '        request.rpc.call(Call("another", "x", [{"path": request.rpc.results(reply)[0]["path"]}]))\n',
        "compute/volumes.py::_on_hosts: path",
    ),
    "a fact more is read": (
        "compute/facts.py",
        '                "hostname": _word(reply["hostname"]),\n',
        '                "hostname": _word(reply["hostname"]),\n                "pool": reply.get("pool"),\n',
        "compute/facts.py::read: pool",
    ),
    "a key that is not written out": (
        "image/imports.py",
        'if kept.get("checksum") != record["checksum"]:',
        'if kept.get(record["key"]) != record["checksum"]:',
        "image/imports.py::keep: *",
    ),
    "through a function, a list and a loop": (
        "network/central.py",
        'return any(result.get("changed") for result in results)',
        "return _any([*results])\n\n\ndef _any(every):\n    for one in every:\n        it = one\n    return it['mac']",
        "network/central.py::_any: mac",
    ),
    "by a reply of the bus": (
        "volume/extend.py",
        "            Rpc.results(reply)\n",
        '            Rpc.results(reply)\n            print(reply.results[0]["device"])\n',
        "volume/extend.py::_tell_guests: device",
    ),
    "an answer in a message": (
        "image/imports.py",
        'return BackendFailed("x")',
        'raise BackendFailed(f"{answer}")',
        "image/imports.py::_part: > BackendFailed",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_list_would_notice(case: str) -> None:
    path, now, then, want = BROKEN[case]
    text = sources()[path]
    if case == "an answer in a message":
        now = "    try:\n        content = base64.b64decode"
        then = f"    if not answer:\n        {then}\n{now}"
    assert text.count(now) >= 1, "the source has changed; so must the sample"
    assert want in told(found({path: text.replace(now, then, 1)})) - told(TABLE["read"])


def test_roles_have_hosts_say_to_others_what_is_on_the_list() -> None:
    now = {each for role in sorted(ROLES.iterdir()) for each in answers.crossings(role)}
    assert now - set(TABLE["roles"]) == set(), "and tests/unit/answers.yml does not say what becomes of it"
    assert set(TABLE["roles"]) - now == set(), "on the list, and not done any more"


@pytest.mark.parametrize(
    ("path", "text", "want"),
    [
        (
            "vars/main.yml",
            "__x: \"{{ hostvars['k2'].ansible_facts.default_ipv4.address }}\"",
            "].ansible_facts",
        ),
        ("templates/a.j2", "{{ (other.ansible_facts | default({})).nodename }}", "other.ansible_facts"),
        (
            "defaults/main.yml",
            "x: \"{{ all | map(attribute='ansible_facts.fqdn') }}\"",
            "'ansible_facts.fqdn",
        ),
        (
            "tasks/main.yml",
            "- {command: a, register: __x_said}\n- {command: 'b {{ __x_said.stdout }}', delegate_to: localhost}",
            "__x_said at localhost",
        ),
        (
            "tasks/main.yml",
            "- {command: a, register: __x_said}\n- block:\n  - {command: 'b {{ __x_said.rc }}'}\n  delegate_to: k2",
            "__x_said at k2",
        ),
        ("tasks/main.yml", "- {command: a, register: __x_said, delegate_to: k2}", "__x_said from k2"),
        ("tasks/main.yml", "- ansible.builtin.slurp: {src: /etc/passwd}", "slurp /etc/passwd"),
        ("tasks/main.yml", "- {command: a, register: __x}\n- {command: 'b {{ __x.rc }}'}", None),
        ("vars/main.yml", "__x: \"{{ ansible_facts['nodename'] }}\" # not other.ansible_facts", None),
    ],
)
def test_the_list_of_roles_would_notice(tmp_path: Path, path: str, text: str, want: str | None) -> None:
    made = tmp_path / "x" / path
    made.parent.mkdir(parents=True)
    made.write_text(text + "\n")
    assert answers.crossings(tmp_path / "x") == ({f"x/{path}: {want}"} if want else set())
