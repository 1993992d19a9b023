# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the image cache forgets, and what it never does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import cache
from ansible_collections.agentless.cloud.plugins.module_utils.compute.cache import Image, Limits

DAY = 86400
NOW = 1_800_000_000.0
GIB = 1 << 30


def image(name: str, *, gib: float, days: float) -> Image:
    return Image(name, int(gib * GIB), NOW - days * DAY)


@pytest.mark.parametrize(
    ("idle", "limits", "gone"),
    [
        ([], Limits(30, 0), []),
        ([image("a", gib=9, days=29)], Limits(30, 0), []),
        ([image("a", gib=9, days=31), image("b", gib=1, days=1)], Limits(30, 0), ["a"]),
        ([image("a", gib=3, days=3), image("b", gib=3, days=2), image("c", gib=3, days=1)], Limits(30, 6), ["a"]),
        ([image("a", gib=3, days=3), image("b", gib=3, days=2), image("c", gib=3, days=1)], Limits(30, 5), ["a", "b"]),
        ([image("a", gib=9, days=40), image("b", gib=3, days=2)], Limits(30, 5), ["a"]),
        ([image("a", gib=9, days=0)], Limits(30, 5), ["a"]),
    ],
    ids=["nothing", "young", "old", "too many by one", "too many by two", "the old one made room", "one too large"],
)
def test_what_has_to_go(idle: list[Image], limits: Limits, gone: list[str]) -> None:
    assert [one.path for one in cache.surplus(idle, limits, NOW)] == gone


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with three images long unused, one of them below the disk of an instance."""
    (tmp_path / "images").mkdir()
    instance = tmp_path / "instances" / "6b1c1a0e-0000-4000-8000-000000000001"
    instance.mkdir(parents=True)
    for digit in "abc":
        path = tmp_path / "images" / (digit * 64)
        path.write_bytes(os.urandom(4096))
        os.utime(path, (NOW - 90 * DAY, NOW - 90 * DAY))
    over(tmp_path, "a", instance / "disk.qcow2")
    return tmp_path


def over(host: Path, digit: str, disk: Path) -> None:
    base = str(host / "images" / (digit * 64))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, str(disk), "1M"], check=True)


def left(host: Path) -> str:
    return "".join(sorted(path.name[0] for path in (host / "images").iterdir()))


def test_an_image_that_a_disk_lies_over_stays(host: Path) -> None:
    ctx = Context(state_dir=str(host))
    assert cache.prune(ctx, Limits(), NOW) == ["b" * 64, "c" * 64]
    assert left(host) == "a"
    assert cache.prune(ctx, Limits(), NOW) == []


def test_a_disk_that_is_being_made_counts(host: Path) -> None:
    over(host, "b", host / "instances" / "6b1c1a0e-0000-4000-8000-000000000001" / "disk.qcow2.new")
    cache.prune(Context(state_dir=str(host)), Limits(), NOW)
    assert left(host) == "ab"


def test_an_image_that_is_held_stays_and_is_young_again(host: Path) -> None:
    held = host / "images" / ("b" * 64)
    with cache.held(str(held)):
        os.utime(held, (NOW - 90 * DAY, NOW - 90 * DAY))  # as one sees it who looked before
        cache.prune(Context(state_dir=str(host)), Limits(), NOW)
        assert left(host) == "ab"
    with cache.held(str(held)):
        pass
    assert held.stat().st_mtime > NOW - 90 * DAY


def test_check_mode_only_names(host: Path) -> None:
    assert len(cache.prune(Context(check_mode=True, state_dir=str(host)), Limits(), NOW)) == 2
    assert left(host) == "abc"


def test_a_killed_download_goes_once_it_is_a_day_old(host: Path) -> None:
    for name, age in (("d", 2), ("e", 0)):
        draft = host / "images" / f"{name * 64}.part"
        draft.write_bytes(b"half")
        os.utime(draft, (NOW - age * DAY, NOW - age * DAY))
    cache.prune(Context(state_dir=str(host)), Limits(), NOW)
    assert left(host) == "ae"


@pytest.mark.parametrize(
    ("said", "want"),
    [(None, Limits(30, 0)), ({"days": 7}, Limits(7, 0)), ({"gib": 50}, Limits(30, 50))],
)
def test_limits_are_the_hosts_own(tmp_path: Path, said: object, want: Limits) -> None:
    path = tmp_path / "limits.json"
    if said is not None:
        path.write_text(json.dumps(said))
    assert cache.limits(str(path)) == want
