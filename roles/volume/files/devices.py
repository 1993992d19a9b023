# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the devices that are to hold volumes, and which of them may be taken. It reads and never writes."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from typing import Any

OURS = "agentless"
WORDS = {
    "filesystem": "a file system",
    "raid": "part of",
    "crypto": "encrypted data",
    "partition-table": "a partition table",
}
EDGE = 1 << 20


def ask(*argv: str) -> dict[str, Any] | None:
    """The JSON that a command prints; nothing where the command is missing or fails."""
    environment = dict(os.environ, LC_ALL="C", PATH="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)
    except FileNotFoundError:
        return None
    return json.loads(done.stdout or "{}") if done.returncode == 0 else None


def volume_groups() -> dict[str, tuple[str, bool]]:
    """For each physical volume its group, and whether the group was made here."""
    told = ask("pvs", "--reportformat", "json", "-o", "pv_name,vg_name,vg_tags") or {}
    rows = [row for report in told.get("report", []) for row in report.get("pv", [])]
    return {os.path.realpath(row["pv_name"]): (row["vg_name"], OURS in row["vg_tags"].split(",")) for row in rows}


def signatures(path: str) -> list[str] | None:
    """What stands on a device by its signatures; None where that cannot be read."""
    told = ask("wipefs", "--no-act", "--json", "--output", "TYPE,USAGE,LABEL", path)
    if told is None:
        return None
    found = []
    for row in told.get("signatures", []):
        kind = WORDS.get(row.get("usage") or "", "a signature")
        label = ", label " + json.dumps(row["label"]) if row.get("label") else ""
        found.append(f"{kind} ({row.get('type')}{label})")
    return sorted(set(found))


def written(path: str) -> bool:
    """Whether the first or the last MiB holds anything but zeros."""
    with open(path, "rb") as device:
        first = device.read(EDGE)
        device.seek(max(0, device.seek(0, os.SEEK_END) - EDGE))
        return any(first) or any(device.read(EDGE))


def held(path: str) -> bool:
    """Whether the kernel has the device for a file system, another device or a program of its own."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as exc:
        return exc.errno == errno.EBUSY
    return False


def tree(path: str) -> tuple[list[str], list[str]]:
    """The partitions on a device, and what uses it or one of them."""
    told = ask("lsblk", "--json", "--paths", "--output", "NAME,TYPE,MOUNTPOINT", path) or {}
    partitions, users = [], []

    def walk(row: dict[str, Any]) -> None:
        if row.get("mountpoint"):
            swap = row["mountpoint"] == "[SWAP]"
            users.append(row["name"] + (" is swap" if swap else " is mounted on " + row["mountpoint"]))
        for child in row.get("children", []):
            if child["type"] == "part":
                partitions.append(child["name"])
            else:
                users.append(f"{child['name']} ({child['type']}) lies on it")
            walk(child)

    for row in told.get("blockdevices", []):
        walk(row)
    return partitions, users


def look(path: str) -> dict[str, Any]:
    """Everything that is on one device."""
    seen: dict[str, Any] = {"there": False, "partitions": [], "users": [], "content": []}
    if not path.startswith("/dev/") or not os.path.exists(path) or not stat.S_ISBLK(os.stat(path).st_mode):
        return seen
    seen["there"] = True
    seen["partitions"], seen["users"] = tree(path)
    for part in [path, *seen["partitions"]]:
        if held(part) and not seen["users"]:
            seen["users"].append(part + " is held by the kernel")
    found = signatures(path)
    seen["content"] = ["signatures that cannot be read"] if found is None else found
    seen["content"] += [f"{p} with {', '.join(signatures(p) or ['nothing known'])}" for p in seen["partitions"]]
    if not seen["content"] and written(path):
        seen["content"] = ["data of no known kind in its first or last MiB"]
    return seen


def decide(name: str, seen: dict[str, Any], group: tuple[str, bool], *, vg: str, wipe: bool) -> tuple[str, str]:
    """What becomes of a device: `keep`, `take`, `wipe`, or `refuse` with the reason."""
    if not seen["there"]:
        return "refuse", f"{name} is not a block device of this host."
    if group == (vg, True):
        return "keep", ""
    if group[0]:
        seen = dict(seen, content=[*seen["content"], "the volume group " + group[0]])
        if group[0] == vg:
            why = f"{name} is in the volume group {vg}, which this role did not make."
            return "refuse", why + " To use the group as it is, give no devices."
    if seen["users"]:
        return "refuse", f"{name} is in use: {', '.join(seen['users'])}."
    if not seen["content"]:
        return "take", ""
    if wipe:
        return "wipe", ""
    why = f"{name} has something on it: {', '.join(seen['content'])}."
    return "refuse", why + " If that may go, name the device in volume_wipe_devices."


def plan(wanted: dict[str, str], wipe: list[str]) -> dict[str, Any]:
    """The decision for all devices, each told by the volume group that is to have it."""
    groups = volume_groups()
    result: dict[str, Any] = {"refused": [], "wipe": [], "new": {}}
    for name, vg in wanted.items():
        path = os.path.realpath(name)
        seen = look(path)
        verdict, why = decide(name, seen, groups.get(path, ("", False)), vg=vg, wipe=name in wipe)
        if verdict == "refuse":
            result["refused"].append(why)
        if verdict == "wipe":
            # Partitions first: their names go with the table.
            result["wipe"].append({"device": path, "partitions": seen["partitions"]})
        if verdict in ("take", "wipe"):
            result["new"].setdefault(vg, []).append(path)
    return result


def main() -> None:
    """Read what is wanted from the arguments and print the plan."""
    asked = json.loads(sys.argv[1])
    wanted: dict[str, str] = {}
    refused = []
    for backend in asked["backends"]:
        for name in backend["devices"]:
            if wanted.setdefault(name, backend["vg"]) != backend["vg"]:
                refused.append(f"{name} is given to two volume groups.")
    refused += [f"{n} is in volume_wipe_devices and no backend has it." for n in asked["wipe"] if n not in wanted]
    places = [os.path.realpath(name) for name in wanted]
    refused += [f"{p} is given under two names." for p in sorted(set(places)) if places.count(p) > 1]
    result = plan(wanted, asked["wipe"])
    result["refused"] = refused + result["refused"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
