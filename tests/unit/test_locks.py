# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scripts install from a package index has a version and hashes, and nothing is installed otherwise."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.release import __version__ as ansible_version
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import lock

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "tests/locks").glob("*.txt"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
OPTIONS = {"--require-hashes", "--only-binary :all:", *(f"--no-binary {package}" for package in lock.SOURCES)}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+?))?((?: --hash=sha256:[0-9a-f]{64})+)"
)
SCANNED = ("scripts", "tests", "extensions", ".ci", "roles", "playbooks")
# A call of pip that takes files from somewhere; other ways to a package index; and what makes the first harmless.
PIP = re.compile(r"\bpip3?[\"',\s\])}]+(?:install|download|wheel)\b")
ELSEWHERE = re.compile(
    r"^\s*(?:- )?(?:ansible\.builtin\.)?pip:|\b(?:easy_install|pipx|uvx)\b|ansible-galaxy \w+ install"
)
SAFE = ("--require-hashes", "--no-index")
ADVICE = {"roles/conductor/tasks/controller.yml"}  # what its message tells the operator to do


def logical_lines(text: str) -> list[str]:
    lines = re.sub(r" *\\\n *", " ", text).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def wrong(text: str) -> Iterator[str]:
    """What of a lock is neither an entry with hashes nor a known option."""
    lines = logical_lines(text)
    yield from (line for line in lines if line not in OPTIONS and not ENTRY.fullmatch(line))
    yield from (option for option in ("--require-hashes", "--only-binary :all:") if option not in lines)


def versions(name: str, python: str) -> dict[str, str]:
    """What a lock installs on this Python, which may be no package twice."""
    found: dict[str, str] = {}
    for line in logical_lines((ROOT / f"tests/locks/{name}.txt").read_text(encoding="utf-8")):
        if line in OPTIONS:
            continue
        requirement = Requirement(line.partition(" --hash")[0])
        environment = {"python_version": python, "python_full_version": f"{python}.9"}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.name not in found, f"{name}: {requirement.name} twice on Python {python}"
            found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


def unhashed(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if ELSEWHERE.search(line) or (PIP.search(line) and not any(word in line for word in SAFE)):
            yield line.strip()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_entry_has_a_version_and_hashes(path: Path) -> None:
    assert not list(wrong(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        (f"a==1 --hash=sha256:{'0' * 64}", False),
        (
            f"a==1 ; python_full_version < '3.11' \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}",
            False,
        ),
        ("a==1", True),
        (f"a>=1 --hash=sha256:{'0' * 64}", True),
        (f"a==1 --hash=md5:{'0' * 32}", True),
        ("--index-url https://packages.example/simple", True),
        ("--no-binary :all:", True),
        ("a @ https://packages.example/a.whl", True),
    ],
)
def test_what_is_no_entry_is_seen(line: str, refused: bool) -> None:
    assert bool(list(wrong(f"--require-hashes\n--only-binary :all:\n{line}\n"))) is refused
    assert list(wrong(f"{line}\n")), "the options are missing"


@pytest.mark.parametrize(
    ("name", "python"),
    [(name, python) for name, (oldest, _sources) in lock.SETS.items() for python in PYTHONS[PYTHONS.index(oldest) :]],
)
def test_the_locks_are_within_the_ranges(name: str, python: str) -> None:
    locked = versions(name, python)
    for source in lock.SETS[name][1]:
        for line in logical_lines((ROOT / source).read_text(encoding="utf-8")):
            wanted = Requirement(line.partition(" #")[0])
            version = locked.get(canonicalize_name(wanted.name))
            assert version is not None, f"{wanted} of {source} is not in tests/locks/{name}.txt: run scripts/lock.py"
            assert wanted.specifier.contains(version), f"{source} wants {wanted}, the lock has {version}"


def test_every_lock_is_of_a_set() -> None:
    pairs = [(name, python) for name in lock.WITH_SANITY for python in PYTHONS if python >= lock.SETS[name][0]]
    cores = {versions(name, python)["ansible-core"] for name, python in pairs}
    sanity = {f"sanity-{core.rpartition('.')[0]}": core for core in cores}
    assert {path.stem for path in LOCKS} == {*lock.SETS, *sanity}
    for name, core in sanity.items():
        assert f"ansible-core {core} " in (ROOT / f"tests/locks/{name}.txt").read_text(encoding="utf-8")[:600], name


def test_what_ansible_test_wants_is_there() -> None:
    spec = importlib.util.find_spec("ansible_test")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    files = Path(spec.submodule_search_locations[0]) / "_data/requirements"
    series = ".".join(ansible_version.split(".")[:2])
    locked = versions(f"sanity-{series}", ".".join(str(part) for part in sys.version_info[:2]))
    for file in files.glob("sanity.*.txt"):
        for line in logical_lines(file.read_text(encoding="utf-8")):
            wanted = Requirement(line)
            assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), f"{file.name}: {line}"


def test_nothing_is_installed_without_hashes() -> None:
    found = []
    for top in SCANNED:
        for path in (ROOT / top).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            ours = path.is_file() and not path.is_symlink() and path.suffix not in {".md", ".pyc"}
            if ours and path != Path(__file__).resolve() and name not in ADVICE:
                found += [f"{name}: {line}" for line in unhashed(path.read_bytes().decode(errors="replace"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("pip install -r requirements.txt", True),
        ('"$venv/bin/python" -m pip install --upgrade pip', True),
        ('run([python, "-m", "pip", "install", *wanted])', True),
        ('run([*pip, "download", *wanted])', True),
        ("- name: Tools\n  ansible.builtin.pip:\n    name: a", True),
        ("ansible-galaxy collection install community.general", True),
        ("pip install \\\n  --require-hashes -r lock.txt", False),
        ('run([*pip, "install", "--require-hashes", "-r", lock])', False),
        ("pip index versions ansible-core", False),
        ("pip list", False),
    ],
)
def test_calls_are_seen(text: str, refused: bool) -> None:
    assert bool(list(unhashed(text))) is refused


def wheel(directory: Path, name: str, version: str, requires: str = "") -> str:
    """Write the smallest wheel there is, and return its hash."""
    directory.mkdir(parents=True, exist_ok=True)
    path, info = directory / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        wanted = f"Requires-Dist: {requires}\n" if requires else ""
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shell(script: str, tmp_path: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script after those of the tests, with a package index that is a directory."""
    environ = {
        "HOME": f"{tmp_path}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AGENTLESS_TEST_WORK": f"{tmp_path}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": f"{tmp_path / 'index'}",
    }
    argv = ["bash", "-c", f". scripts/_setup; . scripts/_stages; {script}", "bash", *words]
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("tiny==1.0 --hash=sha256:{tiny}", None),
        (f"tiny==1.0 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"),
        ("tiny==1.0", "Hashes are required"),
        ("needs==1.0 --hash=sha256:{needs}", "tiny"),
    ],
)
def test_a_file_with_another_hash_is_refused(tmp_path: Path, entry: str, said: str | None) -> None:
    hashes = {
        "tiny": wheel(tmp_path / "index", "tiny", "1.0"),
        "needs": wheel(tmp_path / "index", "needs", "1.0", "tiny"),
    }
    (tmp_path / "tests/locks").mkdir(parents=True)
    (tmp_path / "tests/locks/some.txt").write_text(entry.format(**hashes) + "\n", encoding="utf-8")
    into = 'export PIP_TARGET="$1/target"; agentless_checkout=$1; agentless_locked "$2" some'
    done = shell(into, tmp_path, tmp_path, sys.executable)
    assert (done.returncode == 0) is (said is None), done.stderr
    assert (tmp_path / "target/tiny.py").exists() is (said is None)
    assert said is None or said in done.stderr


def test_ansible_test_gets_only_files_of_its_lock(tmp_path: Path) -> None:
    digest = wheel(tmp_path / "index", "tiny", "1.0")
    path = tmp_path / "sanity.txt"
    path.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    refused = shell('sanity_home "$1"', tmp_path, path)
    assert refused.returncode
    assert "DO NOT MATCH THE HASHES" in refused.stderr

    path.write_text(f"tiny==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
    made = shell('sanity_home "$1"', tmp_path, path)
    assert made.returncode == 0, made.stderr

    # The index that the machine's settings name has another one.
    wheel(tmp_path / "simple/tiny", "tiny", "2.0")
    (tmp_path / "simple/tiny/index.html").write_text('<a href="tiny-2.0-py3-none-any.whl">tiny</a>', encoding="utf-8")
    (tmp_path / "machine/pip").mkdir(parents=True)
    settings = f"[global]\nindex-url = file://{tmp_path}/simple\n[install]\nindex-url = file://{tmp_path}/simple\n"
    (tmp_path / "machine/pip/pip.conf").write_text(settings, encoding="utf-8")
    for home, there in ((f"{tmp_path}", "2.0"), (made.stdout.strip(), "1.0")):
        environ = {"HOME": home, "PATH": os.environ["PATH"], "XDG_CONFIG_DIRS": f"{tmp_path / 'machine'}"}
        argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-cache-dir", "tiny"]
        done = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert f"Would install tiny-{there}" in done.stdout, done.stderr
