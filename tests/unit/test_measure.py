# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The floor of coverage, and that a process measures itself: also one that forks, and one that ends at once."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from agentless_lab import harvest
from agentless_lab.host import Host

from tests.measure import figures
from tests.measure.__main__ import FLOORS, measured
from tests.measure.figures import Figure, Floor

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {
    "plugins/plugin_utils/names.py": Figure(10, 10, 4, 3),
    "plugins/plugin_utils/compute/boot.py": Figure(100, 90, 20, 10),
    "plugins/plugin_utils/compute/hardware/disks.py": Figure(50, 50, 0, 0),
}
SUMS = {
    "plugin_utils": Figure(10, 10, 4, 3),
    "plugin_utils/compute": Figure(150, 140, 20, 10),
    "total": Figure(160, 150, 24, 13),
}
NAMES = "from ansible_collections.agentless.cloud.plugins.plugin_utils import names"


def test_files_are_summed_up_by_package() -> None:
    assert figures.by_package(FILES) == SUMS
    assert SUMS["total"].percent == 88.58
    assert Figure().percent == 100.0


@pytest.mark.parametrize(
    ("least", "said"),
    [
        ({"total": 88.58}, []),
        ({"total": 88.59}, ["total: 88.58 % is below the floor of 88.59 %"]),
        (
            {"plugin_utils": 93.0, "plugin_utils/compute": 50.0},
            ["plugin_utils: 92.85 % is below the floor of 93.00 %"],
        ),
        ({"plugin_utils/gone": 90.0}, []),
    ],
)
def test_below_the_floor(least: dict[str, float], said: list[str]) -> None:
    assert figures.below(SUMS, Floor(frozenset({"unit"}), least)) == said


def test_a_floor_only_rises() -> None:
    floor = Floor(frozenset({"unit"}), {"total": 60.0, "plugin_utils": 92.0})
    assert figures.raised(SUMS, floor) == {"plugin_utils": 92.0, "plugin_utils/compute": 87.05, "total": 87.5}
    assert figures.rises(SUMS, floor) == [
        "plugin_utils/compute: the floor of 0.00 % can be raised to 87.05 %",
        "total: the floor of 60.00 % can be raised to 87.50 %",
    ]


def test_floors_are_written_as_they_are_read() -> None:
    floors = [Floor(frozenset({"unit"}), {"total": 60.0}), Floor(frozenset({"unit", "functional"}), {"total": 70.25})]
    assert figures.read_floors(yaml.safe_load(figures.rendered(floors))) == floors
    assert figures.applying(floors, ["unit", "sanity"]) == floors[:1]
    assert figures.applying(floors, ["functional"]) == []


def test_the_floors_of_the_repository_name_packages_that_exist() -> None:
    there = {
        figures.package(str(path.relative_to(CHECKOUT))) for path in (CHECKOUT / "plugins").rglob("*_utils/**/*.py")
    }
    for floor in figures.read_floors(yaml.safe_load(FLOORS.read_text(encoding="utf-8"))):
        assert set(floor.least) - {"total"} <= there


@pytest.mark.parametrize(
    ("program", "processes"),
    [
        ("import json", 0),
        (NAMES, 1),
        (f"import os; {NAMES}\nif os.fork() == 0: os._exit(0)\nos.wait()", 2),
        (f"import os; {NAMES}\nos._exit(3)", 1),
    ],
)
def test_a_process_measures_itself(program: str, processes: int, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.measure", "run", str(tmp_path / "data"), sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    files, _missing, count = measured(tmp_path / "data")
    assert count == processes
    if processes:
        assert 0 < files["plugins/plugin_utils/names.py"].percent < 100
        assert files["plugins/plugin_utils/audit/book.py"].percent == 0


def test_a_host_measures_what_ansible_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared like a host, without being one: modules come in a ZIP file, and the data are taken at the end."""
    monkeypatch.setenv("AGENTLESS_COVERAGE", "hosts")
    monkeypatch.setenv("AGENTLESS_COVERAGE_DATA", str(tmp_path / "data"))
    host = Host(lab="try", name="k1", number=1, index=0, directory=tmp_path / "k1")
    harvest.prepare(host)
    file = "plugins/module_utils/volume/cephx.py"
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as payload:
        for folder in Path(f"ansible_collections/agentless/cloud/{file}").parents:
            payload.writestr(str(folder / "__init__.py"), "")
        payload.write(CHECKOUT / file, f"ansible_collections/agentless/cloud/{file}")
    program = f"""
import site, sys
site.addsitedir({str(host.upper / harvest.PACKAGES)!r})
sys.path.insert(0, {str(tmp_path / "payload.zip")!r})
import ansible_collections.agentless.cloud.plugins.module_utils.volume.cephx
"""
    environment = {"PATH": os.environ["PATH"], "AGENTLESS_COVERAGE_DATA": str(host.upper / harvest.DATA)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, cwd=tmp_path)
    harvest.collect([(host, [])])
    files, _missing, count = measured(tmp_path / "data")
    assert (count, [path for path, each in files.items() if each.lines_run]) == (1, [file])


def test_hosts_measure_nothing_unless_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTLESS_COVERAGE", raising=False)
    monkeypatch.setenv("AGENTLESS_COVERAGE_DATA", str(tmp_path / "data"))
    host = Host(lab="try", name="k1", number=1, index=0, directory=tmp_path / "k1")
    harvest.prepare(host)
    harvest.collect([(host, [])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("least", "code"), [(1.0, 0), (99.0, 1)])
def test_a_run_below_the_floor_is_red(
    least: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.measure import __main__ as front

    (tmp_path / "floors.yml").write_text(figures.rendered([Floor(frozenset({"unit"}), {"plugin_utils": least})]))
    monkeypatch.setattr(front, "FLOORS", tmp_path / "floors.yml")
    given = {"plugins/plugin_utils/names.py": Figure(10, 5, 0, 0)}
    monkeypatch.setattr(front, "measured", lambda _directory: (given, {}, 1))
    monkeypatch.setattr(sys, "argv", ["measure", "report", os.devnull, "--stages", "unit"])
    assert front.main() == code
    assert ("below its floor" in capsys.readouterr().out) is bool(code)
