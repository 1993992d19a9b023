# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""open-iscsi and the kernel's sessions: records, logins, disks and their serial numbers.

The secret of a target goes into open-iscsi's record of it by writing the file, for ``iscsiadm`` takes values only as
arguments, which anybody on the host can read.
"""

from __future__ import annotations

import glob
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connections, files

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

SESSIONS = "/sys/class/iscsi_session"
RECORDS = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")  # Debian, others
GROUP = 1  # the only portal group of our targets
TIMEOUT = 120  # seconds that writes wait for a lost session before they fail
LOGIN_TIME = 90
_EXISTS, _NONE, _REFUSED = 15, 21, 24  # exit status of iscsiadm
_LOOK = 0.1


class Session(NamedTuple):
    """One way to a target that is logged in, or tries to be again."""

    number: str
    portal: str
    state: str
    disks: tuple[str, ...]


def sessions(iqn: str) -> list[Session]:
    """The kernel's sessions with a target."""
    found = []
    for place in sorted(glob.glob(f"{SESSIONS}/session*")):
        if _text(f"{place}/targetname") != iqn:
            continue
        ends = glob.glob(f"{place}/device/connection*/iscsi_connection/connection*")
        address = _text(f"{ends[0]}/persistent_address") if ends else ""
        port = _text(f"{ends[0]}/persistent_port") if ends else ""
        disks = tuple(sorted(os.path.basename(disk) for disk in glob.glob(f"{place}/device/target*/*/block/*")))
        number = os.path.basename(place)[len("session") :]
        found.append(Session(number, connections.joined(address, port), _text(f"{place}/state"), disks))
    return found


def session(iqn: str, portal: str) -> Session | None:
    """The session by one portal."""
    return next((one for one in sessions(iqn) if one.portal == portal), None)


def record(ctx: Context, iqn: str, portal: str, login: dict[str, str], timeout: int) -> None:
    """Have open-iscsi's record of a target and portal, with user and secret, for root alone."""
    place = ["-T", iqn, "-p", f"{portal},{GROUP}"]
    if not _files(iqn, portal):
        ctx.run(["iscsiadm", "-m", "node", "-o", "new", *place])
    wanted = {
        "node.startup": "automatic",
        "node.session.auth.authmethod": "CHAP",
        "node.session.auth.username": login["user"],
        "node.session.auth.password": login["secret"],
        "node.session.timeo.replacement_timeout": str(timeout),
    }
    if any(not value.isprintable() for value in wanted.values()):
        raise BackendError(f"The user or the secret of {iqn} cannot be written down.")
    found = _files(iqn, portal)
    if not found:
        raise BackendError(f"open-iscsi keeps no record of {iqn} in {' or '.join(RECORDS)}.")
    for path in found:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
        kept = [line for line in lines if line.partition(" = ")[0].strip() not in wanted]
        end = next((place for place, line in enumerate(kept) if line.startswith("# END RECORD")), len(kept))
        kept[end:end] = [f"{name} = {value}" for name, value in wanted.items()]
        if kept != lines:
            files.replace(path, "".join(f"{line}\n" for line in kept).encode("utf-8"))


def login(ctx: Context, iqn: str, portal: str) -> None:
    """Log in with the record.

    :raises BackendError: the target does not let us in, or does not answer.
    """
    argv = ["iscsiadm", "-m", "node", "-T", iqn, "-p", f"{portal},{GROUP}", "--login"]
    done = ctx.run(argv, timeout=LOGIN_TIME, check=False)
    if done.returncode == _REFUSED:
        raise BackendError(f"The target {iqn} at {portal} does not let this host in.")
    if done.returncode not in (0, _EXISTS):
        said = (done.stderr or done.stdout).strip()[-500:]
        raise BackendError(f"No login to {iqn} at {portal} (iscsiadm {done.returncode}): {said}")


def logout(ctx: Context, one: Session) -> None:
    """End a session."""
    done = ctx.run(["iscsiadm", "-m", "session", "-r", one.number, "--logout"], timeout=LOGIN_TIME, check=False)
    if done.returncode not in (0, _NONE) and os.path.exists(f"{SESSIONS}/session{one.number}"):
        raise BackendError(f"The session with {one.portal} does not end: {done.stderr.strip()[-500:]}")


def forget(ctx: Context, iqn: str) -> None:
    """Remove open-iscsi's records of a target, and with them the secret."""
    done = ctx.run(["iscsiadm", "-m", "node", "-T", iqn, "-o", "delete"], check=False)
    left = [path for base in RECORDS for path in glob.glob(f"{base}/{glob.escape(iqn)}/*")]
    if done.returncode not in (0, _NONE) or left:
        raise BackendError(f"open-iscsi does not forget {iqn}: {done.stderr.strip()[-500:]}")


def disk(ctx: Context, one: Session, lun: int, patience: float) -> str:
    """The disk of a session, waited for; such as ``sda``."""
    deadline, asked = time.monotonic() + patience, time.monotonic()
    while True:
        found = glob.glob(f"{SESSIONS}/session{one.number}/device/target*/*:{lun}/block/*")
        if found and os.path.exists(f"/dev/{os.path.basename(found[0])}"):
            return os.path.basename(found[0])
        if time.monotonic() > deadline:
            raise BackendError(f"The session with {one.portal} brought no disk.", error="Timeout")
        if time.monotonic() - asked > patience / 3:  # one whose scan was interrupted
            asked = time.monotonic()
            ctx.run(["iscsiadm", "-m", "session", "-r", one.number, "--rescan"], timeout=LOGIN_TIME, check=False)
        time.sleep(_LOOK)


def serial(ctx: Context, name: str) -> str:
    """The serial number that a disk answers with now; what the kernel remembers of it could be an earlier one's."""
    done = ctx.run(["/usr/lib/udev/scsi_id", "--whitelisted", "--export", f"--device=/dev/{name}"], check=False)
    told = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return told.get("ID_SCSI_SERIAL", "")


def rescan(name: str) -> None:
    """Have the kernel ask a disk for its size again."""
    _tell(f"/sys/block/{name}/device/rescan")


def delete(name: str) -> None:
    """Have the kernel give a disk up."""
    _tell(f"/sys/block/{name}/device/delete")


def size(path: str) -> int:
    """The size of a device in bytes, as the kernel knows it; 0 where there is none."""
    text = _text(f"/sys/class/block/{os.path.basename(os.path.realpath(path))}/size")
    return int(text or 0) * 512


def _files(iqn: str, portal: str) -> list[str]:
    address, port = connections.split(portal)
    found = []
    for base in RECORDS:
        place = f"{base}/{iqn}/{address},{port}"
        found += [path for path in (place, *glob.glob(f"{glob.escape(place)},*/*")) if os.path.isfile(path)]
    return found


def _tell(path: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as stream:
            stream.write("1\n")
    except FileNotFoundError:  # it has just gone
        return


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""
