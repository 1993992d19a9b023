# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long and how many things may be: the table, its documentation, and every option of an instance at its edge."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils import front, limits, names, policy
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import wanted as instance
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.network import rules, subnets
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources import keypairs, values
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import wanted as volume
from tests.unit.resources.cloud import KEY

ROOT = Path(__file__).resolve().parents[2]
BARE = {"name": "it", "state": "running", "wait": True, "timeout": 60}
RULE = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22}


def booted(**options: Any) -> Any:
    return instance.wanted({**BARE, **options})


def pairs(count: int) -> dict[str, str]:
    return {f"k{number}": "v" for number in range(count)}


def several(count: int) -> list[str]:
    return [f"it{number}" for number in range(count)]


def subnet(option: str) -> Callable[[int], Any]:
    each: dict[str, Any] = {
        "allocation_pools": {"start": "10.0.0.5", "end": "10.0.0.6"},
        "dns_nameservers": "10.0.0.1",
        "host_routes": {"destination": "10.1.0.0/16", "nexthop": "10.0.0.1"},
    }
    return lambda count: subnets.normalized({"cidr": "10.0.0.0/16", option: [each[option]] * count})


# row of the table -> options that it holds for, each as a function of how long or how many
EDGES: dict[str, dict[str, Callable[[int], Any]]] = {
    "name": {
        "name": lambda n: booted(name="x" * n),
        "zone": lambda n: booted(zone="x" * n),
        "zone of a volume": lambda n: volume.checked({"zone": "x" * n}),
        "label": lambda n: values.label("word", "x" * n),
        "tag of an image": lambda n: values.words("tags", ["x" * n]),
    },
    "description": {
        "resource": lambda n: values.description("description", "x" * n),
        "rule": lambda n: rules.normalized({**RULE, "description": "x" * n}, {}),
    },
    "userdata": {
        "letters": lambda n: booted(userdata="x" * n),
        "two bytes each": lambda n: booted(userdata="ü" * (n // 2) + "x" * (n % 2)),
    },
    "entries": {
        "metadata": lambda n: booted(metadata=pairs(n)),
        "metadata of a volume": lambda n: volume.checked({"metadata": pairs(n)}),
        "hints": lambda n: booted(scheduler_hints=pairs(n)),
        "extra_specs": lambda n: values.texts("extra_specs", pairs(n)),
    },
    "key": {
        "metadata": lambda n: booted(metadata={"x" * n: "v"}),
        "hints": lambda n: booted(scheduler_hints={"x" * n: ["v"]}),
        "extra_specs": lambda n: values.texts("extra_specs", {"x" * n: "v"}),
    },
    "value": {
        "metadata": lambda n: booted(metadata={"k": "x" * n}),
        "extra_specs": lambda n: values.texts("extra_specs", {"k": "x" * n}),
    },
    "tag": {"tags": lambda n: booted(tags=["x" * n])},
    "tags": {"tags": lambda n: booted(tags=several(n))},
    "image tags": {"tags": lambda n: values.words("tags", several(n))},
    "public_key": {"public_key": lambda n: keypairs.public_key("public_key", KEY.ljust(n, "x"))},
    "nics": {
        "networks": lambda n: booted(networks=several(n)),
        "nics": lambda n: booted(nics=[{"network": "a"}] * n),
    },
    "volumes": {"volumes": lambda n: booted(volumes=several(n))},
    "security_groups": {
        "instance": lambda n: booted(security_groups=several(n)),
        "nic": lambda n: booted(nics=[{"network": "a", "security_groups": several(n)}]),
    },
    "hint": {
        "same_host": lambda n: booted(scheduler_hints={"same_host": several(n)}),
        "same_host of a volume": lambda n: volume.checked({"scheduler_hints": {"same_host": several(n)}}),
    },
    "allocation_pools": {"subnet": subnet("allocation_pools")},
    "dns_nameservers": {"subnet": subnet("dns_nameservers")},
    "host_routes": {"subnet": subnet("host_routes")},
    "task": {
        "one option": lambda n: limits.whole({"a": "x" * n}),
        "several": lambda n: limits.whole({"a": "x" * (n - 8), "b": ["x" * 2, {"y": "z"}], "c": 7, "d": None}),
    },
}
# Held where a flow meets its whole task: tests/unit/network/test_flows.py, tests/unit/test_query.py.
IN_FLOWS = {"rules", "subnets", "query"}


@pytest.mark.parametrize(
    ("row", "option"), [(row, option) for row, options in EDGES.items() for option in options], ids=str
)
def test_up_to_the_limit_and_no_further(row: str, option: str) -> None:
    most = limits.TABLE[row].most
    EDGES[row][option](most)
    with pytest.raises(BadInput) as caught:
        EDGES[row][option](most + 1)
    assert str(most) in caught.value.msg
    assert str(most + 1) in caught.value.msg
    assert caught.value.details["limit"] == most
    assert len(caught.value.msg) < 600


def test_every_row_is_tried() -> None:
    assert set(EDGES) | IN_FLOWS == set(limits.TABLE)


def test_user_data_is_what_nova_takes() -> None:
    most = limits.TABLE["userdata"].most
    assert len(base64.b64encode(bytes(most))) <= 65535 < len(base64.b64encode(bytes(most + 1)))


def test_megabytes_are_refused_and_not_repeated() -> None:
    for options in ({"userdata": "x" * 20_000_000}, {"metadata": {"k": "x" * 5_000_000}}, {"tags": ["x" * 5_000_000]}):
        with pytest.raises(BadInput) as caught:
            booted(**options)
        assert len(caught.value.msg) < 300


def test_a_task_is_not_nested_without_end() -> None:
    nested: Any = "x"
    for _each in range(5000):
        nested = {"a": [nested]}
    with pytest.raises(BadInput, match=f"hints is nested more than {limits.DEEPEST} deep"):
        limits.whole({"name": "it", "hints": nested})


def test_the_front_desk_looks_at_the_whole_task_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_open_conductor", lambda *_given: pytest.fail("the database was opened"))
    with pytest.raises(BadInput, match="image has 2097152 characters"):
        front.CloudAction.__new__(_Desk)._serve(policy.Ask("image", "present", {}), {"image": "x" * (2 << 20)}, {})


class _Desk(front.CloudAction):
    pass


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("web 1", True),
        ("ü 漢字", True),
        ("a\u3000b", True),
        ("\u3164a", True),
        (" ", False),
        ("\u00a0", False),
        ("\u3000", False),
        ("\u2800", False),
        ("\u3164\u3164", False),
        (" a", False),
        ("a ", False),
        ("a\u2028b", False),
        ("a\u2029b", False),
        ("a\u0085b", False),
        ("a\x0bb", False),
        ("a\x1cb", False),
        ("a\x7fb", False),
        ("a\u202eb", False),
        ("a\u2066b", False),
        ("a\u200bb", False),
        ("a\ufeffb", False),
    ],
)
def test_names(name: str, fine: bool) -> None:
    if fine:
        assert names.label("name", name) == name
        assert values.line("text", name) == name
    else:
        with pytest.raises(BadInput) as caught:
            names.label("name", name)
        assert caught.value.msg.isprintable()


@pytest.mark.parametrize("text", ["a\u2028b", "a\u2029b", "a\nb", "a\x1b[2Jb", "a\u202eb"])
def test_texts_of_one_line(text: str) -> None:
    for check in (values.line, values.description, values.text):
        with pytest.raises(BadInput) as caught:
            check("description", text)
        assert caught.value.msg.isprintable()
    assert values.line("description", "") == ""


def test_the_documentation_has_the_table() -> None:
    listed = re.findall(r"^\| ([^|]+) \| ([\d,]+ [a-z]+) \| ([^|]+) \|$", (ROOT / "docs/limits.md").read_text(), re.M)
    wanted = [(row.what, f"{row.most:,} {row.unit}", row.origin) for row in limits.TABLE.values()]
    assert [tuple(part.replace("`", "") for part in row) for row in listed] == wanted
