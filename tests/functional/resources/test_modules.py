# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules through the front desk, by ansible-playbook: P10, errors, queries, defaults, secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functional.resources.controller import Controller, Result
from tests.unit.resources.cloud import KEY, OTHER_KEY

PREFIX = "agentless.cloud."


def task(module: str, **options: Any) -> dict[str, Any]:
    return {"name": f"{module} {options.get('name')}", PREFIX + module: options}


MAKING = [
    task("project", name="shop", description="The shop", quota={"instances": 5}),
    task("cell", name="east", zone="z1", virt_type="qemu"),
    task("flavor", name="small", vcpus=1, ram=512, disk=1, extra_specs={"fast": True}),
    task("keypair", name="ops", public_key=KEY),
    task("server_group", name="spread", policy="anti-affinity", max_per_host=2),
]
CHANGING = [
    task("project", name="shop", quota={"instances": 6, "ram": -1}, enabled=False),
    task("cell", name="east", zone="z2"),
    task("flavor", name="small", ram=1024, is_public=False),
    task("keypair", name="ops", public_key=OTHER_KEY),
    task("server_group", name="spread", max_per_host=3),
]
REMOVING = [
    task(module, name=name, state="absent")
    for module, name in (("server_group", "spread"), ("keypair", "ops"), ("flavor", "small"), ("cell", "east"))
] + [task("project", name="shop", state="absent")]


def outline(results: list[Result]) -> list[tuple[Any, Any]]:
    return [(result["changed"], result.get("diff")) for result in results]


def test_predicted_done_and_done_already(controller: Controller) -> None:
    controller.play([task("cell_info")])
    for tasks in (MAKING, CHANGING, REMOVING):
        before = controller.digest()
        predicted = controller.play(tasks, "--check", "--diff")
        assert controller.digest() == before
        done = controller.play(tasks, "--diff")
        assert outline(predicted) == outline(done)
        assert [result["changed"] for result in done] == [True] * len(tasks)
        assert all(result["diff"] for result in done)
        after = controller.digest()
        again = controller.play(tasks, "--diff")
        assert outline(again) == [(False, None)] * len(tasks)
        assert controller.digest() == after


def test_lists_and_queries(controller: Controller) -> None:
    controller.play(MAKING)
    before = controller.digest()
    asked = controller.play(
        [
            task("flavor_info"),
            task("flavor_info", name="small", query="[0].ram"),
            task("keypair_info", query="[].fingerprint"),
            task("server_group_info", name="none"),
            task("cell_info", query="[].name"),
            task("project_info", query="[?name=='shop'].quota.instances"),
        ]
    )
    assert asked[0]["flavors"][0]["extra_specs"] == {"fast": "true"}
    assert asked[1]["flavors"] == 512
    assert asked[2]["keypairs"][0].startswith("SHA256:")
    assert asked[3]["server_groups"] == []
    assert asked[4]["cells"] == ["default", "east"]
    assert asked[5]["projects"] == [5]
    assert not any(result["changed"] for result in asked)
    assert controller.digest() == before


def test_errors_have_a_class_and_a_reason(controller: Controller) -> None:
    tasks = [
        (task("flavor", name="a\nb", vcpus=1, ram=1, disk=1), "BadInput"),
        (task("flavor", name="a", vcpus=1), "BadInput"),
        (task("keypair", name="a", public_key="ssh-rsa AAAA"), "BadInput"),
        (task("keypair", name="a", public_key=KEY, project="shpo"), "NotFound"),
        (task("project", name="default", state="absent"), "InUse"),
        (task("image", name="a", filename="none.qcow2", disk_format="qcow2"), "BadInput"),
    ]
    results = controller.play([{**each, "ignore_errors": True} for each, _error in tasks])
    assert [(result["failed"], result["error"]) for result in results] == [(True, error) for _each, error in tasks]
    assert all(result["msg"].endswith((".", "]")) for result in results), results
    assert "Traceback" not in controller.said


def test_options_outside_the_documentation(controller: Controller) -> None:
    wrong = [
        task("flavor", name="a", vcpus="many"),
        task("flavor", name="a", cpus=1),
        task("server_group", name="a", policy="together"),
        task("cell", zone="z"),
    ]
    results = controller.play([{**each, "ignore_errors": True} for each in wrong])
    assert all(result["failed"] for result in results)
    assert "Traceback" not in controller.said


def test_defaults_for_all_modules(controller: Controller) -> None:
    other = controller.home / "other.db"
    defaults = {"group/agentless.cloud.cloud": {"database": str(other)}}
    controller.play([task("cell", name="east")], module_defaults=defaults)
    (asked,) = controller.play([task("cell_info", query="[].name")])
    assert asked["cells"] == ["default"]
    (asked,) = controller.play([task("cell_info", query="[].name")], vars={"agentless_database": str(other)})
    assert asked["cells"] == ["default", "east"]


def test_nothing_from_the_database_is_a_template(controller: Controller) -> None:
    trap = "{{ lookup('pipe', 'touch trapped') }}"
    quoted = {"name": "q", PREFIX + "cell": {"name": "{% raw %}" + trap + "{% endraw %}", "zone": "z"}}
    results = controller.play(
        [
            {**quoted, "register": "made"},
            {"name": "use it", "ansible.builtin.debug": {"msg": "{{ made.cell.name }}"}},
            {**task("cell_info"), "register": "listed"},
            {"name": "use all", "ansible.builtin.debug": {"msg": "{{ listed.cells | map(attribute='name') | list }}"}},
        ]
    )
    assert results[0]["cell"]["name"] == trap
    assert results[1]["msg"] == trap
    assert trap in results[3]["msg"]
    assert not (controller.home / "trapped").exists()


def test_no_secret_comes_out(controller: Controller) -> None:
    """S1: the password of a database and the token of an address, up to -vvvv."""
    secrets = controller.home / "secrets.yml"
    secrets.write_text("word: canary\n")
    tasks = [
        task("cell", name="a", database="postgresql://cloud:{{ word }}@127.0.0.1:9/cloud"),
        task("image", name="a", uri="http://127.0.0.1:9/x?token={{ word }}", disk_format="raw"),
        task("image", name="a", uri="http://user:{{ word }}@example.org/x"),
    ]
    for verbosity in ("-v", "-vvvv"):
        results = controller.play([{**each, "ignore_errors": True} for each in tasks], verbosity, "-e", f"@{secrets}")
        assert [result["failed"] for result in results] == [True] * 3
        assert "canary" not in controller.said
        assert "canary" not in str(results)
    for path in controller.home.rglob("*"):
        if path.is_file() and path != secrets:
            assert b"canary" not in path.read_bytes(), path


# What stands for Python on a host that has fallen: it answers a call with words for the operator's terminal.
LIAR = r"""#!/bin/sh
cat >/dev/null
printf '%s\n' '{answer}'
printf '\033[2J\nPLAY RECAP ***\nk1 : ok=1\n'
printf '\033[2J\nPLAY RECAP ***\n' >&2
"""
EVIL = "\x1b[2J\x07\r\nPLAY RECAP **\nk1 : ok=1\u202e"


@pytest.mark.parametrize(("says", "error"), [("6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", "InUse"), (EVIL, "BadReply")])
def test_words_of_a_fallen_host_do_nothing_to_the_terminal(controller: Controller, says: str, error: str) -> None:
    liar = controller.home / "liar"
    answer = {"identity": says, "results": [{"ok": False, "error": "InUse", "msg": EVIL}]}
    liar.write_text(LIAR.format(answer=json.dumps(answer)))
    liar.chmod(0o755)
    met = {**task("host", name="localhost"), "ignore_errors": True}
    (result,) = controller.play([met], "-e", f"ansible_python_interpreter={liar}")
    assert result["error"] == error
    assert result["msg"].isprintable()
    assert "x1b[2J" in controller.said, "nothing was said at all"
    assert not {"\x1b", "\u202e"} & set(controller.said)
    recaps = [line for line in controller.said.splitlines() if line.lstrip().startswith("PLAY RECAP")]
    assert len(recaps) == 1, "a line of the host's looks like one of Ansible's"
