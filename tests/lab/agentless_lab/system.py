# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part needs from the machine: commands, directories, locks, and one kind of error."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PREREQUISITES = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "unshare": "util-linux",
    "dpkg-deb": "dpkg",
}
GUEST_PREREQUISITES = {
    "qemu-img": "qemu-utils",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "mkfs.vfat": "dosfstools",
    "cpio": "cpio",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}


class LabError(Exception):
    """Something the person at the keyboard can act on; the message says what."""


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    keep: Sequence[int] = (),
) -> str:
    """Run a command and return its standard output; a failure carries the end of what it said."""
    done = subprocess.run(
        [os.fspath(word) for word in argv],
        input=stdin,
        env=env,
        cwd=cwd,
        check=False,
        pass_fds=keep,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{os.fspath(argv[0])} failed with code {done.returncode}: {said}")
    return done.stdout


def require(programs: Mapping[str, str]) -> None:
    """Refuse early, naming the Debian packages, when a program is missing."""
    if os.geteuid() != 0:
        raise LabError("test hosts are system containers: run as root")
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    missing = sorted({package for program, package in programs.items() if shutil.which(program, path=path) is None})
    if missing:
        raise LabError("missing packages, install them with: apt-get install " + " ".join(missing))


def state_root() -> Path:
    """Where running labs keep their files."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base).absolute() / "agentless-lab"


def mark() -> str:
    """The word by which this machine knows what is ours; labs kept in another directory are somebody else's."""
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    if state_root() == home / ".local" / "state" / "agentless-lab":
        return "agentless-lab"
    return "agentless-lab-" + hashlib.sha256(os.fsencode(state_root())).hexdigest()[:8]


def cache_root() -> Path:
    """Where root filesystems, packages and the guest image are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "agentless-lab"


@contextlib.contextmanager
def lock(path: Path) -> Iterator[int]:
    """Hold an exclusive lock on a file until its descriptor, which is yielded, is closed by everyone who has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file atomically, making its directory when needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(text)
    os.replace(temporary, path)
