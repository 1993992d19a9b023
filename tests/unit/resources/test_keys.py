# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Public keys: what is one, and its fingerprint against that of ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.resources.keypairs import fingerprint, public_key
from tests.unit.resources.cloud import KEY

BODY = KEY.split(" ")[1]


@pytest.mark.parametrize("kind", [["ed25519"], ["rsa", "-b", "2048"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "521"]])
def test_keys_of_ssh_keygen(tmp_path: Path, kind: list[str]) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "ada l", "-f", str(file), "-t", *kind], check=True)
    key = public_key("public_key", file.with_suffix(".pub").read_text())
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], capture_output=True, text=True, check=True).stdout
    assert fingerprint(key) == listed.split()[1]
    with pytest.raises(BadInput):
        public_key("public_key", file.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        BODY,
        f"ssh-rsa {BODY}",
        f"{KEY}\n{KEY}",
        f"{KEY}\u2028{KEY}",
        f"{KEY}\r",
        f'command="id" {KEY}',
        f"ssh-dss {BODY}",
        f"ssh-ed25519 {BODY[:-3]}!!!",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        f"ssh-ed25519  {BODY}",
        f"ssh-ed25519 {BODY} a\x00b",
    ],
)
def test_what_is_no_key(text: str) -> None:
    if text == f"{KEY}\r":  # only the end of the line
        assert public_key("public_key", text) == KEY
        return
    with pytest.raises(BadInput):
        public_key("public_key", text)
