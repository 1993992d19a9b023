# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes that the host logs in to: where their device is, how it stands in the XML, and what is refused."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError, Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import (
    connections,
    host_initiator,
    iscsi_host,
    volume_xml,
)

ID = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
IQN = f"iqn.2026-01.x:b1.volume-{ID}"
ISCSI = {"protocol": "iscsi", "portal": "10.0.0.5:3260", "portals": ["10.0.0.5:3260", "[fd00::5]:3261"], "iqn": IQN}
PLAIN: dict[str, Any] = {"id": ID, "device": "vdb", "source": ISCSI, "user": ID, "secret": "canary"}
ONLY_V6 = {**ISCSI, "portals": ["[fd00::5]:3260"]}


@pytest.mark.parametrize(
    ("connection", "source", "portals", "path"),
    [
        ("host", ISCSI, ["10.0.0.5:3260"], f"/dev/disk/by-path/ip-10.0.0.5:3260-iscsi-{IQN}-lun-0"),
        ("host", ONLY_V6, ["[fd00::5]:3260"], f"/dev/disk/by-path/ip-fd00::5:3260-iscsi-{IQN}-lun-0"),
        (
            "multipath",
            ISCSI,
            ["10.0.0.5:3260", "[fd00::5]:3261"],
            "/dev/disk/by-id/dm-uuid-mpath-360014057a3d5c1e52b04c8e9d6b0c6f2",
        ),
        (
            "multipath",
            {**ISCSI, "portals": None},
            ["10.0.0.5:3260"],
            "/dev/disk/by-id/dm-uuid-mpath-360014057a3d5c1e52b04c8e9d6b0c6f2",
        ),
    ],
)
def test_the_device(connection: str, source: dict[str, Any], portals: list[str], path: str) -> None:
    """Under a name that no other volume ever has; the guest knows it by its serial, and no secret is in the XML."""
    volume = {**PLAIN, "connection": connection, "source": source}
    assert connections.portals(volume) == portals
    disk = volume_xml.element({**volume, "initiator": "iqn.2026-01.x:me"})
    assert (disk.get("type"), disk.find("source").attrib, list(disk.find("source"))) == ("block", {"dev": path}, [])
    assert disk.findtext("serial") == ID
    assert "canary" not in ElementTree.tostring(disk, encoding="unicode")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"connection": "fc"}, "connection is one of"),
        ({"source": {"protocol": "rbd", "pool": "p", "name": f"volume-{ID}", "monitors": []}}, "reached by 'rbd'"),
        ({"source": {**ISCSI, "iqn": f"iqn.2026-01.x:../volume-{ID}"}}, "name of a target"),
        ({"source": {**ISCSI, "portals": ["a b"]}}, "address"),
        ({"source": {**ISCSI, "iqn": IQN.replace("7a3d", "7a3e")}}, "not that of volume"),
    ],
)
def test_refused(wrong: dict[str, Any], said: str) -> None:
    """What cannot be meant becomes neither a path nor a disk."""
    with pytest.raises(ValueError, match=said):
        volume_xml.element({**PLAIN, "connection": "host", **wrong})


def test_the_record_of_open_iscsi(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret goes into the file, for root alone, and into no command; what else stands there stays."""
    monkeypatch.setattr(iscsi_host, "RECORDS", (str(tmp_path),))
    place = tmp_path / IQN / "fd00::5,3261,1"
    commands: list[list[str]] = []

    class Host(Context):
        def run(self, argv: Any, *_more: Any, **_options: Any) -> Any:
            commands.append(list(argv))
            place.mkdir(parents=True)
            text = "# BEGIN RECORD\nnode.name = x\nnode.session.auth.authmethod = None\n# END RECORD\n"
            (place / "default").write_text(text)

    login = {"user": ID, "secret": "canary = 1"}
    for _turn in range(2):
        iscsi_host.record(Host(), IQN, "[fd00::5]:3261", login, 5)
    assert commands == [["iscsiadm", "-m", "node", "-o", "new", "-T", IQN, "-p", "[fd00::5]:3261,1"]]
    assert (place / "default").stat().st_mode & 0o777 == 0o600
    assert (place / "default").read_text().splitlines() == [
        "# BEGIN RECORD",
        "node.name = x",
        "node.startup = automatic",
        "node.session.auth.authmethod = CHAP",
        f"node.session.auth.username = {ID}",
        "node.session.auth.password = canary = 1",
        "node.session.timeo.replacement_timeout = 5",
        "# END RECORD",
    ]
    with pytest.raises(BackendError, match="cannot be written"):
        iscsi_host.record(Host(), IQN, "[fd00::5]:3261", {"user": ID, "secret": "a\nnode.startup = manual"}, 5)


def test_nothing_by_qemu(tmp_path: Any) -> None:
    """A volume of QEMU's own client leaves no trace here."""
    ctx = Context(state_dir=str(tmp_path))
    assert not host_initiator.connect(ctx, ID, PLAIN)
    assert not host_initiator.disconnect(ctx, ID)
    host_initiator.resume(ctx, ID)
    host_initiator.grow(ctx, ID, ID, 1 << 30)
    assert list(tmp_path.iterdir()) == []
