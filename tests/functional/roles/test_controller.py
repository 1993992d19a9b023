# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles do on the controller, where several runs may be at it at once, and which may live in any time zone."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
RUNS = 3
RECAP = re.compile(r"localhost +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ")
# Makes keys only when all runs want to make one, or one has waited long enough.
MEETING = f"""#!/bin/bash
if [[ $1 == genpkey ]]; then
    : >"$MEETING/$$"
    for ((i = 0; i < 400; i++)); do
        met=("$MEETING"/*)
        ((${{#met[@]}} >= {RUNS})) && break
        sleep 0.1
    done
fi
exec /usr/bin/openssl "$@"
"""


def begin(place: Path, tasks: list[dict[str, Any]], *options: str, **environment: str) -> subprocess.Popen[str]:
    """ansible-playbook of these tasks for the controller alone."""
    place.mkdir(exist_ok=True)
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (place / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    argv = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        str(place / "play.yml"),
        *options,
    ]
    settings = {"ANSIBLE_HOME": str(place / "ansible"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    return subprocess.Popen(
        argv,
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, **settings, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def changed(run: subprocess.Popen[str]) -> int:
    """How many tasks of a run changed something; it must have ended well."""
    said = run.communicate(timeout=300)[0]
    assert run.returncode == 0, said
    recap = RECAP.search(said)
    assert recap, said
    return int(recap[1])


def authority(directory: Path) -> list[dict[str, Any]]:
    role = {"name": "agentless.cloud.ca", "tasks_from": "authority"}
    return [{"ansible.builtin.include_role": role, "vars": {"ca_directory": str(directory)}}]


def openssl(*words: str | Path) -> str:
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True).stdout


def test_runs_at_once_make_one_authority_which_is_renewed(tmp_path: Path) -> None:
    kept, meeting, programs = (tmp_path / name for name in ("ca", "meeting", "bin"))
    meeting.mkdir()
    programs.mkdir()
    (programs / "openssl").write_text(MEETING)
    (programs / "openssl").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "MEETING": str(meeting)}
    assert changed(begin(tmp_path / "check", authority(kept), "--check")) == 3, "directory, key and certificate"
    assert not kept.exists()
    runs = [begin(tmp_path / str(number), authority(kept), **environment) for number in range(RUNS)]
    counts = [changed(run) for run in runs]
    assert len(list(meeting.iterdir())) == RUNS, "they met"
    assert sorted(path.name for path in kept.iterdir()) == ["ca.key", "ca.pem"]
    assert (kept / "ca.key").stat().st_mode & 0o777 == 0o600
    assert openssl("pkey", "-in", kept / "ca.key", "-pubout") == openssl(
        "x509", "-in", kept / "ca.pem", "-noout", "-pubkey"
    )
    # The key is made by one of them, and so is the certificate; of the directory several may believe it.
    assert 3 <= sum(counts) <= 2 + RUNS, counts
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert changed(begin(tmp_path / "again", authority(kept))) == 0
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    # One that does not outlive what it signs is certified again, under its own key.
    short = authority(kept)
    short[0]["vars"]["ca_certificate_days"] = 1096
    assert changed(begin(tmp_path / "check", short, "--check")) == 1
    assert changed(begin(tmp_path / "renewed", short)) == 1
    assert (kept / "ca.key").read_bytes() == before["ca.key"]
    assert (kept / "ca.pem").read_bytes() != before["ca.pem"]
    assert sorted(path.name for path in kept.iterdir()) == ["ca.key", "ca.pem"]


def leaf(kept: Path, place: Path, *names: str) -> bool:
    """Whether who trusts the authority believes a certificate for these names that is signed with its key."""
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", place / "leaf.key")
    openssl("req", "-new", "-key", place / "leaf.key", "-subj", "/CN=x", "-out", place / "leaf.csr")
    (place / "leaf.cnf").write_text(f"subjectAltName = {', '.join(names)}\nextendedKeyUsage = serverAuth\n")
    signed = ["-req", "-in", place / "leaf.csr", "-CA", kept / "ca.pem", "-CAkey", kept / "ca.key", "-set_serial", "7"]
    openssl("x509", *signed, "-extfile", place / "leaf.cnf", "-out", place / "leaf.pem")
    judge = ["openssl", "verify", "-no-CAfile", "-no-CApath", "-trusted", kept / "ca.pem", place / "leaf.pem"]
    return subprocess.run(judge, check=False, capture_output=True).returncode == 0


SITE = [
    {"name": "img1", "groups": "cloud_image", "ansible_host": "10.0.0.9", "image_store_tls_names": ["store.example"]},
    {"name": "net1", "groups": "cloud_network", "ansible_host": "fd00::9", "agentless_address": "{{ 'a b\nc' }}"},
    {"name": "else1", "groups": "others", "ansible_host": "10.0.0.10"},
]
NAMES = [
    # what stands in the certificate, whether the authority may vouch for it
    (["DNS:img1", "IP:10.0.0.9"], True),
    (["DNS:net1", "IP:fd00::9"], True),
    (["DNS:store.example", "DNS:a.store.example"], True),
    (["DNS:google.com"], False),
    (["DNS:img1", "DNS:google.com"], False),
    (["DNS:else1"], False),
    (["IP:10.0.0.10"], False),
    (["IP:fd00::a"], False),
    (["email:root@example.org"], False),
]


def test_the_authority_vouches_for_hosts_of_the_inventory_alone(tmp_path: Path) -> None:
    kept = tmp_path / "ca"
    site = [{"ansible.builtin.add_host": host, "changed_when": False} for host in SITE]
    changed(begin(tmp_path / "first", [*site, *authority(kept)]))
    said = openssl("x509", "-in", kept / "ca.pem", "-noout", "-text")
    assert "Name Constraints: critical" in said
    assert [leaf(kept, tmp_path, *names) for names, _may in NAMES] == [may for _names, may in NAMES]
    ends = ["openssl", "x509", "-in", kept / "ca.pem", "-noout", "-checkend", str(1097 * 86400)]
    assert subprocess.run(ends, check=False, capture_output=True).returncode == 1
    ssl.create_default_context(cafile=str(kept / "ca.pem"))
    assert changed(begin(tmp_path / "again", [*site, *authority(kept)])) == 0
    # A host more: the same key is certified again, and what was signed before is still believed.
    key = (kept / "ca.key").read_bytes()
    more = [{"ansible.builtin.add_host": {**SITE[2], "groups": "cloud_image"}, "changed_when": False}, *site[:2]]
    assert changed(begin(tmp_path / "more", [*more, *authority(kept)], "--check")) == 1
    assert changed(begin(tmp_path / "more", [*more, *authority(kept)])) == 1
    assert (kept / "ca.key").read_bytes() == key
    assert leaf(kept, tmp_path, "DNS:else1", "IP:10.0.0.10")


def test_an_authority_without_addresses_vouches_for_none(tmp_path: Path) -> None:
    kept = tmp_path / "ca"
    tasks = authority(kept)
    tasks[0]["vars"]["ca_permitted_names"] = ["img1"]
    changed(begin(tmp_path / "first", tasks))
    assert leaf(kept, tmp_path, "DNS:img1")
    assert not leaf(kept, tmp_path, "IP:10.0.0.9")
    assert not leaf(kept, tmp_path, "IP:fd00::9")


def test_a_client_that_came_later_is_believed(tmp_path: Path) -> None:
    """By those who have the authority's certificate from before: its subject is a system-id, no server's name."""
    kept, place = tmp_path / "ca", tmp_path / "client"
    tasks = authority(kept)
    tasks[0]["vars"]["ca_permitted_names"] = ["k1.example.org"]
    given = {"ca_certificate_path": str(place), "ca_certificate_purpose": "client"}
    role = {"name": "agentless.cloud.ca", "tasks_from": "certificate"}
    more = {**tasks[0]["vars"], **given, "ca_certificate_subject": "k9.example.org"}
    tasks.append({"ansible.builtin.include_role": role, "vars": more})
    trusted = ["-e", f"__ca_trusted={kept}/ca.pem"]
    changed(begin(tmp_path / "first", tasks, *trusted))
    judge = ["openssl", "verify", "-no-CAfile", "-no-CApath", "-trusted", kept / "ca.pem", "-purpose"]
    for purpose, status in (("sslclient", 0), ("sslserver", 2)):
        command = [*judge, purpose, place / "certificate.pem"]
        assert subprocess.run(command, check=False, capture_output=True).returncode == status, purpose
    subject = openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", place / "certificate.pem")
    assert subject.strip() == "subject=CN=k9.example.org"
    assert changed(begin(tmp_path / "again", tasks, *trusted)) == 0


def test_an_authority_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "ca"
    kept.mkdir(mode=0o700)
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=agentless.cloud site CA of ours"]
    openssl("req", *made, "-keyout", kept / "ca.key", "-out", kept / "ca.pem")
    (kept / "ca.key").chmod(0o600)
    before = (kept / "ca.pem").read_bytes()
    assert changed(begin(tmp_path / "first", authority(kept))) == 0
    assert (kept / "ca.pem").read_bytes() == before


def test_an_authority_of_an_earlier_release_is_certified_again(tmp_path: Path) -> None:
    kept = tmp_path / "ca"
    kept.mkdir(mode=0o700)
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7300", "-subj", "/CN=agentless.cloud site CA"]
    openssl("req", *made, "-keyout", kept / "ca.key", "-out", kept / "ca.pem")
    (kept / "ca.key").chmod(0o600)
    key = (kept / "ca.key").read_bytes()
    assert changed(begin(tmp_path / "first", authority(kept))) == 1
    assert (kept / "ca.key").read_bytes() == key
    assert "Name Constraints" in openssl("x509", "-in", kept / "ca.pem", "-noout", "-text")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_clocks_are_compared_in_every_time_zone(tmp_path: Path, zone: str) -> None:
    written = yaml.safe_load((ROOT / "roles/common/tasks/preflight.yml").read_text())
    tasks = [task for task in written if task["name"] in ("Read the clock", "Check the clock")]
    assert len(tasks) == 2
    changed(begin(tmp_path / "play", tasks, "-e", '{"common_clock_tolerance": 30}', TZ=zone))
