# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a storage host answers never chooses what a guest or another host reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from ansible_collections.agentless.cloud.plugins.module_utils.volume import cephx, nfs
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, BadReply
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import sources

ROOT = Path(__file__).resolve().parents[3]
ID, OTHER = "7a3d5c1e-52b0-4c8e-9d6b-0c6f2f9b7a10", "0b6f2f9b-7a10-4c8e-9d6b-7a3d5c1e52b0"
IQN = f"iqn.2026-01.cloud.agentless:b.volume-{ID}"
WHO = "iqn.2026-01.x:k1"
ORDER = {"id": ID, "initiator": WHO}
ENTRIES: dict[str, dict[str, Any]] = {
    "lvm": {},
    "file": {"path": "/srv/volumes"},
    "nfs": {"path": "/srv/nfs"},
    "gluster": {"volume": "gv", "servers": ["g1", "fd00::7"]},
    "rbd": {"pool": "p", "user": "u"},
}
PORTALS = {"portal": "10.0.0.5:3260", "portals": ["10.0.0.5:3260"]}
TRUE: dict[str, dict[str, Any]] = {
    "lvm": {"protocol": "iscsi", **PORTALS, "iqn": IQN, "lun": 0},
    "file": {"protocol": "iscsi", **PORTALS, "iqn": IQN, "lun": 0},
    "nfs": {"protocol": "nfs", "host": "10.0.0.5", "path": f"/srv/nfs/volume-{ID}", "uid": nfs.owner(ORDER)},
    "gluster": {
        "protocol": "gluster",
        "hosts": ["g1:24007", "[fd00::7]:24007"],
        "volume": "gv",
        "path": f"volume-{ID}",
    },
    "rbd": {
        "protocol": "rbd",
        "pool": "p",
        "name": f"volume-{ID}",
        "monitors": ["10.0.0.8:3300"],
        "user": cephx.user(ID, WHO),
    },
}


def ask(driver: str, answer: dict[str, Any], *, recorded: str | None = None, **variables: Any) -> dict[str, Any]:
    """The source by that answer of a host at 10.0.0.5, whose backend is called ``b``."""
    known = {"ansible_host": "10.0.0.5", "volume_backends": [{"name": "b", "driver": driver, **ENTRIES[driver]}]}
    request = cast("Any", SimpleNamespace(hostvars={"vol1": {**known, **variables}}))
    backend = {"name": "b", "driver": recorded or driver}
    return sources.confirmed(request, "vol1", backend, ORDER, {"ok": True, "changed": True, **answer})


@pytest.mark.parametrize("driver", TRUE)
def test_the_truth(driver: str) -> None:
    assert ask(driver, TRUE[driver]) == TRUE[driver]


@pytest.mark.parametrize(
    ("driver", "lie"),
    [
        ("lvm", {"protocol": "file", "path": "/etc/shadow"}),
        ("lvm", {"iqn": IQN.replace(ID, OTHER)}),
        ("lvm", {"iqn": IQN.replace(":b.", ":c.")}),
        ("lvm", {"portal": "10.0.0.66:3260"}),
        ("lvm", {"portal": "10.0.0.5:22"}),
        ("lvm", {"portals": ["10.0.0.5:3260", "10.0.0.66:3260"]}),
        ("lvm", {"lun": 1}),
        ("lvm", {"lun": "0/../1"}),
        ("file", {"protocol": "nfs", "host": "10.0.0.5", "path": "/etc/shadow", "uid": 0}),
        ("file", {"path": "/srv/volumes"}),
        ("nfs", {"host": "10.0.0.66"}),
        ("nfs", {"path": f"/srv/nfs/volume-{OTHER}"}),
        ("nfs", {"path": "/etc/shadow"}),
        ("nfs", {"uid": 0}),
        ("gluster", {"hosts": ["10.0.0.66:24007"]}),
        ("gluster", {"volume": "theirs"}),
        ("gluster", {"path": f"volume-{OTHER}"}),
        ("rbd", {"pool": "theirs"}),
        ("rbd", {"name": f"volume-{OTHER}"}),
        ("rbd", {"user": "admin"}),
        ("rbd", {"monitors": []}),
        ("rbd", {"monitors": ["evil.example:3300"]}),
        ("rbd", {"monitors": ["10.0.0.8:3300"] * 17}),
        ("rbd", {"monitors": "10.0.0.8:3300"}),
        ("rbd", {"monitors": ["10.0.0.8:99999"]}),
        ("rbd", {"monitors": ["10.0.0.8:0"]}),
        ("rbd", {"monitors": ["10.0.0.8"]}),
        ("rbd", {"monitors": ["10.0.0.8:3300", None]}),
        ("rbd", {"monitors": ["10.0.0.8:3300", "evil.example:3300"]}),
        ("rbd", {"monitors": [{"10.0.0.8:3300": 1}]}),
        ("rbd", {"monitors": ["10.0.0.0/8:3300"]}),
        ("rbd", {"monitors": ["127.0.0.1:3300"]}),
        ("rbd", {"monitors": ["[::1]:6789"]}),
        ("rbd", {"monitors": ["0.0.0.0:3300"]}),
        ("rbd", {"monitors": ["169.254.169.254:80"]}),
        ("rbd", {"monitors": ["224.0.0.1:3300"]}),
        ("rbd", {"monitors": ["[fd00::8%;mon_host=10.0.0.66]:3300"]}),
        ("rbd", {"monitors": ["[fd00:0:0::8]:3300"]}),
        ("rbd", {"monitors": ["fd00::8:3300"]}),
    ],
)
def test_a_lie(driver: str, lie: dict[str, Any]) -> None:
    with pytest.raises(BadReply) as caught:
        ask(driver, {**TRUE[driver], **lie})
    assert caught.value.details == {"host": "vol1"}


@pytest.mark.parametrize("lie", [{"iqn": "\x1b[2J" * 100_000}, {"\x1b[2J" * 100_000: 1}, {"\n": ["\u202e"] * 1000}])
def test_a_lie_is_told_in_one_short_line(lie: dict[str, Any]) -> None:
    with pytest.raises(BadReply) as caught:
        ask("lvm", {**TRUE["lvm"], **lie})
    assert caught.value.msg.isprintable()
    assert len(caught.value.msg) < 1000


@pytest.mark.parametrize(
    ("variables", "answer", "portal"),
    [
        ({"volume_address": "10.1.0.5"}, "10.1.0.5:3260", "10.1.0.5:3260"),
        ({"volume_address": "10.1.0.5"}, "10.0.0.5:3260", None),
        ({"agentless_address": "10.2.0.5", "ansible_host": "bastion"}, "10.2.0.5:3260", "10.2.0.5:3260"),
        ({"volume_address": "fd00:0::5", "volume_port": 860}, "[fd00::5]:860", "[fd00::5]:860"),
        ({"ansible_host": "localhost"}, "127.0.0.1:3260", "127.0.0.1:3260"),
        ({"ansible_host": "localhost"}, "127.0.0.2:3260", None),
        ({"ansible_host": "nobody.invalid"}, "127.0.0.1:3260", None),
    ],
)
def test_the_address_is_the_inventorys(variables: dict[str, Any], answer: str, portal: str | None) -> None:
    said = {**TRUE["lvm"], "portal": answer, "portals": [answer]}
    if portal is None:
        with pytest.raises(BadReply, match="volume_address"):
            ask("lvm", said, **variables)
    else:
        assert ask("lvm", said, **variables)["portal"] == portal


def test_further_portals_and_another_name() -> None:
    both = ["10.0.0.5:3260", "10.1.0.5:3260"]
    said = {**TRUE["lvm"], "portals": both, "iqn": f"iqn.2020-01.org.example:b.volume-{ID}"}
    given = {"volume_more_addresses": ["10.1.0.5"], "volume_iqn": "iqn.2020-01.org.example"}
    assert ask("lvm", said, **given)["portals"] == both
    several = ["10.0.0.8:3300", "[fd00::8]:6789"]
    assert ask("rbd", {**TRUE["rbd"], "monitors": several})["monitors"] == several
    named = [{"name": "b", "driver": "rbd", "pool": "p", "monitors": ["10.0.0.9:3300"]}]
    with pytest.raises(BadReply):
        ask("rbd", TRUE["rbd"], volume_backends=named)


def test_the_driver_is_the_inventorys() -> None:
    """One that a host has said once would open ways that its volumes never had."""
    with pytest.raises(BadReply, match="has said that its backend 'b' has the driver 'nfs'"):
        ask("lvm", TRUE["nfs"], recorded="nfs")


@pytest.mark.parametrize("driver", ["nfs", "gluster", "rbd"])
def test_an_inventory_that_does_not_say(driver: str) -> None:
    with pytest.raises(BadInput, match="volume_backends must stand where tasks see it"):
        ask(driver, TRUE[driver], volume_backends=None)


def test_the_defaults_are_those_of_the_role() -> None:
    given = yaml.safe_load((ROOT / "roles/volume/defaults/main.yml").read_text())
    assert (given["volume_iqn"], given["volume_port"]) == (sources.IQN, sources.PORT)
