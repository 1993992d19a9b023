# SPDX-License-Identifier: GPL-3.0-or-later
"""One bridge and one subnet for each lab, with no way out of the machine."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Container
from pathlib import Path

from agentless_lab.system import LabError, mark, run

# The bridge has address 1 of its subnet; hosts begin at this one.
FIRST_HOST = 11


def subnet(number: int) -> ipaddress.IPv4Network:
    """The IPv4 subnet of a lab."""
    return ipaddress.IPv4Network(f"10.213.{number}.0/24")


def subnet6(number: int) -> ipaddress.IPv6Network:
    """The IPv6 subnet of a lab."""
    return ipaddress.IPv6Network(f"fd00:213:0:{number:x}::/64")


def bridge(number: int) -> str:
    """The name of a lab's bridge."""
    return f"agl{number}"


def choose(taken: Container[int]) -> int:
    """Find a number whose bridge and subnet nothing on this machine uses."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    used = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for number in range(1, 255):
        free = number not in taken and not Path("/sys/class/net", bridge(number)).exists()
        if free and not any(subnet(number).overlaps(other) for other in used if other.prefixlen > 0):
            return number
    raise LabError("no free subnet left in 10.213.0.0/16: take some labs down")


def create(number: int, lab: str, *, held: int) -> None:
    """Make a lab's bridge; making it again changes nothing.

    The command that makes it inherits the lock: should we be killed, `down` waits for it and finds what it made.
    """
    name = bridge(number)
    if owner(name) is None:
        run(["ip", "link", "add", name, "type", "bridge", "forward_delay", "0", "stp_state", "0"], keep=[held])
    if _unmarked(name):
        run(["ip", "link", "set", name, "alias", _alias(lab)])
    elif owner(name) != lab:
        raise LabError(f"interface {name} is there and does not belong to lab {lab}")
    forwarding = [Path(f"/proc/sys/net/{family}/conf/{name}/forwarding") for family in ("ipv4", "ipv6")]
    for switch in forwarding:
        if switch.exists():
            switch.write_text("0")
    run(["ip", "address", "replace", f"{subnet(number)[1]}/24", "dev", name])
    if forwarding[1].exists():
        run(["ip", "address", "replace", f"{subnet6(number)[1]}/64", "dev", name, "nodad"])
    run(["ip", "link", "set", name, "up"])


def _unmarked(name: str) -> bool:
    """Whether nobody has said yet whose an interface is."""
    return not Path("/sys/class/net", name, "ifalias").read_text(encoding="utf-8").strip()


def owner(name: str) -> str | None:
    """The lab an interface belongs to: None when there is no such interface, empty when it is not ours."""
    try:
        alias = Path("/sys/class/net", name, "ifalias").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return alias[len(_alias("")) :] if alias.startswith(_alias("")) else ""


def destroy(lab: str, recorded: int | None) -> None:
    """Remove every bridge of a lab with the ends of cables still plugged into it.

    A bridge that does not say whose it is, under the number recorded for the lab, was being made when `up` was killed.
    """
    for interface in Path("/sys/class/net").iterdir():
        unmarked = recorded is not None and interface.name == bridge(recorded) and _unmarked(interface.name)
        if owner(interface.name) != lab and not unmarked:
            continue
        for port in (interface / "brif").iterdir():
            unplug(port.name)
        run(["ip", "link", "delete", interface.name])


def unplug(port: str) -> None:
    """Remove the cable of a host that is gone."""
    if Path("/sys/class/net", port).exists():
        run(["ip", "link", "delete", port], check=False)


def _alias(lab: str) -> str:
    """The mark by which an interface is known as ours."""
    return f"{mark()} {lab}"
