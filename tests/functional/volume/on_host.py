# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the storage host and carries out what comes on standard input, one line of JSON after the other.

Under emulation it takes ten seconds to load what a module needs, so each call is a fork of this process. A line is
``{"operations": [...], "check": false}``, a look at what is there (``{"look": "targets"}``, ``{"look": "all"}``), or a
case ``{"before": [...], "op": {...}, "after": [...]}``: one operation
killed before each of its effects, then made again, again, and undone. For a case it says how many effects there were
and what was not as it should be.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import uuid
from typing import Any

from ansible_collections.agentless.cloud.plugins.module_utils import backend
from ansible_collections.agentless.cloud.plugins.module_utils.volume import operations, target

Operation = dict[str, Any]

IQN = "iqn.2026-01.cloud.agentless"


def call(
    listed: list[Operation], kill_at: int = 0, check: bool = False, fault: str | None = None
) -> list[dict[str, Any]] | None:
    """The results of a call, made in a process of its own; None when it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        seen = [0]

        def effect(_self: Any, _name: str) -> None:
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        backend.Context.effect = effect  # type: ignore[method-assign]  # for this child alone, which ends below
        os.write(write, json.dumps(operations.carry_out(backend.Context(check), listed)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    return None if killed else list(json.loads(said))


def left() -> list[str]:
    """Everything of volumes that is on this host."""
    names = subprocess.run(
        ["lvs", "--noheadings", "-o", "lv_name", "-S", "lv_role!=private"], check=True, capture_output=True, text=True
    )
    found = [name for name in names.stdout.split() if "-" in name]
    for folder in ("/srv/files", "/var/lib/agentless/backups", "/sys/kernel/config/target/iscsi"):
        found += [f"{folder}/{name}" for name in os.listdir(folder) if "-" in name] if os.path.isdir(folder) else []
    for folder, _folders, _files in os.walk("/sys/kernel/config/target/core"):
        found += [folder] if os.path.basename(folder).startswith(("b1.", "thick.", "files.")) else []
    with open(target.SAVED, encoding="utf-8") as handle:
        saved = json.load(handle)
    return found + [one["wwn"] for one in saved["targets"]] + [one["name"] for one in saved["storage_objects"]]


def look(what: str) -> dict[str, Any]:
    """Targets with the initiators that they let in, and with ``all`` everything else."""
    root = pathlib.Path("/sys/kernel/config/target/iscsi")
    live = sorted(root.glob(f"{IQN}:*"))
    found = {each.name: sorted(acl.name for acl in each.glob("tpgt_1/acls/*")) for each in live}
    return {"targets": found, "left": left() if what == "all" else []}


def tried(case: dict[str, Any]) -> dict[str, Any]:
    """Kill, repeat, look, undo; until the operation comes to its end."""
    wrong: list[Any] = []
    for number in range(1, 40):
        ids = {letter: str(uuid.uuid4()) for letter in "ABC"}
        text = json.dumps(case)
        for letter, value in ids.items():
            text = text.replace(f"${letter}", value)
        here = json.loads(text)
        before = call(here["before"]) or []
        killed = call([here["op"]], number) is None
        again, third = call([here["op"]]) or [], call([here["op"]]) or []
        lost = here["op"]["op"] == "export" and ids["A"] not in pathlib.Path(target.SAVED).read_text("utf-8")
        after = call(here["after"]) or []
        ok = all(one["ok"] for one in [*before, *again, *third, *after]) and not lost
        if not ok or third[0]["changed"] or left():
            wrong.append({"at": number, "before": before, "again": again, "third": third, "left": left(), "lost": lost})
            break
        # Undoing it right after the kill, without a second try.
        if killed:
            call(here["before"])
            call([here["op"]], number)
            undone = call(here["after"]) or []
            if not all(one["ok"] for one in undone) or left():
                wrong.append({"at": number, "undone": undone, "left": left()})
                break
        else:
            return {"effects": number - 1, "wrong": wrong}
    return {"effects": -1, "wrong": wrong}


def answer(line: dict[str, Any]) -> Any:
    """What one line of input asks for."""
    if "look" in line:
        return look(line["look"])
    return tried(line) if "op" in line else call(line["operations"], check=line["check"], fault=line.get("fault"))


if __name__ == "__main__":
    for asked in sys.stdin:
        print(json.dumps(answer(json.loads(asked))), flush=True)
