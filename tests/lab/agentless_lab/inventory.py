# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentless_lab.host import Host
from agentless_lab.machine import UML


def ssh_options(directory: Path) -> list[str]:
    """Options by which ssh trusts the hosts of a lab and only them."""
    return [
        "-o",
        f"UserKnownHostsFile={directory / 'known_hosts'}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "ConnectTimeout=10",
    ]


def render(
    directory: Path,
    hosts: Sequence[Host],
    *,
    groups: Mapping[str, Sequence[str]],
    variables: Mapping[str, Mapping[str, Any]],
) -> str:
    """Write the inventory as YAML, every scalar in JSON form, which YAML reads alike."""
    lines = ["# SPDX-License-Identifier: GPL-3.0-or-later", "all:", "  vars:"]
    common = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(directory / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(ssh_options(directory)),
        "ansible_python_interpreter": "/usr/bin/python3",
        # The authority of a lab comes and goes with it; the one in the home is of somebody's own site.
        "ca_directory": str(directory / "ca"),
    }
    lines += [f"    {name}: {json.dumps(value)}" for name, value in common.items()]
    lines.append("  hosts:")
    for host in hosts:
        lines.append(f"    {host.name}:")
        values = {"ansible_host": host.address, **_lacks(host), **variables.get(host.name, {})}
        lines += [f"      {name}: {json.dumps(value)}" for name, value in values.items()]
    if groups:
        lines.append("  children:")
    for group, members in groups.items():
        lines += [f"    {group}:", "      hosts:"]
        lines += [f"        {member}: {{}}" for member in members]
    return "\n".join(lines) + "\n"


def _lacks(host: Host) -> dict[str, Any]:
    """What roles have to leave out: Debian's kernel for User-Mode Linux has nftables for bridges alone."""
    if host.machine and host.machine.kind == UML:
        return {"volume_firewall": False, "network_firewall": False}
    return {}
