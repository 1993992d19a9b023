# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""S1: a canary in user data is in the guest's seed and nowhere else; hosts never hear of the database."""

from __future__ import annotations

import base64
import json
import pathlib
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .cloud import COMPUTE, LAB, Cloud

pytestmark = pytest.mark.lab

SECRET = "canary-7f3a91c5-secret"
SHOWN = "canary-0d42be68-shown"
USERDATA = f"#cloud-config\npassword: {SECRET}\n"
BOOT = {"flavor": "none", "image": "halt", "networks": ["front"], "timeout": 120}
PLACES = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


def pattern(text: str) -> str:
    """A regular expression for the text that does not find itself."""
    return f"{text[:-1]}[{text[-1]}]"


def forms(text: str) -> list[str]:
    """The text and what it looks like inside Base64, whatever stands before it."""
    encoded = (base64.b64encode(b"\0" * shift + text.encode())[4:-4].decode() for shift in range(3))
    return [text, *encoded, text[::-1]]


def found_in(text: str, canary: str) -> bool:
    return any(form in text for form in forms(canary))


def on_host(cloud: Cloud, host: str, text: str) -> dict[str, set[str]]:
    """Where a host has the text: its files, its journal, its processes' arguments and environment."""
    sought = pattern(text)
    files = cloud.host(
        host, f"grep -rlaIs -e '{sought}' {PLACES} || true; grep -rlas -e '{sought}' /var/lib/agentless || true"
    )
    journal = cloud.host(host, f"journalctl --no-pager -o cat -q | grep -a -e '{sought}' || true")
    processes = cloud.host(host, f"grep -lsa -e '{sought}' /proc/[0-9]*/cmdline /proc/[0-9]*/environ || true")
    found = {"files": set(files.split()), "journal": set(journal.splitlines()), "processes": set(processes.split())}
    return {key: value for key, value in found.items() if value}


# Looks some fifty times a second, in one process: starting others for each look takes the processor from the play.
WATCH = """
import os, sys, time
sought = sys.stdin.buffer.read().split()
print("watching", flush=True)
while os.path.exists("/run/watching"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as stream:
                    content = stream.read()
            except OSError:
                continue
            for text in sought:
                if text in content:
                    print(pid, name, text.decode(), flush=True)
    time.sleep(0.01)
"""


@contextmanager
def watched(cloud: Cloud, *texts: str) -> Iterator[list[str]]:
    """Looks at the arguments and environments of all processes of the hosts while the body runs."""
    seen: list[str] = []
    watchers = []
    for host in COMPUTE:
        command = [LAB, "exec", cloud.name, host, "--", f"touch /run/watching; exec python3 -c {shlex.quote(WATCH)}"]
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert watcher.stdin is not None
        watcher.stdin.write("\n".join(texts))  # and so in nobody's arguments
        watcher.stdin.close()
        watcher.stdin = None
        watchers.append(watcher)
    for watcher in watchers:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "watching\n"
    try:
        yield seen
    finally:
        for host in COMPUTE:
            cloud.host(host, "rm -f /run/watching")
        for watcher in watchers:
            seen.extend(watcher.communicate(timeout=60)[0].splitlines())
            assert watcher.returncode == 0


def test_user_data_is_in_the_seed_only(clean: Cloud, tmp_path: pathlib.Path) -> None:
    cloud = clean
    log, facts = tmp_path / "ansible.log", tmp_path / "vars.json"
    facts.write_text(json.dumps({"given": USERDATA, "instance_userdata": USERDATA}))
    wish = {**BOOT, "name": "keeper", "userdata": "{{ given }}", "metadata": {"note": SHOWN}}
    with watched(cloud, SECRET, str(cloud.database)) as seen:
        played = cloud.tasks(
            {"agentless.cloud.instance": wish, "check_mode": True, "diff": True},
            {"agentless.cloud.instance": wish, "diff": True, "register": "made"},
            {"agentless.cloud.instance": wish, "diff": True},
            {"agentless.cloud.instance": {**wish, "userdata": f"#!/bin/sh\n# {SECRET}\n"}, "ignore_errors": True},
            {"agentless.cloud.instance": {**wish, "name": "never", "zone": "moon"}, "ignore_errors": True},
            {"agentless.cloud.instance": {**wish, "name": "never", "nonsense": 1}, "ignore_errors": True},
            {"agentless.cloud.instance_info": {"name": "keeper"}},
            {"ansible.builtin.debug": {"var": "made"}},
            options=("-vvvv", "-e", f"@{facts}"),
            ANSIBLE_LOG_PATH=str(log),
        )
        launched = cloud.run(
            "agentless.cloud.launch",
            "-vvvv",
            *("-e", f"@{facts}", "-e", "instance_name=never instance_flavor=none instance_image=missing"),
            ANSIBLE_LOG_PATH=str(log),
        )
    assert ["msg" in result for result in played.results] == [False] * 3 + [True] * 3 + [False] * 2
    assert launched.returncode != 0
    told = {
        "output": played.output,
        "output of launch": launched.output,
        "log": log.read_text(),
        "results": json.dumps(played.results),
        "processes": "\n".join(seen),
        "trace of the log": "".join(str(row) for row in cloud.ask("SELECT * FROM instance_actions")),
    }
    assert [where for where, text in told.items() if found_in(text, SECRET)] == []
    # The same look finds what may be shown, so it would have found the secret.
    assert {where for where, text in told.items() if found_in(text, SHOWN)} == {"output", "log", "results"}
    key = played.results[1]["instance"]["id"]
    own = played.results[1]["instance"]["compute_host"]
    for host in COMPUTE:
        there = on_host(cloud, host, SECRET)
        if host != own:
            assert there == {}
            continue
        assert set(there) == {"files"}, there
        (seed,) = there["files"]
        assert seed.startswith(f"/var/lib/agentless/instances/{key}/")
        # Whoever runs the guest may read it; nobody else, and nobody may write it.
        assert cloud.host(host, f"stat -c %a {seed}").strip() == "600"
    assert cloud.instance(name="keeper", state="absent").returncode == 0
    for host in COMPUTE:
        assert on_host(cloud, host, SECRET) == {}


def test_compute_hosts_do_not_know_the_database(clean: Cloud) -> None:
    cloud = clean
    address = str(cloud.database)
    with watched(cloud, address) as seen:
        assert cloud.instance(name="blind", count=2, server_group="apart").returncode == 0
    assert seen == []
    for host in COMPUTE:
        assert on_host(cloud, host, address) == {}
        assert on_host(cloud, host, "AGENTLESS_DATABASE") == {}
    assert cloud.instance(name="blind", count=2, state="absent").returncode == 0


def test_the_search_finds_what_is_there(clean: Cloud) -> None:
    """Each place searched is one where a canary would be found: a file, the journal, arguments, an environment."""
    cloud = clean
    canary = "canary-51e0aa17-planted"
    halves = f"{canary[:10]}''{canary[10:]}"
    cloud.host("k2", f"printf %s {halves} > /tmp/planted; logger {halves}")
    with watched(cloud, canary) as seen:
        cloud.host("k2", f"sh -c 'sleep 2; true' {canary}; true")
        cloud.host("k2", f"export PLANTED={halves}; sleep 2 & sleep 1; grep -c PLANTED /proc/$!/environ; wait")
    assert seen
    found = on_host(cloud, "k2", canary)
    assert "/tmp/planted" in found["files"]
    assert "journal" in found
    cloud.host("k2", "rm /tmp/planted")
    payload = base64.b64encode(f"x{canary}y".encode()).decode()
    assert found_in(f"payload {payload}", canary)
    assert not found_in(f"payload {payload}", SECRET)
