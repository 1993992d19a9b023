# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts themselves: they come up, know each other, and go without a trace, however they ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from agentless_lab import cache, cgroups, counting, guest, lab, machine, network, qemu, rootfs, uml  # noqa: E402
from agentless_lab.host import wait  # noqa: E402
from agentless_lab.system import LabError, state_root, write  # noqa: E402

NAME = f"test-{os.getpid()}"
FIGURES = float(os.environ.get("AGENTLESS_FIGURES", "1"))
# An emulated machine boots for minutes; the lab treats it as it treats User-Mode Linux, which every run has.
LONG = pytest.mark.skipif(FIGURES < 2, reason="minutes where it is emulated: AGENTLESS_FIGURES=2")
CUTS = 5 if FIGURES > 1 else 2


def call(*words: str) -> str:
    """Run the command as a person would."""
    done = subprocess.run([str(HERE / "lab"), *words], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def traces(name: str) -> list[str]:
    """Everything by which this machine could still know a lab."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        found = [line for line in mounts if f"/agentless-lab/{name}/" in line]
    found += [entry.name for entry in Path("/sys/class/net").iterdir() if network.owner(entry.name) == name]
    found += sorted(cgroups.names(name))
    found += [str(entry) for entry in state_root().glob(f"{name}*")]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"/agentless-lab/{name}/".encode() in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


def supervisors(name: str, host: str) -> list[int]:
    """The systemd-nspawn processes of a host."""
    group = cgroups.name(name, host)
    return [
        pid
        for pid in cgroups.processes(group)
        if b"systemd-nspawn" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    ]


@pytest.fixture(scope="module")
def up() -> Iterator[dict[str, Any]]:
    """Two hosts."""
    try:
        arguments = ["--group", "pair=a,b", "--var", "a:colour=red", "--var", "b:number=7"]
        yield json.loads(call("up", "--name", NAME, "--hosts", "a,b", *arguments, "--json"))
    finally:
        call("down", "--name", NAME)


@pytest.mark.lab
def test_hosts_are_whole_machines(up: dict[str, Any]) -> None:
    assert [host["running"] for host in up["hosts"]] == [True, True]
    assert call("exec", NAME, "a", "--", "systemctl is-system-running --wait").strip() == "running"
    assert call("exec", NAME, "a", "--", "hostname").strip() == "a"
    identities = {call("exec", NAME, host, "--", "cat /etc/machine-id") for host in ("a", "b")}
    assert len(identities) == 2


@pytest.mark.lab
def test_hosts_reach_each_other_by_name(up: dict[str, Any]) -> None:
    place = Path(up["inventory"]).parent
    options = ["-i", up["key"], "-o", f"UserKnownHostsFile={place / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
    through = " ".join(["ssh", *options, "-W", "[%h]:%p", f"root@{up['hosts'][0]['address']}"])
    command = ["ssh", *options, "-o", f"ProxyCommand={through}", "root@b", "hostname"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "b"


@pytest.mark.lab
def test_the_cache_knows_what_running_hosts_lie_on(up: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")  # the mounts alone tell
    assert {rootfs.path("full").name, rootfs.pool().name} <= cache.in_use()


@pytest.mark.lab
def test_inventory_says_what_was_asked(up: dict[str, Any]) -> None:
    command = ["ansible-inventory", "-i", up["inventory"], "--list"]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert found["pair"]["hosts"] == ["a", "b"]
    assert found["_meta"]["hostvars"]["a"]["colour"] == "red"
    assert found["_meta"]["hostvars"]["b"]["number"] == 7


@pytest.mark.lab
def test_services_are_left_to_roles(up: dict[str, Any]) -> None:
    running = call("exec", NAME, "a", "--", "systemctl list-units --type=service --state=running --no-legend --plain")
    assert not {"libvirtd", "nginx", "ovn", "ovs", "postgresql"} & {line.split(".")[0] for line in running.splitlines()}
    call("exec", NAME, "a", "--", "apt-get -qq update && apt-get -qq install --yes libvirt-clients")


@pytest.mark.lab
def test_a_host_that_died_starts_again_with_its_disk(up: dict[str, Any]) -> None:
    call("exec", NAME, "b", "--", "echo kept > /root/note; sync")
    call("kill", NAME, "b")
    assert [host["running"] for host in json.loads(call("status", "--name", NAME, "--json"))[0]["hosts"]] == [
        True,
        False,
    ]
    call("start", NAME, "b")
    assert call("exec", NAME, "b", "--", "cat /root/note").strip() == "kept"


@pytest.mark.lab
@pytest.mark.parametrize("victim", ["supervisor", "everything", "nothing but the record"])
def test_down_leaves_nothing(victim: str) -> None:
    name = f"{NAME}-{victim.split()[0]}"
    try:
        call("up", "--name", name, "--hosts", "a,b")
        if victim == "supervisor":
            for pid in supervisors(name, "a"):
                os.kill(pid, signal.SIGKILL)
        elif victim == "everything":
            for pid in cgroups.processes(cgroups.name(name, "a")):
                os.kill(pid, signal.SIGKILL)
        else:
            (lab.directory(name) / "lab.json").unlink()
            assert lab.status(name)["state"] == "remains"
        assert traces(name)
    finally:
        call("down", "--name", name)
    assert traces(name) == []
    call("down", "--name", name)


@pytest.mark.lab
def test_down_after_up_was_killed_half_way() -> None:
    name = f"{NAME}-half"
    rootfs.build("full")
    for seconds in (0.15, 0.2, 0.25, 0.4, 0.8):
        begun = subprocess.Popen([str(HERE / "lab"), "up", "--name", name, "--hosts", "a,b"], stdout=subprocess.DEVNULL)
        try:
            begun.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
        call("down", "--name", name)
        assert traces(name) == []


@pytest.mark.lab
@pytest.mark.parametrize("kind", [None, pytest.param(machine.QEMU, marks=LONG)])
def test_a_machine_that_died_starts_again_with_its_disks_and_leaves_nothing(kind: str | None) -> None:
    name = f"{NAME}-machine"
    modules = ("dm-thin-pool", "iscsi_target_mod", "nfsd", "target_core_file", "target_core_iblock")
    words = ["up", "--name", name, "--hosts", "a", "--machine", "m", "--disk", "m=64M", "--disk", "m=1G"]
    words += ["--machine-kind", kind] if kind else []
    try:
        found = json.loads(call(*words, "--group", "storage=m", "--json"))
        assert [host["machine"] in machine.ASKED for host in found["hosts"]] == [False, True]
        assert call("exec", name, "m", "--", "lsblk --bytes --noheadings --output SIZE /dev/vdb /dev/vdc").split() == [
            str(64 * 1024**2),
            str(1024**3),
        ]
        call("exec", name, "m", "--", " && ".join(f"modprobe {module}" for module in modules))
        call("exec", name, "a", "--", "ping -c 1 m && ping -6 -c 1 m")
        call("exec", name, "m", "--", "echo kept > /root/note; sync; echo kept | dd of=/dev/vdb conv=fsync")
        call("kill", name, "m")
        ports = Path("/sys/class/net", found["bridge"], "brif")
        assert not [port for port in ports.iterdir() if port.name.startswith("vm-")]
        assert Path(call(*words).strip()) == Path(found["inventory"])  # `up` completes what is partly up
        assert call("exec", name, "m", "--", "cat /root/note; head -c 4 /dev/vdb").split() == ["kept", "kept"]
        for pid in cgroups.processes(cgroups.name(name, "m")):
            os.kill(pid, signal.SIGKILL)
    finally:
        call("down", "--name", name)
    assert traces(name) == []


def told_by_the_lab(counts: Path) -> list[list[str]]:
    """The lines of a file of counts without those of ssh, which counts itself where the runner of the tests has it."""
    told = [line.split() for line in counts.read_text(encoding="utf-8").splitlines()]
    return [words for words in told if words[0] not in ("ssh", "module")]


@pytest.mark.lab
def test_a_machine_survives_power_cuts_and_the_button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote with fsync is there after two cuts (in the long form five), on both disks; and all is counted."""
    name = f"{NAME}-cuts"
    monkeypatch.setenv(counting.VARIABLE, str(tmp_path / "counts"))
    group = cgroups.name(name, "m")
    try:
        call("up", "--name", name, "--machine", "m", "--disk", "m=64M", "--json")
        for turn in range(CUTS):
            note = f"echo {turn} >> /root/notes; sync /root/notes"
            call("exec", name, "m", "--", f"{note}; echo {turn} | dd of=/dev/vdb bs=512 seek={turn} conv=sync,fsync")
            call("kill", name, "m")
            assert cgroups.processes(group) == set()
            call("start", name, "m")
        kept = "tr -d '\\n' < /root/notes; head -c 2560 /dev/vdb | tr -d '\\n\\0'"
        assert call("exec", name, "m", "--", kept).strip() == 2 * "01234"[:CUTS]
        assert call("exec", name, "m", "--", "systemctl is-system-running --wait").strip() == "running"
        call("exec", name, "m", "--", "systemctl --no-block poweroff")
        deadline = time.monotonic() + 60
        while cgroups.processes(group):
            assert time.monotonic() < deadline, "it is still on"
            time.sleep(0.2)
        call("start", name, "m")
        assert call("exec", name, "m", "--", kept).strip() == 2 * "01234"[:CUTS]
    finally:
        call("down", "--name", name)
    assert traces(name) == []
    told = told_by_the_lab(tmp_path / "counts")
    assert [what for what, _number in told] == ["machine", *["cpu_ms", "machine"] * (CUTS + 1), "cpu_ms"]
    assert all(int(number) > 0 for _what, number in told)


@pytest.mark.lab
def test_commands_share_a_connection_that_ends_with_the_host() -> None:
    def connections() -> list[str]:
        command = ["pgrep", "-a", "-f", f"^ssh: .*{NAME}-one/ssh-"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()

    try:
        call("up", "--name", f"{NAME}-one", "--hosts", "a,b")
        for _turn in range(2):
            assert [call("exec", f"{NAME}-one", host, "--", "hostname").strip() for host in "ab"] == ["a", "b"]
        before = connections()
        assert len(before) == 2
        call("up", "--name", f"{NAME}-one", "--hosts", "a,b")
        assert connections() == before, "hosts that are up are left in peace"
        call("kill", f"{NAME}-one", "a")
        assert len(connections()) == 1
        call("start", f"{NAME}-one", "a")
        assert call("exec", f"{NAME}-one", "a", "--", "hostname").strip() == "a"
    finally:
        call("down", "--name", f"{NAME}-one")
    assert connections() == []


@pytest.mark.lab
def test_guests_and_hosts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(counting.VARIABLE, str(tmp_path / "counts"))
    name = f"{NAME}-counts"
    started = "mkdir -p /var/log/libvirt/qemu; echo starting up libvirt version: 9 >> /var/log/libvirt/qemu/x.log"
    try:
        call("up", "--name", name, "--hosts", "a,b")
        for _turn in range(2):
            call("exec", name, "a", "--", started)
        call("kill", name, "a")
    finally:
        call("down", "--name", name)
    told = told_by_the_lab(tmp_path / "counts")
    assert [what for what, _number in told] == ["host", "host", "cpu_ms", "cpu_ms", "guest"]
    assert told[-1] == ["guest", "2"]


@pytest.mark.lab
def test_waiting_for_a_host_costs_next_to_nothing() -> None:
    """One that never answers: a container that boots into nothing."""
    name = f"{NAME}-wait"
    try:
        call("up", "--name", name, "--hosts", "a")
        call("exec", name, "a", "--", "systemctl stop ssh.socket ssh.service")
        one = lab.find(name, "a")
        began = time.process_time()
        with pytest.raises(LabError, match="does not answer"):
            wait(one, timeout=5)
        assert time.process_time() - began < 0.25
    finally:
        call("down", "--name", name)


@pytest.mark.lab
def test_down_after_up_of_a_machine_was_killed_half_way() -> None:
    name = f"{NAME}-mhalf"
    machine.image()
    for seconds in (0.3, 0.8, 1.5, 3, 6):
        words = ["up", "--name", name, "--machine", "m", "--disk", "m=64M"]
        begun = subprocess.Popen([str(HERE / "lab"), *words], stdout=subprocess.DEVNULL)
        try:
            begun.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
        call("down", "--name", name)
        assert traces(name) == []


@pytest.mark.lab
@pytest.mark.parametrize(("accelerator", "want"), [(machine.EMULATED, True), ("none", False)])
def test_an_accelerator_works_when_a_guest_starts_by_it(accelerator: str, want: bool) -> None:
    assert qemu.starts(accelerator, machine.image(), memory=machine.MEMORY, timeout=120) is want


@pytest.mark.lab
def test_user_mode_linux_works_when_a_program_ends_well_in_it(tmp_path: Path) -> None:
    """Not when its kernel comes up alone; and whatever is tried leaves the image as it was."""
    kept = machine.image()
    before = os.stat(kept / "disk.raw")
    assert not uml.starts(kept, memory=2**40)
    assert uml.starts(kept, memory=machine.MEMORY)
    assert os.stat(kept / "disk.raw").st_mtime_ns == before.st_mtime_ns
    for name in (uml.PROGRAM, uml.SHIM):
        (tmp_path / name).symlink_to(kept / name)
    (tmp_path / "disk.raw").write_bytes(b"\0" * 2**20)
    assert not uml.starts(tmp_path, memory=machine.MEMORY)


@pytest.mark.lab
@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/tmp", "a/b"])
def test_no_other_directory_is_ever_removed(name: str) -> None:
    with pytest.raises(LabError, match="is no name"):
        lab.down(name)


@pytest.mark.lab
def test_a_bridge_that_was_being_made_is_removed() -> None:
    name = f"{NAME}-bridge"
    number = network.choose(set())
    write(lab.directory(name) / "lab.json", json.dumps({"number": number, "hosts": [], "flavor": "full"}))
    subprocess.run(["ip", "link", "add", network.bridge(number), "type", "bridge"], check=True)
    call("down", "--name", name)
    assert not Path("/sys/class/net", network.bridge(number)).exists()
    assert traces(name) == []


@pytest.mark.lab
def test_two_labs_stand_beside_each_other(up: dict[str, Any]) -> None:
    name = f"{NAME}-other"
    try:
        other = json.loads(call("up", "--name", name, "--hosts", "a", "--json"))
        assert other["bridge"] != up["bridge"]
        assert other["hosts"][0]["address"] != up["hosts"][0]["address"]
    finally:
        call("down", "--name", name)
    assert call("exec", NAME, "a", "--", "echo here").strip() == "here"


@pytest.mark.lab
def test_a_lab_that_is_not_there_has_no_status() -> None:
    with pytest.raises(LabError, match="there is no lab nobody-made-it"):
        lab.status("nobody-made-it")


@pytest.mark.lab
@pytest.mark.parametrize(
    ("hosts", "groups", "complaint"),
    [
        (["a b"], {}, "is no name"),
        (["../x"], {}, "is no name"),
        (["a", "a"], {}, "names of their own"),
        (["a"], {"g": ["z"]}, "does not have: z"),
    ],
)
def test_bad_plans_are_refused(hosts: Sequence[str], groups: dict[str, list[str]], complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        lab.Plan(name="x", hosts=tuple(hosts), groups=groups).check()


@pytest.mark.lab
def test_guest_boots_and_answers(up: dict[str, Any]) -> None:
    image = guest.image()
    host = lab.find(NAME, "a")
    with open(image, "rb") as disk:
        subprocess.run([*lab.ssh(host), "cat > /var/lib/libvirt/images/guest.qcow2"], stdin=disk, check=True)
    seed = (
        "mkdir -p /tmp/seed && cd /tmp/seed && printf 'instance-id: i-7\\nlocal-hostname: seven\\n' > meta-data &&"
        " printf '#!/bin/sh\\necho told $(hostname)\\n' > user-data &&"
        " genisoimage -quiet -r -V cidata -o /var/lib/libvirt/images/seed.iso . && systemctl start libvirtd"
    )
    call("exec", NAME, "a", "--", seed)
    domain = (
        "<domain type='qemu'><name>seven</name><memory unit='MiB'>128</memory><os><type machine='q35'>hvm</type></os>"
        "<features><acpi/></features><cpu mode='maximum'/><devices>"
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/guest.qcow2'/>"
        "<target dev='vda' bus='virtio'/></disk>"
        "<disk type='file'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/seed.iso'/>"
        "<target dev='vdb' bus='virtio'/><readonly/></disk>"
        "<serial type='pty'><log file='/var/log/libvirt/qemu/seven.txt'/></serial></devices></domain>"
    )
    subprocess.run([*lab.ssh(host), "cat > /tmp/x.xml && virsh create /tmp/x.xml"], input=domain, text=True, check=True)
    ready = "for try in $(seq 300); do grep -q GUEST-READY $log && break; sleep 0.2; done; cat $log"
    log = call("exec", NAME, "a", "--", f"log=/var/log/libvirt/qemu/seven.txt; {ready}")
    assert "told seven" in log
    assert "GUEST-READY hostname=seven instance-id=i-7" in log
    assert call("console-run", NAME, "a", "seven", "echo $((6 * 7))").strip() == "42"
    ending = (
        "virsh shutdown seven; for try in $(seq 100); do virsh -q domstate seven || exit 0; sleep 0.2; done; exit 1"
    )
    call("exec", NAME, "a", "--", ending)
