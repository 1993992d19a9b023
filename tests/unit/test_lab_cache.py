# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cache of the test hosts keeps, and what it forgets."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from agentless_lab import cache, guest, machine, rootfs
from agentless_lab.system import LabError

HOUR = 3600
TREE = "root-full-"
AGES = {"a": 1, "b": 30, "c": 40, "d": 50}  # hours since the last use


def name(kind: str, letter: str, form: str = "") -> str:
    return f"{kind}{letter * 16}{form}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(cache, "PROC", tmp_path / "proc")  # labs of this machine are not those of the test
    found = tmp_path / "cache" / "agentless-lab"
    found.mkdir(parents=True)
    return found


def age(entry: Path, hours: float) -> None:
    os.utime(entry, (time.time() - hours * HOUR,) * 2)


def fill(place: Path) -> None:
    """Four versions of trees, packages and images, last used at AGES, and what is none of our business."""
    for letter, hours in AGES.items():
        for kind in (TREE, "root-bare-", "pool-"):
            (place / name(kind, letter)).mkdir()
            (place / name(kind, letter) / "file").write_text("x")
            age(place / name(kind, letter), hours)
        for form in (".raw", ".qcow2"):
            (place / name("guest-cloud-", letter, form)).write_text("x")
            age(place / name("guest-cloud-", letter, form), hours)
    for other in ("build.lock", "notes", "root-full-short"):
        (place / other).write_text("x")
        age(place / other, 90)


def left(place: Path, kind: str = TREE) -> str:
    """The letters of the versions of a kind that are there."""
    return "".join(sorted(entry.name.split("-")[-1][0] for entry in place.glob(f"{kind}*{'?' * 14}") if entry.is_dir()))


@pytest.mark.parametrize(
    ("present", "options", "want"),
    [
        ("a", {}, "ab"),
        ("d", {}, "ad"),
        ("z", {}, "ab"),
        ("a", {"kept": 1}, "a"),
        ("d", {"kept": 1}, "ad"),
        ("d", {"kept": 0, "resting": 0}, "d"),
        ("a", {"kept": 1, "resting": 35 * HOUR}, "ab"),
        ("a", {"kept": 3}, "abc"),
    ],
)
def test_the_present_the_newest_and_the_lately_used_stay(
    place: Path, present: str, options: dict[str, float], want: str
) -> None:
    fill(place)
    gone = cache.prune("root|pool", [place / name(TREE, present)], **options)
    assert left(place) == want
    assert {entry.name for entry in gone if entry.name.startswith(TREE)} == {
        name(TREE, letter) for letter in AGES if letter not in want
    }
    assert len(list(place.glob("guest-*"))) == 8, "kinds that were not named stay"
    assert all((place / other).exists() for other in ("build.lock", "notes", "root-full-short"))
    assert not list(place.glob("old-*"))


def test_a_use_counts_and_not_the_day_it_was_made(place: Path) -> None:
    fill(place)
    cache.use(place / name(TREE, "d"))
    cache.prune("root", [])
    assert left(place) == "ad"


def test_what_a_lab_names_and_what_stood_aside_under_its_host_stays(place: Path) -> None:
    fill(place)
    record = place.parents[1] / "state" / "agentless-lab" / "one" / "lab.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"tree": str(place / name(TREE, "d")), "pool": str(place / name("pool-", "c"))}))
    for letter in "cd":
        (place / f"old-7-{name(TREE, letter)}").mkdir()
        age(place / f"old-7-{name(TREE, letter)}", 90)
    cache.prune("root|pool", [], kept=1)
    assert (left(place), left(place, "pool-")) == ("ad", "ac")
    assert [entry.name for entry in place.glob("old-*")] == [f"old-7-{name(TREE, 'd')}"]


def test_what_is_mounted_counts_wherever_its_lab_is_kept(place: Path) -> None:
    fill(place)
    for number, lower in (("1", "none"), ("22", f"overlay rw,lowerdir={place / name(TREE, 'c')},upperdir=/x")):
        (cache.PROC / number).mkdir(parents=True)
        (cache.PROC / number / "mountinfo").write_text(f"1 1 0:99 / / rw - overlay agentless-lab {lower}\n")
    cache.prune("root", [], kept=1)
    assert left(place) == "ac"


@pytest.mark.parametrize(
    "words",
    [
        ["qemu-system-x86_64", "-kernel", "machine-aaaaaaaaaaaaaaaa/vmlinuz"],
        ["machine-aaaaaaaaaaaaaaaa/linux", "mem=64M"],
    ],
)
def test_what_a_machine_was_started_with_counts_wherever_its_lab_is_kept(place: Path, words: list[str]) -> None:
    for letter in "ab":
        (place / name("machine-", letter)).mkdir()
        age(place / name("machine-", letter), 90)
    (cache.PROC / "7").mkdir(parents=True)
    (cache.PROC / "7" / "cmdline").write_bytes("\0".join(words).encode())
    cache.prune("machine", [], kept=0)
    assert left(place, "machine-") == "a"


def test_a_machine_image_in_use_is_not_made_again(place: Path) -> None:
    """The disks of machines lie over it: another content below them would be a broken file system."""
    machine.path().mkdir()
    record = place.parents[1] / "state" / "agentless-lab" / "one" / "lab.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"machine_image": str(machine.path())}))
    with pytest.raises(LabError, match="take their labs down"):
        machine.image(again=True)
    assert machine.image() == machine.path()


def test_each_form_of_a_guest_is_counted_by_itself(place: Path) -> None:
    fill(place)
    cache.prune("guest", [])
    assert {entry.name for entry in place.glob("guest-*")} == {
        name("guest-cloud-", letter, form) for letter in "ab" for form in (".raw", ".qcow2")
    }
    assert left(place) == "abcd"


def test_the_names_that_the_makers_give_are_known(place: Path) -> None:
    """Else nothing would ever be removed, and nobody would notice."""
    made = [*rootfs._present(), *guest._present(), *machine.present()]
    for entry in made:
        entry.write_text("x")
        age(entry, 90)
    assert set(cache.prune("root|pool|guest|machine", [], kept=0)) == set(made)
