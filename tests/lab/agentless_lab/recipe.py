# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the root filesystems: packages, services that wait for roles, and the few files of our own."""

from __future__ import annotations

import hashlib
import json

SUITE = "bookworm"
# Raise it when the recipe below changes, so that older caches are left alone and a new one is made.
RECIPE = 2
REPOSITORY = "/srv/apt"

BASE = [
    "apt",
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
    "udev",
]
SERVICES = [
    "acl",
    "bridge-utils",
    "chrony",
    "curl",
    "dnsmasq-base",
    "ebtables",
    "genisoimage",
    "gnupg",
    "iptables",
    "iputils-ping",
    "libvirt-clients",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-system",
    "locales",
    "lvm2",
    "netcat-openbsd",
    "nftables",
    "nginx-light",
    "openssl",
    "openvswitch-switch",
    "ovn-central",
    "ovn-host",
    "ovmf",
    "postgresql-15",
    "procps",
    "python3-libvirt",
    "python3-lxml",
    "python3-openvswitch",
    "python3-ovsdbapp",
    "python3-psycopg2",
    "qemu-block-extra",
    "qemu-system-x86",
    "qemu-utils",
    "socat",
    "ssl-cert",
    "tcpdump",
    "tgt",
    "xorriso",
]
# Not installed anywhere, but in the repository of the hosts: roles may want them, and the test guest is made of them.
ONLY_IN_POOL = [
    "busybox-static",
    "ceph-common",
    "ceph-mgr",
    "ceph-mon",
    "ceph-osd",
    "dmeventd",
    "fio",
    "glusterfs-server",
    "isc-dhcp-client",
    "linux-image-amd64",
    "linux-image-cloud-amd64",
    "multipath-tools",
    "nfs-ganesha-vfs",
    "nfs-kernel-server",
    "open-iscsi",
    "python3-rtslib-fb",
    "targetcli-fb",
    "thin-provisioning-tools",
    "user-mode-linux",
]
# A whole machine has its own kernel; the packages of roles are on it as a cache, since it does not see the repository.
MACHINE = [
    "acl",
    "dmeventd",
    "fio",
    "linux-image-cloud-amd64",
    "lvm2",
    "multipath-tools",
    "nfs-kernel-server",
    "nftables",
    "open-iscsi",
    "procps",
    "python3-rtslib-fb",
    "qemu-block-extra",
    "qemu-utils",
    "targetcli-fb",
    "thin-provisioning-tools",
    "user-mode-linux",
]
# One with hardly anything on it carries a repository of its own, of these and what they need.
KERNEL = ["linux-image-cloud-amd64", "user-mode-linux"]
CLIENTS = ["ceph-common", "glusterfs-client", "python3-rados", "python3-rbd", "rpcbind"]
COMPUTING = [
    "genisoimage",
    "libvirt-clients",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-system",
    "openvswitch-switch",
    "ovmf",
    "ovn-host",
    "python3-libvirt",
    "python3-lxml",
    "qemu-system-x86",
]
CARRIED = sorted({*MACHINE, *CLIENTS, *COMPUTING} - {*KERNEL})
FLAVORS = {"full": BASE + SERVICES, "bare": BASE, "machine": BASE + MACHINE, "baremachine": BASE + KERNEL}
CONTAINERS = ("bare", "full")
MACHINES = {"full": "machine", "bare": "baremachine"}  # the machines of a lab with that flavor of containers

# Roles have to enable, configure and start these; the cache carries only their files.
LEFT_TO_ROLES = [
    "chrony.service",
    "libvirt-guests.service",
    "libvirtd.service",
    "libvirtd.socket",
    "libvirtd-ro.socket",
    "libvirtd-admin.socket",
    "virtlogd.socket",
    "virtlogd-admin.socket",
    "virtlockd.socket",
    "virtlockd-admin.socket",
    "nginx.service",
    "openvswitch-switch.service",
    "ovs-record-hostname.service",
    "ovn-central.service",
    "ovn-host.service",
    "ovn-controller.service",
    "postgresql.service",
    "tgt.service",
    "iscsid.socket",
    "open-iscsi.service",
    "multipathd.service",
    "multipathd.socket",
    "nftables.service",
    "lvm2-monitor.service",
]
# Nothing in a container needs them, and each costs time at boot or wakes up during a measurement.
NOT_IN_CONTAINERS = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "dpkg-db-backup.timer",
    "systemd-pstore.service",
    "uuidd.socket",
    "remote-fs.target",
    "blk-availability.service",
    "dm-event.socket",
    "lvm2-lvmpolld.socket",
]

# Of the above, what a whole machine has use for.
IN_MACHINES = frozenset({"blk-availability.service", "dm-event.socket", "lvm2-lvmpolld.socket"})
# Left to roles like the services above, and in machines alone.
OFF_IN_MACHINES = ["nfs-server.service", "rpcbind.service", "rpcbind.socket", "nfs-client.target"]

SEED_UNIT = """\
# SPDX-License-Identifier: GPL-3.0-or-later
[Unit]
Description=Become the test host that the seed disk says
DefaultDependencies=no
After=systemd-remount-fs.service systemd-udevd.service
Before=systemd-networkd.service network-pre.target ssh.service sysinit.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-seed

[Install]
WantedBy=sysinit.target
"""
SEED_SCRIPT = """\
#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Once: the files of this host lie as a tar file on the disk that the kernel was told of.
[ -e /var/lib/lab-seeded ] && exec hostname -F /etc/hostname
read -r line </proc/cmdline
for word in $line; do
    case "$word" in
    lab.seed=*)
        tar --extract --file="/dev/${word#lab.seed=}" --directory=/ --preserve-permissions &&
            hostname -F /etc/hostname && touch /var/lib/lab-seeded
        exit
        ;;
    esac
done
echo "there is no seed disk" >&2
exit 1
"""

# User-Mode Linux names its disks and its cable in its own way; roles and tests know the names that QEMU gives.
UML_MODULES = "usr/lib/uml/modules"  # where the package has them, one directory for its version
UML_FILES = {
    "etc/modules-load.d/lab-uml.conf": "# SPDX-License-Identifier: GPL-3.0-or-later\nipv6\n",
    "etc/systemd/network/10-lab-uml.link": (
        "# SPDX-License-Identifier: GPL-3.0-or-later\n[Match]\nOriginalName=vec0\n\n[Link]\nName=eth0\n"
    ),
    "etc/udev/rules.d/60-lab-uml.rules": "# SPDX-License-Identifier: GPL-3.0-or-later\n"
    + "".join(f'KERNEL=="ubd{letter}", SYMLINK+="vd{letter}"\n' for letter in "abcdefghijklmnop"),
}

CGROUP_UNIT = """\
# SPDX-License-Identifier: GPL-3.0-or-later
[Unit]
Description=Make the control groups of this container writable
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target libvirtd.service virtqemud.service
ConditionVirtualization=container

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-writable-cgroups

[Install]
WantedBy=sysinit.target
"""
CGROUP_SCRIPT = """\
#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# libvirt makes a group per guest in each controller, and systemd-nspawn mounts the version 1 controllers read-only.
while read -r _ where type _; do
    case "$type:$where" in
    cgroup:/sys/fs/cgroup/*) mount -o remount,bind,rw "$where" ;;
    esac
done < /proc/self/mounts
"""


def key(flavor: str, *more: object) -> str:
    """Name a root filesystem, or what is made of one, by everything that decides what is in it."""
    machine: list[object] = []
    if flavor in MACHINES.values():
        carried = CARRIED if flavor == "baremachine" else []
        machine = [sorted(MACHINE), SEED_UNIT, SEED_SCRIPT, UML_FILES, sorted(IN_MACHINES), OFF_IN_MACHINES, *carried]
    recipe = json.dumps(
        [
            *machine,
            *more,
            RECIPE,
            SUITE,
            sorted(FLAVORS[flavor]),
            sorted(FLAVORS["full"]),
            ONLY_IN_POOL,
            CGROUP_UNIT,
            CGROUP_SCRIPT,
            LEFT_TO_ROLES,
            NOT_IN_CONTAINERS,
        ]
    )
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]
