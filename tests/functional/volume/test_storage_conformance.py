# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""libiscsi's conformance suite against an exported volume, and against a target made by hand as targetcli makes it.

docs/storage-conformance.md has the results of a whole run; AGENTLESS_CONFORMANCE names a file to write such a table to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.functional.conductor.world import FIGURES
from tests.functional.volume import direct
from tests.functional.volume.storage import Storage

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SUITE = "iscsi-test-cu"
INITIATOR = "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test"
SECOND = f"{INITIATOR}-2"  # some tests come as two initiators
USER = "tester"
HAND = "iqn.2026-01.example.test:by-hand"  # not named as ours, which the saved configuration would keep
# They take five to eighteen seconds each on an emulated machine, the others one at most.
SLOW = r"CompareAndWrite|Read\d+|Reserve6|Verify\d+|Write(Same|Verify)?\d+|iSCSI(cmdsn|datasn)"
PATIENCE = 120  # seconds for a family
TURNS = 4  # some tests race with the target's own logout, and fail by chance
RANKS = ("hung", "failed", "skipped", "passed")

Results = dict[str, str]


def parsed(family: str, said: str, ended: bool) -> Results:
    """What became of each test, in what the suite prints."""
    found: Results = {}
    for part in re.split(r"^  Test: ", said, flags=re.MULTILINE)[1:]:
        name = part.split(" ", 1)[0]
        verdict = re.search(r"^(?:.*?\.\.\.)?(passed|FAILED)", part, re.MULTILINE)
        if verdict is None:
            found[f"{family}.{name}"] = "failed" if ended else "hung"
        elif verdict[1] == "FAILED":
            found[f"{family}.{name}"] = "failed"
        else:
            # That one is asked on the way in many tests, which then go on without.
            skipped = re.search(r"\[SKIPPED\] (?!REPORT_SUPPORTED_OPCODES)", part)
            found[f"{family}.{name}"] = "skipped" if skipped else "passed"
    return found


def run(url: str, family: str, turns: Counter[str]) -> Results:
    """One family of tests, from this machine; counts how often the suite ran for it."""
    # Line by line, or a suite that breaks off has said nothing.
    command = ["stdbuf", "-oL", SUITE, "--dataloss", "--verbose", f"--initiator-name={INITIATOR}"]
    said = b""
    for _turn in range(TURNS):
        turns[family] += 1
        try:
            argv = [*command, f"--test=ALL.{family}", url]
            done = subprocess.run(argv, capture_output=True, timeout=PATIENCE, check=False)
            said, ended = done.stdout + done.stderr, done.returncode >= 0
        except subprocess.TimeoutExpired as late:
            said, ended = late.stdout or b"", False
        found = parsed(family, said.decode(errors="replace"), ended)
        if found:
            return found
    raise AssertionError((family, said[-2000:]))


def better(one: Results, other: Results) -> Results:
    """Of each test the better result."""
    return {name: max(state, other.get(name, "hung"), key=RANKS.index) for name, state in one.items()}


def worse(ours: Results, by_hand: Results) -> list[str]:
    """The tests in which the volume does less well."""
    return [name for name, state in by_hand.items() if RANKS.index(ours.get(name, "hung")) < RANKS.index(state)]


def again(turns: Counter[str], targets: int) -> dict[str, int]:
    """How often the suite ran for a family beyond once for each target."""
    return {family: times - targets for family, times in turns.items() if times > targets}


def families() -> list[str]:
    """All of the suite, in its order."""
    listed = subprocess.run([SUITE, "--list"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^ALL\.(\w+)$", listed, re.MULTILINE)


def by_hand(host: Storage, device: str) -> str:
    """A target for the device with what targetcli takes by default, but for the secret and the ACLs."""
    group = f"/iscsi/{HAND}/tpg1"
    lines = [
        f"/backstores/block create name=by-hand dev={device}",
        "/ set global auto_add_default_portal=false",
        f"/iscsi create {HAND}",
        f"{group}/luns create /backstores/block/by-hand",
        f"{group}/portals create {host.host.address} 3260",
        f"{group} set attribute authentication=1",
    ]
    for name in (INITIATOR, SECOND):
        lines.append(f"{group}/acls create {name}")
        lines.append(f"{group}/acls/{name} set auth userid={USER} password={direct.SECRET}")
    host.shell("targetcli", stdin="\n".join([*lines, "exit", ""]).encode())
    return url(host, HAND)


def url(host: Storage, iqn: str) -> str:
    """How the suite is told of a target."""
    return f"iscsi://{USER}%{direct.SECRET}@{host.host.address}:3260/{iqn}/0"


def table(rows: Iterable[tuple[str, str, str]]) -> str:
    """The results for the docs."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [("test", "ours", "by hand"), ("---",) * 3, *rows])


def test_parsed() -> None:
    """Verdicts stand at the end of a line, or after what the test itself said."""
    said = """
Suite: X
  Test: A ...passed
  Test: B ...    [SKIPPED] no multipath
passed
  Test: C ...    [FAILED] wrong sense
FAILED
    1. a.c:1  - CU_ASSERT_EQUAL(_r,0)
  Test: D ...    [SKIPPED] REPORT_SUPPORTED_OPCODES is not implemented.
passed    [FAILED] said late
  Test: E ..."""
    expected = {"X.A": "passed", "X.B": "skipped", "X.C": "failed", "X.D": "passed", "X.E": "hung"}
    assert parsed("X", said, ended=False) == expected
    assert worse({"X.A": "failed", "X.B": "passed"}, {"X.A": "passed", "X.B": "skipped", "X.C": "failed"}) == [
        "X.A",
        "X.C",
    ]


def test_again() -> None:
    assert again(Counter({"Read10": 2, "Write10": 3, "Reserve6": 9}), 2) == {"Write10": 1, "Reserve6": 7}


def test_not_worse_than_by_hand(
    host: Storage, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """In no test; a long run (FIGURES) makes all of them."""
    if shutil.which(SUITE) is None:
        pytest.skip(f"{SUITE} is not installed (libiscsi-bin)")
    key = str(uuid.uuid4())
    host.must("create", key, size=1)
    for shared, name in enumerate((INITIATOR, SECOND)):
        login = {"initiator": name, "user": USER, "secret": direct.SECRET, "shared": bool(shared)}
        export = host.must("export", key, **login)
    host.shell("lvcreate -qq -y -V 1G -n hand --thinpool thin/pool thin")
    urls = [url(host, export["iqn"]), by_hand(host, "/dev/thin/hand")]
    try:
        ours, theirs, turns = Results(), Results(), Counter[str]()
        for family in families():
            if FIGURES <= 1 and re.fullmatch(SLOW, family):
                continue
            mine, other = (run(each, family, turns) for each in urls)
            for _turn in range(TURNS):
                if worse(mine, other) or worse(other, mine):
                    mine, other = better(mine, run(urls[0], family, turns)), better(other, run(urls[1], family, turns))
            ours.update(mine)
            theirs.update(other)
    finally:
        repeated = again(turns, len(urls))
        record_property("conformance_turns", sum(repeated.values()))
        record_property("conformance_families", ", ".join(f"{name} {times}" for name, times in repeated.items()))
        with capsys.disabled():
            print(f"\nThe suite ran again {sum(repeated.values())} times: {repeated}")
        host.shell(
            f"targetcli /iscsi delete {HAND}; targetcli /backstores/block delete by-hand; lvremove -qq -y thin/hand"
        )
        host.must("delete", key)
    if os.environ.get("AGENTLESS_CONFORMANCE"):
        rows = [(name, ours.get(name, "hung"), theirs[name]) for name in theirs]
        Path(os.environ["AGENTLESS_CONFORMANCE"]).write_text(table(rows), encoding="utf-8")
    assert worse(ours, theirs) == []
    assert "passed" in ours.values()
    assert host.left() == ""
