# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volume types: P10 for every option, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, BadReply, ChangeRefused, InUse
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import backends, types
from tests.unit.resources.cloud import Cloud, predict_then_do, spec

CHANGING: list[tuple[dict[str, Any], list[Change]]] = [
    ({"description": "x"}, [Change("description", None, "x")]),
    ({"backend": "lvm2"}, [Change("backend", "lvm1", "lvm2")]),
    ({"backend": ""}, [Change("backend", "lvm1", "")]),
    ({"extra_specs": {"thin": True}}, [Change("extra_specs", {}, {"thin": "true"})]),
    ({"qos": {"total_iops_sec": "5"}}, [Change("qos", {}, {"total_iops_sec": 5})]),
    ({"multiattach": True}, [Change("multiattach", False, True)]),
    ({"encryption": {}}, []),
]


@pytest.mark.parametrize(("options", "changes"), CHANGING)
def test_changed_in_place(cloud: Cloud, options: dict[str, Any], changes: list[Change]) -> None:
    assert predict_then_do(cloud, "volume_type", name="it", backend="lvm1").changed
    done = predict_then_do(cloud, "volume_type", name="it", **options)
    assert list(done.changes) == changes
    (listed,) = cloud.ask("volume_type_info", name="it").values["volume_types"]
    assert listed == done.values["volume_type"]
    assert predict_then_do(cloud, "volume_type", name="it", state="absent").values == {"volume_type": None}


def test_the_table_has_every_option() -> None:
    assert {option for options, _changes in CHANGING for option in options} == set(spec("volume_type")) - {
        "name",
        "state",
        "database",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encryption": {"cipher": "aes"}}, "no driver encrypts"),
        ({"extra_specs": {"a": []}}, "must be a text"),
        ({"extra_specs": {"connection": "fc"}}, "connection is one of qemu, host, multipath"),
        ({"backend": "a\nb"}, "control characters"),
        ({"qos": {"iops": 1}}, "qos has no iops"),
        ({"qos": {"total_iops_sec": -1}}, "qos.total_iops_sec is -1"),
        ({"qos": {"total_bytes_sec": 1, "read_bytes_sec": 1}}, "goes with neither"),
        ({"qos": {"read_iops_sec": 5, "read_iops_sec_max": 4}}, "is below"),
        ({"qos": {"read_iops_sec_max": 4}}, "needs read_iops_sec"),
        ({"qos": {"cache": "unsafe"}}, "lose what guests were told"),
        ({"qos": {"cache": "fast"}}, "qos.cache is 'fast'; it is one of none"),
        ({"qos": {"discard": True}}, "qos.discard is 'on'; it is one of unmap"),
        ({"qos": {"detect_zeroes": "unmap", "discard": "ignore"}}, "needs discard unmap"),
        ({"qos": {"iothread": 9}}, "from 0 to 8"),
        ({"qos": {"cache": "writeback"}, "multiattach": True}, "a multiattach type has none or directsync"),
        ({"qos": {"read_iops_sec": 5, "read_iops_sec_max_length": 4}}, "needs read_iops_sec_max"),
    ],
)
def test_refused(cloud: Cloud, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        cloud.ask("volume_type", name="it", **options)


def test_quality() -> None:
    given: dict[str, Any] = {
        "write_iops_sec": 5,
        "write_iops_sec_max": 9,
        "write_iops_sec_max_length": 60,
        "total_bytes_sec": 1 << 40,
    }
    assert types.quality("qos", given) == given
    given = {"cache": "directsync", "discard": "ignore", "detect_zeroes": True, "iothread": "2", "total_iops_sec": 0}
    assert types.quality("qos", given) == {**given, "detect_zeroes": "on", "iothread": 2}


def test_one_in_use(cloud: Cloud) -> None:
    cloud.ask("volume", name="data", size=1, volume_type="lvm1")
    with pytest.raises(ChangeRefused, match="data"):
        cloud.ask("volume_type", name="lvm1", backend="lvm2")
    with pytest.raises(InUse, match="data"):
        cloud.ask("volume_type", name="lvm1", state="absent")
    assert predict_then_do(cloud, "volume_type", name="lvm1", qos={"total_iops_sec": 5}).changed


BACKEND = {"name": "a", "driver": "lvm", "total": 5, "capabilities": {"thin": True}}


def test_what_a_host_says() -> None:
    listed = backends.read("vol1", {"backends": [BACKEND]})
    assert listed == [BACKEND]
    named = {"backends": {"a": {key: value for key, value in BACKEND.items() if key != "name"}}}
    assert backends.read("vol1", named) == listed


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"backends": "x"},
        {"backends": [5]},
        {"backends": [{"name": "a"}]},
        {"backends": [{**BACKEND, "name": "a\n"}]},
        {"backends": [{**BACKEND, "driver": "../x"}]},
        {"backends": [{**BACKEND, "total": -1}]},
        {"backends": [{**BACKEND, "capabilities": {"a": {}}}]},
        {"backends": [{**BACKEND, "capabilities": [1]}]},
        {"backends": [BACKEND, BACKEND]},
        {"backends": [{**BACKEND, "name": f"a{n}"} for n in range(65)]},
        *({"backends": [{**BACKEND, "name": name}]} for name in ("", "A", "a" * 32, "a b", "../x", "{{ x }}", 5, None)),
        *({"backends": [{**BACKEND, "driver": driver}]} for driver in (None, ["lvm"], {"a": 1})),
        *(
            {"backends": [{**BACKEND, "total": total}]}
            for total in (float("inf"), float("nan"), 10**30, 2**62, (1 << 30) + 1, True, "5", 5.5, None, [5])
        ),
        *(
            {"backends": [{**BACKEND, "capabilities": can}]}
            for can in (
                {"a": float("inf")},
                {"a": float("nan")},
                {"a": 10**30},
                {"a": "x" * 256},
                {"a": "\x1b[2J"},
                {"a": None},
                {"a" * 65: True},
                {"a\n": True},
                {f"a{n}": True for n in range(65)},
            )
        ),
    ],
)
def test_what_no_host_may_say(reply: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        backends.read("vol1", reply)
