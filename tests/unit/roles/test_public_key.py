# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host gives the site's authority a public key; whatever else it says, openssl on the controller never reads it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/ca"
PATTERN = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__ca_one_public_key"]
BEGIN, END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
LINE = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq0jv5cXb0V8m3JY1m0c0p2m1p3Jt"


def public(*options: str) -> str:
    key = subprocess.run(["openssl", "genpkey", *options], check=True, capture_output=True).stdout
    shown = subprocess.run(["openssl", "pkey", "-pubout"], input=key, check=True, capture_output=True).stdout
    return shown.decode().rstrip("\n")  # as the module command returns it


@pytest.mark.parametrize(
    "options",
    [
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ["-algorithm", "ED25519"],
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ],
)
def test_keys(options: list[str]) -> None:
    assert re.match(PATTERN, public(*options))


@pytest.mark.parametrize(
    "said",
    [
        "",
        LINE,
        f"{BEGIN}\n{END}",
        f"{BEGIN}\n{LINE}",
        f"{BEGIN}\n{LINE}\n{END}\n",
        f"{BEGIN}\n{LINE}\n{END}\n{BEGIN}\n{LINE}\n{END}",
        f"text before\n{BEGIN}\n{LINE}\n{END}",
        f"{BEGIN}\n{LINE}\n{END}\ntext after",
        f"{BEGIN}\nProc-Type: 4,ENCRYPTED\n\n{LINE}\n{END}",
        f"{BEGIN}\n{LINE}\x1b[2J\n{END}",
        f"{BEGIN}\n" + f"{LINE}\n" * 33 + END,
        f"{BEGIN}\n{'A' * 77}\n{END}",
        f"{BEGIN}\r\n{LINE}\r\n{END}",
        f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{LINE}\n-----END ENCRYPTED PRIVATE KEY-----",
        f"-----BEGIN CERTIFICATE-----\n{LINE}\n-----END CERTIFICATE-----",
        "{{ lookup('ansible.builtin.file', '/etc/passwd') }}",
        "/etc/ssl/private/key.pem",
    ],
)
def test_what_is_none(said: str) -> None:
    assert not re.match(PATTERN, said)


def test_it_is_looked_at_first() -> None:
    """Before any task on the controller has it."""
    tasks = yaml.safe_load((ROLE / "tasks/issue.yml").read_text())
    uses = [place for place, task in enumerate(tasks) if "__ca_public" in str(task)]
    first = tasks[uses[0]]
    assert first["ansible.builtin.assert"]["that"] == "__ca_public.stdout is match(__ca_one_public_key)"
    assert first["when"] == "not ansible_check_mode", "where nothing is certified either"
    assert len(uses) > 1
