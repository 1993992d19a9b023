# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write tests/locks: versions and hashes of everything that the scripts install from the package index.

python3 scripts/lock.py             keep the versions that the ranges still allow
python3 scripts/lock.py --upgrade   take the newest ones that they allow

Needs uv on PATH, or at $UV. It asks the index that uv is configured for; no index is written into a lock.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "tests" / "locks"
# lock -> the oldest Python that it is for, and what it is made of
SETS = {
    "build": ("3.10", ["tests/locks/build.in"]),
    "tools": ("3.10", ["requirements.txt", "tests/requirements.txt"]),
    "oldest": ("3.10", ["requirements.txt", "tests/cores/oldest.txt"]),
    "newest": ("3.12", ["requirements.txt", "tests/cores/newest.txt"]),
}
WITH_SANITY = ("tools", "newest")  # on their ansible-core, ansible-test runs
SOURCES = ("ovs",)  # what has no wheels
HEADER = """\
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Written by scripts/lock.py from {said}.
# docs/testing.md says how to renew it.
--require-hashes
--only-binary :all:
"""
CORE = re.compile(r"^ansible-core==(?P<version>(?P<series>\d+\.\d+)\S*).*(?:\n {4}--hash=.*)+", re.MULTILINE)
SINCE = re.compile(r"python_full_version >= '(\d+\.\d+)")
BOOTSTRAP = re.compile(r"pip='([0-9.]+)'")  # the pip that ansible-test installs first


def uv(*words: str | Path) -> None:
    """Run uv in the checkout, whose files it then names without a path of this machine."""
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        sys.exit("lock: uv is not on PATH; install it in an environment of its own, or say in UV where it is")
    subprocess.run([program, *words], cwd=ROOT, check=True)


def write_lock(name: str, python: str, sources: list[str | Path], said: str, options: list[str]) -> str:
    """Write one lock, for all platforms and each Python from this one on, and return its text."""
    target = LOCKS / f"{name}.txt"
    with tempfile.TemporaryDirectory(prefix="agentless-lock-") as scratch:
        output = Path(scratch) / "lock.txt"
        if target.exists():
            shutil.copyfile(target, output)  # whose versions uv keeps
        words = ["--universal", "--python-version", python, "--generate-hashes", "--output-file", f"{output}"]
        words += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        words += ["--only-binary", ":all:", *(word for package in SOURCES for word in ("--no-binary", package))]
        uv("pip", "compile", "--quiet", *words, *options, *sources)
        text = output.read_text(encoding="utf-8")
    built = [f"--no-binary {package}\n" for package in SOURCES if re.search(rf"^{package}==", text, re.MULTILINE)]
    target.write_text("".join([HEADER.format(said=said), *built, "\n", text]), encoding="utf-8")
    print(f"{target.relative_to(ROOT)}: {text.count('==')} versions")
    return text


def sanity_pins(entry: str, python: str, scratch: Path) -> list[str]:
    """Return what ansible-test of this ansible-core installs for sanity tests: its own files say it with versions."""
    lock = scratch / "core.txt"
    lock.write_text(f"{entry}\n", encoding="utf-8")
    place = ["--no-deps", "--target", f"{scratch / 'core'}", "--python-version", python]
    uv("pip", "install", "--quiet", "--require-hashes", *place, "-r", lock)
    files = scratch / "core" / "ansible_test"
    pins = {
        f"pip=={version}" for version in BOOTSTRAP.findall((files / "_internal/python_requirements.py").read_text())
    }
    for file in (files / "_data" / "requirements").glob("sanity.*.txt"):
        pins |= {line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")}
    return sorted(pins, key=str.lower)


def main(argv: list[str]) -> int:
    """Write all locks; those of the sanity tests follow from the ansible-core in the others."""
    if set(argv) - {"--upgrade"}:
        print(__doc__, file=sys.stderr)
        return 2
    for name, (python, sources) in SETS.items():
        options = list(argv) if name == "build" else [*argv, "--constraint", "tests/locks/build.txt"]
        text = write_lock(name, python, [*sources], " and ".join(sources), options)
        if name not in WITH_SANITY:
            continue
        for core in CORE.finditer(text):
            since = SINCE.search(core[0].partition("\\")[0])
            oldest = since[1] if since else python
            with tempfile.TemporaryDirectory(prefix="agentless-lock-") as scratch:
                pins = Path(scratch) / "sanity.in"
                pins.write_text("\n".join(sanity_pins(core[0], oldest, Path(scratch))) + "\n", encoding="utf-8")
                said = f"what ansible-test of ansible-core {core['version']} installs"
                write_lock(f"sanity-{core['series']}", oldest, [pins], said, ["--no-deps"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
