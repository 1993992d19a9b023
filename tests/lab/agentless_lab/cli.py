# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from agentless_lab import console, guest, lab, machine, recipe, rootfs
from agentless_lab.system import PREREQUISITES, LabError, require


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(argv)
    try:
        require(PREREQUISITES)
        code: int = options.run(options) or 0
        return code
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(options: argparse.Namespace) -> None:
    begun = time.monotonic()
    plan = lab.Plan(
        name=options.name,
        hosts=(*(word for word in options.hosts.split(",") if word), *options.machine),
        machines=_machines(options.machine, options.disk),
        machine_kind=options.machine_kind,
        flavor=options.flavor,
        groups=_groups(options.group),
        variables=_variables(options.var),
    )
    path = lab.up(plan, timeout=options.timeout)
    if options.json:
        print(json.dumps(lab.status(options.name), indent=2))
        return
    print(f"lab {options.name} is up after {time.monotonic() - begun:.1f} s: {', '.join(plan.hosts)}", file=sys.stderr)
    for each in lab.hosts_of(options.name):
        if each.machine:
            where = "" if each.machine.processor is None else f", on processor {each.machine.processor}"
            print(f"{each.name} is a machine of the kind {each.machine.kind}{where}", file=sys.stderr)
    print(path)


def _down(options: argparse.Namespace) -> None:
    for name in lab.names() if options.all else [options.name]:
        lab.down(name)


def _status(options: argparse.Namespace) -> None:
    found = [lab.status(name) for name in ([options.name] if options.name else lab.names())]
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for each in found:
        print(f"{each['name']}: {each['state']}")
        for one in each["hosts"]:
            state = "running" if one["running"] else "off"
            print(f"  {one['name']:<16} {one['address']:<15} {state:<8} {one['machine'] or ''}".rstrip())


def _exec(options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise LabError("say which command to run")
    command = [*lab.ssh(lab.find(options.name, options.host)), *words]
    return os.spawnvp(os.P_WAIT, command[0], command)


def _ssh(options: argparse.Namespace) -> int:
    command = [*lab.ssh(lab.find(options.name, options.host)), "-t"]
    return os.spawnvp(os.P_WAIT, command[0], command)


def _kill(options: argparse.Namespace) -> None:
    lab.cut(lab.find(options.name, options.host))


def _start(options: argparse.Namespace) -> None:
    lab.boot(lab.find(options.name, options.host), options.timeout)


def _build(options: argparse.Namespace) -> None:
    if options.prune and lab.names():
        raise LabError("labs are up, and their disks lie over the cache: take them down before pruning it")
    if options.prune:
        for gone in [*rootfs.prune(), *machine.prune(), *guest.prune()]:
            print(f"removed {gone}", file=sys.stderr)
        return
    if options.flavor in recipe.MACHINES.values():
        print(machine.image(options.flavor, again=options.again))
    else:
        print(rootfs.build(options.flavor, again=options.again))


def _console_run(options: argparse.Namespace) -> int:
    reach = lab.ssh(lab.find(options.name, options.host))
    code, output = console.run_in_guest(reach, options.domain, options.command, timeout=options.timeout)
    sys.stdout.write(output)
    return code


def _guest_image(options: argparse.Namespace) -> None:
    print(guest.image(options.kernel, options.format))


def _machines(names: Sequence[str], disks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read `machine=size` words."""
    machines: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for word in disks:
        name, equals, size = word.partition("=")
        if not equals or name not in machines:
            raise LabError(f"{word!r}: a disk is written MACHINE=SIZE, and the machine is named by --machine")
        machines[name] = (*machines[name], size)
    return machines


def _groups(given: Sequence[str]) -> dict[str, list[str]]:
    """Read `group=host,host` words."""
    groups: dict[str, list[str]] = {}
    for word in given:
        group, equals, members = word.partition("=")
        if not equals:
            raise LabError(f"{word!r}: a group is written group=host,host")
        groups.setdefault(group, []).extend(member for member in members.split(",") if member)
    return groups


def _variables(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `host:key=value` words; a value that is JSON is taken as such, any other as text."""
    variables: dict[str, dict[str, Any]] = {}
    for word in given:
        name, colon, rest = word.partition(":")
        key, equals, value = rest.partition("=")
        if not (colon and equals):
            raise LabError(f"{word!r}: a variable is written host:key=value")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        variables.setdefault(name, {})[key] = parsed
    return variables


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description="Test hosts: containers and machines with systemd and SSH."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    up = command("up", _up, "bring hosts up and print the path of their inventory")
    up.add_argument("--name", required=True)
    up.add_argument("--hosts", default="", metavar="A,B,C")
    up.add_argument("--machine", action="append", default=[], metavar="D", help="a whole machine with its own kernel")
    up.add_argument(
        "--disk", action="append", default=[], metavar="D=4G", help="a data disk of a machine: /dev/vdb, ..."
    )
    up.add_argument(
        "--machine-kind",
        choices=machine.ASKED,
        help=f"what machines are run by (default: {machine.VARIABLE}, else the quickest that works)",
    )
    up.add_argument("--flavor", choices=recipe.CONTAINERS, default="full")
    up.add_argument("--group", action="append", default=[], metavar="GROUP=A,B")
    up.add_argument("--var", action="append", default=[], metavar="HOST:KEY=VALUE")
    up.add_argument("--timeout", type=float, default=60, metavar="SECONDS")
    up.add_argument("--json", action="store_true")

    down = command("down", _down, "remove hosts and everything that belongs to them")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("--name")
    which.add_argument("--all", action="store_true")

    status = command("status", _status, "say what is up")
    status.add_argument("--name")
    status.add_argument("--json", action="store_true")

    for name, run, text in (
        ("exec", _exec, "run a command on a host"),
        ("ssh", _ssh, "open a shell on a host"),
        ("kill", _kill, "cut the power of a host; its disk stays"),
        ("start", _start, "boot a host again"),
    ):
        made = command(name, run, text)
        made.add_argument("name", metavar="NAME")
        made.add_argument("host", metavar="HOST")
        if name == "exec":
            made.add_argument("command", nargs=argparse.REMAINDER, metavar="-- WORD ...")
        if name == "start":
            made.add_argument("--timeout", type=float, default=60, metavar="SECONDS")

    inside = command("console-run", _console_run, "run a command line in a guest, through its serial console")
    for word in ("name", "host", "domain", "command"):
        inside.add_argument(word, metavar=word.upper())
    inside.add_argument("--timeout", type=float, default=30, metavar="SECONDS")

    build = command("build", _build, "build the cached root filesystem, or the image of machines, and print its path")
    build.add_argument("--flavor", choices=sorted(recipe.FLAVORS), default="full")
    build.add_argument("--again", action="store_true", help="even when it is there, to take in newer packages")
    build.add_argument("--prune", action="store_true", help="remove what earlier recipes left in the cache")

    image = command("guest-image", _guest_image, "print the path of a small bootable guest, built when it is missing")
    image.add_argument("--format", choices=guest.FORMATS, default="qcow2")
    image.add_argument(
        "--kernel",
        choices=sorted(guest.KERNELS),
        default="cloud",
        help="generic also has drivers for SATA and for NICs other than virtio, and starts slower",
    )
    return parser
