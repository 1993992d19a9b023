# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody at the shells of both hosts would do for the same volumes, written as well as we know how.

``lvcreate`` for each volume (it makes one at a time) and one ``lvremove`` for all; one ``targetcli`` for all, which
saves its configuration once, at its end; ``virsh`` for each secret and each disk. The target has what ours has: CHAP,
one initiator alone, the volume's UUID as serial number, discards that reach the pool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

STEPS = ("create", "attach", "detach", "delete")
SECRET = "0123456789abcdef0123456789abcdef"
PREFERENCES = "set global auto_add_default_portal=false auto_save_on_exit=true auto_enable_tpgt=true\nexit\n"


@dataclass(frozen=True)
class Hand:
    """The scripts of each step.

    :param domain: the guest's UUID.
    :param disk: the XML of a disk that we attached; those by hand differ from it in nothing but names.
    :param portal: where the target listens.
    """

    storage: str
    compute: str
    domain: str
    disk: str
    portal: str

    @property
    def initiator(self) -> str:
        """Whom the compute host calls itself to targets."""
        return re.findall(r"<iqn name='(.*?)'", self.disk)[0]

    def files(self, ids: Sequence[str]) -> str:
        """What is written down on the compute host before anything is measured."""
        lines = ["mkdir -p /root/hand"]
        for place, key in enumerate(ids):
            usage = f"<usage type='iscsi'><target>{key}</target></usage>"
            secret = f"<secret ephemeral='no' private='yes'><uuid>{key}</uuid>{usage}</secret>"
            lines += [here(f"/root/hand/{key}.xml", self.xml(key, place)), here(f"/root/hand/{key}.secret", secret)]
        return "\n".join([*lines, f"printf %s {SECRET} >/root/hand/secret"])

    def scripts(self, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """For each step the hosts in their order, and what runs there."""
        made = "\n".join(f"lvcreate -q -y -V 1g -n {key} --thinpool agentless/thin" for key in ids)
        gone = "lvremove -q -y " + " ".join(f"agentless/{key}" for key in ids)
        return {
            "create": [(self.storage, made)],
            "attach": [(self.storage, targetcli(map(self.opened, ids))), (self.compute, each(self.plugged, ids))],
            "detach": [(self.compute, each(self.unplugged, ids)), (self.storage, targetcli(map(self.closed, ids)))],
            "delete": [(self.storage, gone)],
        }

    def opened(self, key: str) -> str:
        """A target for a volume, in targetcli's words."""
        store, tpg = f"/backstores/block/{key}", f"/iscsi/{name(key)}/tpg1"
        closed = "authentication=1 generate_node_acls=0 cache_dynamic_acls=0 demo_mode_write_protect=1"
        lines = [
            f"/backstores/block create {key} /dev/agentless/{key} wwn={key}",
            f"{store} set attribute emulate_tpu=1",
            f"/iscsi create {name(key)}",
            f"{tpg} set attribute {closed}",
            f"{tpg}/luns create {store}",
            f"{tpg}/acls create {self.initiator}",
            f"{tpg}/acls/{self.initiator} set auth userid=hand-{key} password={SECRET}",
            f"{tpg}/portals create {self.portal} 3260",
        ]
        return "\n".join(lines)

    @staticmethod
    def closed(key: str) -> str:
        """Neither target nor backstore."""
        return f"/iscsi delete {name(key)}\n/backstores/block delete {key}"

    def plugged(self, key: str) -> str:
        """The secret and the disk."""
        return (
            f"virsh -q secret-define /root/hand/{key}.secret\n"
            f"virsh -q secret-set-value {key} --file /root/hand/secret --plain\n"
            f"virsh -q attach-device {self.domain} /root/hand/{key}.xml --persistent"
        )

    def unplugged(self, key: str) -> str:
        """Neither disk nor secret."""
        device = f"virsh -q detach-device {self.domain} /root/hand/{key}.xml --persistent"
        return f"{device}\nvirsh -q secret-undefine {key}"

    def xml(self, key: str, place: int) -> str:
        """Our disk, with another volume."""
        changes = (
            (r"(<source [^>]*name=)'[^']*'", rf"\1'{name(key)}/0'"),
            (r"(<auth username=)'[^']*'", rf"\1'hand-{key}'"),
            (r"(<secret [^>]*uuid=)'[^']*'", rf"\1'{key}'"),
            (r"<serial>[^<]*<", f"<serial>{key}<"),
            (r"(<target dev=)'\w+'", rf"\1'sd{chr(ord('c') + place)}'"),
        )
        text = self.disk
        for pattern, new in changes:
            text, found = re.subn(pattern, new, text)
            if found != 1:
                raise SystemExit(f"The disk is not as this benchmark knows it ({pattern}):\n{self.disk}")
        return text


def name(key: str) -> str:
    """The target of a volume."""
    return f"iqn.2026-01.org.example.hand:{key}"


def targetcli(commands: Iterable[str]) -> str:
    """One call for all, which saves its configuration when it ends."""
    text = "\n".join(commands)
    return f"targetcli >/root/targetcli.log 2>&1 <<'END'\n{text}\nexit\nEND"


def each(script: Callable[[str], str], ids: Sequence[str]) -> str:
    """One after the other."""
    return "\n".join(script(key) for key in ids)


def here(path: str, text: str) -> str:
    """A line of shell that writes a file."""
    return f"cat >{path} <<'END'\n{text}\nEND"
