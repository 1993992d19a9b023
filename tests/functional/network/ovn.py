# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OVN's databases, its translator and its tracer as private processes on sockets of their own. No host, no root.

The programs come from the system, from ``AGENTLESS_OVN_ROOT``, or from the cached root of the test hosts; from a root
that is not the system's they run with that root's own libraries.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

OUTPUT = re.compile(r'output\("([^"]+)"\)')


def roots() -> list[Path]:
    """File systems that may have OVN installed, the best first."""
    given = os.environ.get("AGENTLESS_OVN_ROOT")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "agentless-lab"
    return [*([Path(given)] if given else []), Path("/"), *sorted(cache.glob("root-full-*"), reverse=True)]


def installed() -> Path | None:
    """The file system with OVN, or None."""
    needed = ("usr/bin/ovn-northd", "usr/bin/ovn-trace", "usr/share/ovn/ovn-nb.ovsschema", "usr/sbin/ovsdb-server")
    return next((root for root in roots() if all((root / name).exists() for name in needed)), None)


class Ovn:
    """A running northbound and southbound database with ovn-northd between them.

    :ivar remote: the address of the northbound database.
    """

    def __init__(self, root: Path, place: Path) -> None:
        self._root = root
        self._place = place
        self._processes: list[subprocess.Popen[bytes]] = []
        self.remote = f"unix:{place}/db.sock"

    def start(self) -> None:
        """Make both databases, empty, and start everything."""
        for name in ("nb", "sb"):
            schema = self._root / "usr/share/ovn" / f"ovn-{name}.ovsschema"
            subprocess.run(
                [*self._command("ovsdb-tool"), "create", f"{self._place}/{name}.db", str(schema)], check=True
            )
        self._spawn(
            "ovsdb-server",
            f"--remote=p{self.remote}",
            "--unixctl=db.ctl",
            f"{self._place}/nb.db",
            f"{self._place}/sb.db",
        )
        self._answer(f"{self._place}/db.sock")
        self._spawn("ovn-northd", "--unixctl=northd.ctl", f"--ovnnb-db={self.remote}", f"--ovnsb-db={self.remote}")
        self.nbctl("init")

    def stop(self) -> None:
        """End the processes."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=10)

    def nbctl(self, *arguments: str) -> str:
        """The output of ovn-nbctl."""
        return self._output("ovn-nbctl", f"--db={self.remote}", *arguments)

    def sbctl(self, *arguments: str) -> str:
        """The output of ovn-sbctl."""
        return self._output("ovn-sbctl", f"--db={self.remote}", *arguments)

    def translated(self) -> None:
        """Wait until ovn-northd has carried everything to the southbound database."""
        self.nbctl("--wait=sb", "--timeout=30", "sync")

    def trace(self, switch: str, packet: str, *, ct: Sequence[str] = ("new", "new")) -> set[str]:
        """The ports that a packet comes out of, by the first six characters of their names (UUIDs are cut)."""
        flags = [f"--ct={state}" for state in ct]
        return set(
            OUTPUT.findall(self._output("ovn-trace", f"--db={self.remote}", *flags, "--minimal", switch, packet))
        )

    def transactions(self) -> int:
        """How many transactions of ours the northbound database has seen; ovn-northd writes into other tables."""
        ours = (b'"Logical_Switch":', b'"Port_Group":', b'"ACL":', b'"DHCP_Options":', b'"DNS":')
        with open(self._place / "nb.db", "rb") as log:
            return sum(1 for line in list(log)[2:] if any(table in line for table in ours))

    def _command(self, program: str) -> list[str]:
        folder = "usr/sbin" if program == "ovsdb-server" else "usr/bin"
        path = str(self._root / folder / program)
        if self._root == Path("/"):
            return [path]
        triplet = f"{platform.machine()}-linux-gnu"
        loader = next(iter(sorted((self._root / "usr/lib" / triplet).glob("ld-linux*.so*"))))
        return [str(loader), "--library-path", str(self._root / "usr/lib" / triplet), path]

    def _spawn(self, program: str, *arguments: str) -> None:
        argv = [*self._command(program), "-vconsole:off", f"--log-file={self._place}/{program}.log", *arguments]
        environment = {**os.environ, "OVS_RUNDIR": str(self._place), "OVN_RUNDIR": str(self._place)}
        self._processes.append(
            subprocess.Popen(
                argv, cwd=self._place, env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
        )

    def _output(self, program: str, *arguments: str) -> str:
        done = subprocess.run([*self._command(program), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def _answer(self, path: str) -> None:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                return
            assert time.monotonic() < deadline, f"nothing listens at {path}"
            time.sleep(0.01)
