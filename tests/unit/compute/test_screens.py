# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Screens that earlier releases showed to the network: seen as what they are, and gone at the next start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context
from ansible_collections.agentless.cloud.plugins.module_utils.compute import connection, domains, host_initiator

ID = "6f0d7c1e-52b0-4c8e-9d6b-0c6f2f9b7a10"
NAMESPACE = connection.NAMESPACE
OLD = "<graphics type='vnc' port='-1' listen='192.0.2.21'><listen type='address' address='192.0.2.21'/></graphics>"
# what the definition has, and whether the network sees it
SCREENS = {
    "none": ("", False),
    "an address": (OLD, True),
    "no address": ("<graphics type='vnc' port='5900'/>", True),
    "every address": ("<graphics type='spice'><listen type='address' address='0.0.0.0'/></graphics>", True),
    "a network": ("<graphics type='vnc'><listen type='network' network='default'/></graphics>", True),
    "a socket file": ("<graphics type='vnc'><listen type='socket' socket='/run/x'/></graphics>", False),
    "a socket file as of old": ("<graphics type='vnc' socket='/run/x'/>", False),
    "nobody": ("<graphics type='spice'><listen type='none'/></graphics>", False),
    "no listener at all": ("<graphics type='egl-headless'/>", False),
}


class Domain:
    """A domain that libvirt knows; what is defined over it and what was done stand in ``log``."""

    def __init__(self, screens: str, *, active: bool = False) -> None:
        self.text = (
            f"<domain><name>{ID}</name><uuid>{ID}</uuid>"
            f"<metadata><a:instance xmlns:a='{NAMESPACE}' id='{ID}'/></metadata>"
            f"<devices>{screens}<video><model type='virtio'/></video></devices></domain>"
        )
        self.active = active
        self.log: list[str] = []

    def XMLDesc(self, _flags: int = 0) -> str:
        return self.text

    def isActive(self) -> bool:
        return self.active

    def state(self) -> tuple[int, int]:
        return (connection.libvirt.VIR_DOMAIN_RUNNING, 1)

    def create(self) -> None:
        self.log.append("create")

    def destroy(self) -> None:
        self.log.append("destroy")
        self.active = False

    def defineXML(self, text: str) -> Domain:
        self.log.append("define")
        self.text = text
        return self


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have libvirt know a domain with these screens."""

    def make(screens: str, *, active: bool = False) -> Domain:
        domain = Domain(screens, active=active)
        flags = ("XML_INACTIVE", "PAUSED_IOERROR", "PAUSED_USER")
        states = ("RUNNING", "BLOCKED", "PAUSED", "SHUTDOWN", "SHUTOFF", "CRASHED", "PMSUSPENDED")
        values = {f"VIR_DOMAIN_{word}": n for n, word in enumerate((*flags, *states))}
        monkeypatch.setattr(connection, "libvirt", SimpleNamespace(**values, libvirtError=RuntimeError))
        monkeypatch.setattr(connection, "connect", lambda: domain)
        monkeypatch.setattr(connection, "require", lambda _key: domain)
        monkeypatch.setattr(connection, "find", lambda _key: domain)
        monkeypatch.setattr(host_initiator, "resume", lambda *_args: None)
        return domain

    return make


@pytest.mark.parametrize("case", SCREENS)
def test_a_start_takes_them_away(case: str, known: Any, tmp_path: Path) -> None:
    """Only what the network sees goes; the graphics card and our own record stay."""
    text, seen = SCREENS[case]
    domain = known(text)
    assert domains.start(Context(state_dir=str(tmp_path)), {"id": ID})["changed"] is True
    assert domain.log == (["define", "create"] if seen else ["create"])
    tree = ElementTree.fromstring(domain.text)
    assert len(tree.findall("devices/graphics")) == (0 if seen or not text else 1)
    assert tree.find("devices/video") is not None
    assert connection._OWNER.search(domain.text.replace("\n", "")).group(1) == ID  # type: ignore[union-attr]


def test_a_reboot_takes_them_away(known: Any, tmp_path: Path) -> None:
    """Since it starts the guest anew, with the definition as it is now."""
    domain = known(OLD, active=True)
    domains.reboot(Context(state_dir=str(tmp_path)), {"id": ID, "hard": True})
    assert domain.log == ["destroy", "define", "create"]


def test_a_running_guest_is_left_alone(known: Any, tmp_path: Path) -> None:
    """It is not restarted for its screen, and not said to have changed, however often it is asked for."""
    domain = known(OLD, active=True)
    for _again in range(2):
        assert domains.start(Context(state_dir=str(tmp_path)), {"id": ID}) == {"changed": False, "state": "running"}
    assert domain.log == []


@pytest.mark.parametrize("case", SCREENS)
def test_inspect_says_which_are_seen(case: str, known: Any, tmp_path: Path) -> None:
    text, seen = SCREENS[case]
    known(text)
    found = domains.inspect(Context(state_dir=str(tmp_path)), {"ids": [ID]})["instances"][ID]
    assert bool(found["screens"]) is seen
