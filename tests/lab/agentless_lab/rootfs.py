# SPDX-License-Identifier: GPL-3.0-or-later
"""The cached root filesystems: Debian 12 with every package ('full') or hardly any ('bare'), and those of machines."""

from __future__ import annotations

import hashlib
import os
import shutil
from email.utils import formatdate
from pathlib import Path

from agentless_lab import cache
from agentless_lab.recipe import (
    CARRIED,
    CGROUP_SCRIPT,
    CGROUP_UNIT,
    FLAVORS,
    IN_MACHINES,
    LEFT_TO_ROLES,
    MACHINES,
    NOT_IN_CONTAINERS,
    OFF_IN_MACHINES,
    ONLY_IN_POOL,
    REPOSITORY,
    SEED_SCRIPT,
    SEED_UNIT,
    SUITE,
    UML_FILES,
    UML_MODULES,
    key,
)
from agentless_lab.system import LabError, cache_root, lock, run, write

KINDS = "root|pool"  # what is kept in the cache from here


def path(flavor: str) -> Path:
    """Where the tree of a flavor is, built or not."""
    return cache_root() / f"root-{flavor}-{key(flavor)}"


def pool() -> Path:
    """The directory of packages that hosts see as an apt repository."""
    return cache_root() / f"pool-{key('full')}"


def build(flavor: str, *, again: bool = False) -> Path:
    """Return the tree of a flavor, making it first when it is not there."""
    target = cache.use(path(flavor))
    cache.use(pool())
    if target.is_dir() and pool().is_dir() and not again:
        return target
    if flavor != "full":
        build("full", again=again)
    with lock(cache_root() / "build.lock") as held:
        if target.is_dir() and pool().is_dir() and not again:
            return target
        for left in cache_root().glob("part-root-*"):
            remove(left)
        temporary = cache_root() / f"part-root-{flavor}"
        _bootstrap(flavor, temporary, held)
        _configure(temporary / "root", flavor)
        if flavor == "baremachine":
            _index(temporary / "root" / REPOSITORY.lstrip("/"))
        if flavor == "full":
            _index(temporary / "pool")
            swap(temporary / "pool", pool())
        swap(temporary / "root", target)
        remove(temporary)
        cache.prune(KINDS, _present())
    return target


def prune() -> list[Path]:
    """Remove trees and packages that no present recipe names and no running host uses; return what went."""
    with lock(cache_root() / "build.lock"):
        for left in cache_root().glob("part-root-*"):
            remove(left)
        return cache.prune(KINDS, _present(), kept=0, resting=0)


def _present() -> list[Path]:
    return [*(path(flavor) for flavor in FLAVORS), pool()]


def _bootstrap(flavor: str, temporary: Path, held: int) -> None:
    """Let mmdebstrap make the tree; the full one also yields the packages it was made from.

    It inherits the lock: when this process is killed, the next build waits until mmdebstrap has ended too. Its mounts
    are in a namespace of its own, so that removing a half-made tree never reaches into the machine's /dev.
    """
    temporary.mkdir(parents=True)
    argv = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--include=" + ",".join(FLAVORS[flavor]),
        '--aptopt=Acquire::Languages "none"',
    ]
    if flavor == "full":
        packages = temporary / "pool"
        packages.mkdir()
        # Without these two skips mmdebstrap deletes each package as soon as it is unpacked.
        fetch = 'chroot "$1" apt-get --yes --download-only install ' + " ".join(ONLY_IN_POOL)
        argv += [
            "--skip=download/empty,essential/unlink",
            '--setup-hook=mkdir -p "$1"/var/cache/apt/archives',
            f"--customize-hook={fetch}",
            f"--customize-hook=sync-out /var/cache/apt/archives {packages}",
        ]
        argv += [SUITE, os.fspath(temporary / "root")]
        mirror = os.environ.get("AGENTLESS_LAB_MIRROR")
        argv += [mirror] if mirror else []
    else:
        if flavor == "baremachine":
            fetch = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --download-only install ' + " ".join(CARRIED)
            keep = f'mkdir -p "$1"{REPOSITORY} && cp "$1"/var/cache/apt/archives/*.deb "$1"{REPOSITORY}'
            argv += [f"--customize-hook={fetch}", f"--customize-hook={keep}"]
        argv += [SUITE, os.fspath(temporary / "root"), f"deb [trusted=yes] copy:{pool()} ./"]
    run(argv, env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}, keep=[held])


def _configure(root: Path, flavor: str) -> None:
    """Turn a fresh Debian tree into a test host that waits for roles."""
    machine = flavor in MACHINES.values()
    unwanted = {*LEFT_TO_ROLES, *NOT_IN_CONTAINERS} - (IN_MACHINES if machine else set())
    unwanted |= set(OFF_IN_MACHINES) if machine else set()
    for unit in sorted(unwanted):
        run(["systemctl", f"--root={root}", "--quiet", "disable", unit], check=False)
    if machine:
        write(root / "etc/systemd/system/lab-seed.service", SEED_UNIT)
        write(root / "usr/local/sbin/lab-seed", SEED_SCRIPT, mode=0o755)
        for name, text in UML_FILES.items():
            write(root / name, text)
        for modules in (root / UML_MODULES).iterdir():
            (root / "usr/lib/modules" / modules.name).symlink_to(Path("/", UML_MODULES, modules.name))
        if (root / "etc/iscsi").is_dir():  # else every machine of this root would have one name
            write(root / "etc/iscsi/initiatorname.iscsi", "GenerateName=yes\n")
        run(["systemctl", f"--root={root}", "--quiet", "enable", "lab-seed.service"])
    write(root / "etc/systemd/system/lab-writable-cgroups.service", CGROUP_UNIT)
    write(root / "usr/local/sbin/lab-writable-cgroups", CGROUP_SCRIPT, mode=0o755)
    run(
        [
            "systemctl",
            f"--root={root}",
            "--quiet",
            "enable",
            "lab-writable-cgroups.service",
            "systemd-networkd.service",
            "ssh.service",
        ]
    )
    run(["systemctl", f"--root={root}", "--quiet", "disable", "systemd-networkd-wait-online.service"])
    run(["systemctl", f"--root={root}", "--quiet", "set-default", "multi-user.target"])
    sources = f"deb [trusted=yes] file:{REPOSITORY} ./\n" if flavor != "machine" else "# what roles need is installed\n"
    write(root / "etc/apt/sources.list", sources)
    write(root / "etc/default/locale", "LANG=C.UTF-8\n")
    (root / REPOSITORY.lstrip("/")).mkdir(parents=True, exist_ok=True)
    leftovers = [
        *root.glob("etc/ssh/ssh_host_*"),
        *root.glob("var/lib/apt/lists/*"),
        root / "etc/machine-id",
        root / "var/lib/dbus/machine-id",
        root / "etc/hostname",
        root / "etc/resolv.conf",
        root / "etc/openvswitch/system-id.conf",
        root / "etc/openvswitch/conf.db",
    ]
    for leftover in leftovers:
        remove(leftover)
    write(root / "etc/machine-id", "")
    # No name server: a stray look-up of an outside name fails at once and does not wait.
    write(root / "etc/resolv.conf", "# test hosts know each other by /etc/hosts\n")


def _index(packages: Path) -> None:
    """Write the index that makes a directory of packages an apt repository."""
    paragraphs = []
    for package in sorted(packages.glob("*.deb")):
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        control = run(["dpkg-deb", "--field", package]).rstrip("\n")
        paragraphs.append(f"{control}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n")
    if not paragraphs:
        raise LabError("mmdebstrap left no packages behind: there is nothing to make a repository from")
    for other in packages.iterdir():
        if other.suffix != ".deb":
            remove(other)
    index = "\n".join(paragraphs)
    digest = hashlib.sha256(index.encode()).hexdigest()
    write(packages / "Packages", index)
    # mmdebstrap looks packages of a suite up by its name, so that the repository has to say which one it is.
    write(
        packages / "Release",
        f"Suite: {SUITE}\nCodename: {SUITE}\nDate: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {digest} {len(index.encode())} Packages\n",
    )


def swap(fresh: Path, target: Path) -> None:
    """Put a finished directory in its place; what stood there before may still be in use, so it is kept aside."""
    if target.exists():
        aside = target.with_name(f"old-{os.getpid()}-{target.name}")
        target.rename(aside)
    fresh.rename(target)


def remove(entry: Path) -> None:
    """Remove a file or a tree, absent or not, without following links out of it."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
