# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes in the domain's XML: sources, what is refused, and what must never be in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils import initiator
from ansible_collections.agentless.cloud.plugins.module_utils.compute import volume_xml

ID = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
OTHER = ID.replace("7", "8")
ISCSI = {"protocol": "iscsi", "portal": "10.0.0.5:3260", "iqn": f"iqn.2026-01.x:volume-{ID}", "lun": 0}
PLAIN: dict[str, Any] = {"id": ID, "serial": ID, "device": "vdb", "source": ISCSI}


@pytest.mark.parametrize(
    ("source", "name", "hosts"),
    [
        (ISCSI, f"iqn.2026-01.x:volume-{ID}/0", [("10.0.0.5", "3260")]),
        ({**ISCSI, "portal": "[fd00::5]:3260"}, f"iqn.2026-01.x:volume-{ID}/0", [("fd00::5", "3260")]),
        (
            {"protocol": "rbd", "pool": "p", "name": f"volume-{ID}", "monitors": ["m1:6789", "m2"]},
            f"p/volume-{ID}",
            [("m1", "6789"), ("m2", None)],
        ),
        (
            {"protocol": "gluster", "volume": "gv", "path": f"volume-{ID}", "hosts": ["g1:24007"]},
            f"gv/volume-{ID}",
            [("g1", "24007")],
        ),
        (
            {"protocol": "nfs", "host": "10.0.0.5", "path": f"/srv/v/volume-{ID}", "uid": 1 << 30},
            f"/srv/v/volume-{ID}",
            [("10.0.0.5", None)],
        ),
    ],
)
def test_sources(source: dict[str, Any], name: str, hosts: list[tuple[str, str | None]]) -> None:
    """Each protocol as libvirt writes it."""
    made = volume_xml.element({**PLAIN, "source": source}).find("source")
    assert made.get("name") == name
    assert [(host.get("name"), host.get("port")) for host in made.iterfind("host")] == hosts


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "x"}, "not the UUID"),
        ({"id": ID.upper()}, "not the UUID"),
        ({"serial": OTHER}, "serial"),
        ({"device": "vdb'/>"}, "name of a device"),
        ({"device": "hda"}, "name of a device"),
        ({"source": {**ISCSI, "iqn": f"iqn.2026-01.x:volume-{OTHER}"}}, "not that of volume"),
        ({"source": {"protocol": "ftp", "name": ID}}, "reached by"),
        ({"source": {"protocol": "file", "path": f"/a/../{ID}"}}, "plain absolute"),
        ({"source": {**ISCSI, "portal": "a b"}}, "address"),
        ({"cache": "fast"}, "cache"),
        ({"cache": "unsafe"}, "cache is one of none"),
        ({"cache": "writeback", "multiattach": True}, "with multiattach"),
        ({"discard": "yes"}, "discard"),
        ({"detect_zeroes": "yes"}, "detect_zeroes"),
        ({"detect_zeroes": "unmap", "discard": "ignore"}, "needs discard"),
        ({"iothread": 9}, "from 1 to 8"),
        ({"iotune": {"total_iops_sec": 1, "read_iops_sec": 1}}, "goes with neither"),
        ({"iotune": {"total_iops_sec_max": 1}}, "needs total_iops_sec"),
        ({"iotune": {"total_iops_sec": 1, "total_iops_sec_max_length": 1}}, "needs total_iops_sec_max"),
        ({"iotune": {"speed": 1}}, "there is no speed"),
        ({"iotune": {"total_iops_sec": -1}}, "below 0"),
        ({"iotune": {"size_iops_sec": 1}}, "needs a limit"),
        ({"device": "sdb", "iothread": 1}, "io threads"),
    ],
)
def test_refused(wrong: dict[str, Any], said: str) -> None:
    """What cannot be meant never becomes a disk."""
    with pytest.raises(ValueError, match=said):
        volume_xml.element({**PLAIN, **wrong})


def test_no_secret_in_the_text() -> None:
    """Only the secret's name is."""
    text = ElementTree.tostring(volume_xml.element({**PLAIN, "user": ID, "secret": "canary"}), encoding="unicode")
    assert "canary" not in text
    assert volume_xml.secret_id(ID) in text


def test_who_a_host_is_at_ceph_and_nfs() -> None:
    """The user that the export made, with a secret of another name than that of a target; an NFS user by its number."""
    rbd = {"protocol": "rbd", "pool": "p", "name": f"volume-{ID}", "monitors": ["m1:3300"], "user": "agentless-x"}
    nfs = {"protocol": "nfs", "host": "h", "path": f"/srv/v/volume-{ID}", "uid": 1234567890}
    auth = volume_xml.element({**PLAIN, "user": ID, "source": rbd}).find("source/auth")
    assert auth.get("username") == "agentless-x"
    assert auth.find("secret").attrib == {"type": "ceph", "uuid": volume_xml.secret_id(ID, "ceph")}
    assert volume_xml.secret_ids(ID) == {volume_xml.secret_id(ID), volume_xml.secret_id(ID, "ceph")}
    identity = volume_xml.element({**PLAIN, "source": nfs}).find("source/identity")
    assert identity.attrib == {"user": "+1234567890", "group": "+1234567890"}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("InitiatorName=iqn.1993-08.org.debian:01:abc\n", "iqn.1993-08.org.debian:01:abc"),
        ("# InitiatorName=iqn.1993-08.no\nInitiatorName = iqn.1993-08.yes:1\n", "iqn.1993-08.yes:1"),
        ("GenerateName=yes\n", None),
        (None, None),
    ],
)
def test_initiator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, want: str | None) -> None:
    """The system's name where it has one, else one of our own."""
    monkeypatch.setattr(initiator, "identity", lambda create: ID)
    path = tmp_path / "name"
    if text is not None:
        path.write_text(text)
    assert initiator.initiator(str(path)) == (want or f"iqn.2026-01.cloud.agentless:{ID}")
