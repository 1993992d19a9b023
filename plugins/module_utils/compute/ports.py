# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until the network of new guests works: Open vSwitch has the flows of each port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

PATIENCE = 60  # seconds for ovn-controller to do its part
INSTALLED = "external_ids:ovn-installed=true"


def taps(text: str, port_ids: list[str]) -> dict[str, str]:
    """The interface on the host of each of these ports, from the domain's XML."""
    found = {}
    for element in ElementTree.fromstring(text).iterfind("devices/interface"):
        port, target = element.find("virtualport/parameters"), element.find("target")
        if port is not None and target is not None and port.get("interfaceid") in port_ids:
            found[str(port.get("interfaceid"))] = str(target.get("dev"))
    return found


def missing(ctx: Context, wanted: dict[str, str], timeout: float) -> list[str]:
    """The ports that are not up within ``timeout`` seconds; one process waits for all of them.

    :param wanted: the interface on the host of each port.
    """
    if not wanted:
        return []
    seconds = max(1, int(min(timeout, PATIENCE)))
    argv = ["ovs-vsctl", f"--timeout={seconds}"]
    for tap in wanted.values():
        argv += ["--", "wait-until", "Interface", tap, INSTALLED]
    if ctx.run(argv, timeout=seconds + 10, check=False).returncode == 0:
        return []
    there = _installed(ctx)
    return sorted(port for port, tap in wanted.items() if tap not in there)


def _installed(ctx: Context) -> set[str]:
    argv = ["ovs-vsctl", "--timeout=10", "--format=json", "--columns=name", "find", "Interface", INSTALLED]
    done = ctx.run(argv, timeout=20, check=False)
    if done.returncode != 0:
        return set()
    rows: list[list[Any]] = json.loads(done.stdout)["data"]
    return {str(row[0]) for row in rows}
