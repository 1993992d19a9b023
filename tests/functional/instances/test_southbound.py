# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OVN's southbound database, for a stranger, for a host without a certificate, and for k2 with its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from agentless_lab import lab

from .cloud import Cloud

pytestmark = pytest.mark.lab

OWN, STORE = "/etc/agentless/compute", "/etc/agentless/image_store"
OVN_CA, SITE_CA = "/etc/agentless/ovn-ca.pem", "/etc/agentless/ca.pem"
PLUG = "plug"  # a port of the network whose interface is on k1
TUNNEL = "--id=@e create Encap type=vxlan ip=192.0.2.9"
# What OVN itself refuses to a host that is another one.
REFUSED = {
    "a chassis goes": "chassis-del k1",
    "a chassis is another's": "set Chassis k1 external_ids:fallen=yes",
    "a chassis of nobody's": f"{TUNNEL} chassis_name=evil -- create Chassis name=evil encaps=@e",
    "a tunnel to another's": f"{TUNNEL} chassis_name=k1 -- add Chassis k2 encaps @e",
    "a tunnel moves": "set Encap $({sbctl} --bare --columns=_uuid find Encap chassis_name=k1) ip=192.0.2.9",
    "a private row goes": "destroy Chassis_Private k1",
    "a private row is another's": "set Chassis_Private k1 nb_cfg=99",
    "a port goes": f"destroy Port_Binding {PLUG}",
    "a port's addresses": f"set Port_Binding {PLUG} mac=unknown",
    "the rules": "create RBAC_Role name=all",
    "who listens": "set-connection ptcp:6643",
    "without rules": 'set Connection . role=\\"\\"',
}


def sbctl(cloud: Cloud, place: str = OWN, authority: str = OVN_CA, remote: str = "ssl") -> str:
    """The beginning of a command on a host that asks the southbound database on k1."""
    central = lab.find(cloud.name, "k1").address
    files = f"--private-key={place}/key.pem --certificate={place}/certificate.pem --ca-cert={authority}"
    return f"ovn-sbctl --no-leader-only --timeout=10 --db={remote}:{central}:6642 {files}"


def said(cloud: Cloud, line: str, host: str = "k2") -> tuple[int, str]:
    """The exit status and output of a line on a host."""
    command = [*lab.ssh(lab.find(cloud.name, host)), f"({line}) 2>&1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def waits(cloud: Cloud, host: str, line: str, want: str, seconds: int = 30) -> None:
    """Wait until a line on a host prints this."""
    end = time.monotonic() + seconds
    while (found := cloud.host(host, line).strip()) != want:
        assert time.monotonic() < end, f"{line}: {found}, not {want}"
        time.sleep(0.5)


WHERE = f"c=$(ovn-sbctl --bare --columns=chassis list Port_Binding {PLUG}); [ -z $c ] || "
WHERE += "ovn-sbctl --bare --columns=name list Chassis $c"  # prints the name of the chassis that the port is bound to


def on_hosts(cloud: Cloud, *plays: tuple[str, list[dict[str, Any]]]) -> Any:
    """Run tasks on hosts, with facts as in the playbook site."""
    facts = {"hosts": "cloud_compute", "gather_facts": True, "tasks": []}
    return cloud.run(
        [facts, *({"hosts": hosts, "gather_facts": False, "tasks": tasks} for hosts, tasks in plays)],
        ANSIBLE_PIPELINING="true",
    )


def role(name: str, tasks: str = "main", **variables: Any) -> dict[str, Any]:
    included = {"name": f"agentless.cloud.{name}", "tasks_from": tasks}
    return {"ansible.builtin.include_role": included, "vars": variables}


@pytest.fixture
def plugged(cloud: Cloud) -> Iterator[Cloud]:
    """The cloud with a port that is plugged on k1."""
    cloud.host(
        "k1",
        f"ovn-nbctl ls-add {PLUG} -- lsp-add {PLUG} {PLUG} -- lsp-set-addresses {PLUG} 02:00:00:00:00:09 && "
        f"ovs-vsctl add-port br-int {PLUG} -- set Interface {PLUG} type=internal external_ids:iface-id={PLUG}",
    )
    try:
        waits(cloud, "k1", WHERE, "k1")
        yield cloud
    finally:
        cloud.host("k1", f"ovs-vsctl del-port br-int {PLUG}; ovn-nbctl ls-del {PLUG}")


def test_a_stranger_does_not_reach_it(cloud: Cloud) -> None:
    """This machine is no compute host of the inventory. Without the rules it would get as far as TLS."""
    central = (lab.find(cloud.name, "k1").address, 6642)
    with pytest.raises(TimeoutError):
        socket.create_connection(central, timeout=3)
    assert said(cloud, f"timeout 3 bash -c '</dev/tcp/{central[0]}/{central[1]}'")[0] == 0, "a compute host does"
    try:
        cloud.host("k1", "systemctl stop agentless-network-firewall.service; nft delete table inet agentless_network")
        socket.create_connection(central, timeout=3).close()
    finally:
        cloud.host("k1", "systemctl restart agentless-network-firewall.service")
    with pytest.raises(TimeoutError):
        socket.create_connection(central, timeout=3)


def test_without_a_certificate_it_says_nothing(cloud: Cloud) -> None:
    """Neither in plain TCP, nor to one who signed for himself, nor to one whom the site's own authority knows."""
    forged = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=k1"
    cloud.host("k2", f"mkdir -p /tmp/forged && {forged} -keyout /tmp/forged/key.pem -out /tmp/forged/certificate.pem")
    assert said(cloud, f"{sbctl(cloud)} show")[0] == 0, "with one it does"
    for line in (
        f"{sbctl(cloud, remote='tcp')} show",
        f"{sbctl(cloud, '/tmp/forged')} show",
        f"{sbctl(cloud, STORE)} show",
    ):
        code, text = said(cloud, line)
        assert code != 0, line
        assert "Chassis" not in text


def test_nobody_else_passes_for_it(cloud: Cloud) -> None:
    """OVN looks at no names, so that no other host may have a server's certificate of the authority it trusts."""
    verify = f"openssl verify -purpose sslserver -no-CAfile -no-CApath -trusted {OVN_CA}"
    assert said(cloud, f"{verify} /etc/agentless/network/certificate.pem", "k1")[0] == 0
    for place in (OWN, STORE):
        assert said(cloud, f"{verify} {place}/certificate.pem")[0] != 0, place
    assert said(cloud, f"{verify.replace(OVN_CA, SITE_CA)} {STORE}/certificate.pem")[0] == 0, "it is one, of the other"
    subject = "openssl x509 -noout -subject -nameopt multiline -in"
    for host in ("k1", "k2"):
        assert f"commonName                = {host}\n" in cloud.host(host, f"{subject} {OWN}/certificate.pem")
        assert cloud.host(host, "cat /etc/openvswitch/system-id.conf").strip() == host
        assert cloud.host(host, f"stat -c %a {OWN}/key.pem").strip() == "600"


def test_a_host_changes_no_row_of_another(plugged: Cloud) -> None:
    own = sbctl(plugged)
    assert said(plugged, f"{own} set Chassis k2 external_ids:mine=yes")[0] == 0, "its own it may"
    lists = ("--columns=name,external_ids,encaps list Chassis", "list Encap", "list RBAC_Role", "get-connection")
    rows = " && ".join(f"ovn-sbctl {each}" for each in lists)
    before = plugged.host("k1", rows)
    for what, line in REFUSED.items():
        code, text = said(plugged, f"{own} {line.format(sbctl=own)}")
        assert code != 0, what
        assert "permission error" in text, (what, text)
    assert plugged.host("k1", rows) == before


def test_a_port_that_a_host_took_goes_back(plugged: Cloud) -> None:
    """OVN lets each host say where a port is (roles/network/README.md); the host where it is plugged says it again."""
    own = sbctl(plugged)
    taken = f"{own} set Port_Binding {PLUG} chassis=$({own} --bare --columns=_uuid find Chassis name=k2)"
    assert said(plugged, taken)[0] == 0, "OVN has learned to refuse it: say so in the README and in docs/security.md"
    waits(plugged, "k1", WHERE, "k1", seconds=10)
    # What northd wrote stays northd's.
    said(plugged, f"{own} set Port_Binding {PLUG} options:requested-chassis=k2")
    waits(plugged, "k1", f"ovn-sbctl --bare --columns=options list Port_Binding {PLUG}", "", seconds=10)


def test_two_hosts_get_no_certificate_for_one_name(cloud: Cloud) -> None:
    """Nor does one that would take the name of another, whoever told it to."""
    played = on_hosts(cloud, ("k2", [role("compute", "preflight", compute_system_id="k1")]))
    assert played.returncode != 0
    assert 'k2 would be "k1" for OVN' in played.output
    assert "no other compute host has: k1, k1" in " ".join(played.output.split())
    played = on_hosts(cloud, ("k2", [role("compute", "preflight", compute_system_id="k1\nCN = k1")]))
    assert played.returncode != 0


def test_renewed_certificates_are_taken_up(cloud: Cloud) -> None:
    """Of the central and of a chassis, without a restart."""
    central = lab.find(cloud.name, "k1").address
    serial = "openssl x509 -noout -serial"
    files = f"-cert {OWN}/certificate.pem -key {OWN}/key.pem"
    served = f"openssl s_client -connect {central}:6642 {files} </dev/null 2>/dev/null | {serial}"
    held = f"{serial} -in {OWN}/certificate.pem"
    process = "systemctl show --property=MainPID ovn-controller ovn-ovsdb-server-sb"
    before = [cloud.host(*look) for look in (("k2", served), ("k2", held), ("k1", process), ("k2", process))]
    early = {"ca_certificate_days": 398, "ca_renew_days": 397, "__network_user": "root", "__compute_ovn_user": "root"}
    played = on_hosts(cloud, ("k1", [role("network", "tls", **early)]), ("k2", [role("compute", "tls", **early)]))
    assert played.returncode == 0, played.output
    cloud.host("k1", "ovs-appctl -t /run/ovn/ovnsb_db.ctl ovsdb-server/reconnect")
    waits(cloud, "k2", "ovn-appctl -t ovn-controller connection-status", "connected")
    after = [cloud.host(*look) for look in (("k2", served), ("k2", held), ("k1", process), ("k2", process))]
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, True, False, False]


def test_a_site_of_plain_tcp_goes_over(plugged: Cloud) -> None:
    """Chassis that had other names get theirs, and ports are bound as they were."""
    central = lab.find(plugged.name, "k1").address
    plugged.host(
        "k1",
        f"ovn-sbctl set-connection read-write ptcp:6642:{central} -- del-ssl; nft delete table inet agentless_network",
    )
    for host in ("k1", "k2"):
        plugged.host(
            host,
            f"echo old-{host} >/etc/openvswitch/system-id.conf; ovs-vsctl del-ssl -- set Open_vSwitch . "
            f"external_ids:system-id=old-{host} external_ids:ovn-remote=tcp:{central}:6642",
        )
    plugged.host("k1", "ovn-sbctl chassis-del k1; ovn-sbctl chassis-del k2")
    for host in ("k1", "k2"):
        plugged.host(host, "ovn-appctl -t ovn-controller inc-engine/recompute")
    names = "ovn-sbctl --bare --columns=name list Chassis | grep . | sort | xargs"
    waits(plugged, "k1", names, "old-k1 old-k2")
    waits(plugged, "k1", WHERE, "old-k1")
    played = on_hosts(plugged, ("k1", [role("network")]), ("cloud_compute", [role("compute")]))
    assert played.returncode == 0, played.output[-4000:]
    assert plugged.host("k1", names).strip() == "k1 k2"
    waits(plugged, "k1", WHERE, "k1")
    for host in ("k1", "k2"):
        tunnels = "ovs-vsctl --bare --columns=error find Interface type=geneve"
        assert plugged.host(host, f"systemctl restart openvswitch-switch; {tunnels}").strip() == ""
    waits(plugged, "k1", names, "k1 k2")
    with pytest.raises(TimeoutError):
        socket.create_connection((central, 6642), timeout=3)
