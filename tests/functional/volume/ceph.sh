#!/usr/bin/env bash
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The smallest Ceph: one monitor, one manager, one OSD on a file, one pool without a second copy.
set -e
address=$1
fsid=$(cat /proc/sys/kernel/random/uuid)
as_ceph="setpriv --reuid ceph --regid ceph --clear-groups"
cat > /etc/ceph/ceph.conf <<END
[global]
fsid = $fsid
mon_host = [v2:$address:3300,v1:$address:6789]
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_memory_target = 939524096
bluestore_block_size = 4294967296
END
admin=/etc/ceph/ceph.client.admin.keyring
ceph-authtool --create-keyring /tmp/mon.keyring --gen-key -n mon. --cap mon 'allow *'
ceph-authtool --create-keyring $admin --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
ceph-authtool /tmp/mon.keyring --import-keyring $admin
monmaptool --create --addv a "[v2:$address:3300,v1:$address:6789]" --fsid "$fsid" /tmp/monmap
chown ceph: /tmp/mon.keyring
$as_ceph mkdir -p /var/lib/ceph/mon/ceph-a /var/lib/ceph/mgr/ceph-a
$as_ceph ceph-mon --mkfs -i a --monmap /tmp/monmap --keyring /tmp/mon.keyring
systemctl start ceph-mon@a
ceph auth get-or-create mgr.a mon 'allow profile mgr' osd 'allow *' > /var/lib/ceph/mgr/ceph-a/keyring
systemctl start ceph-mgr@a
disk=$(cat /proc/sys/kernel/random/uuid)
id=$(ceph osd new "$disk")
$as_ceph mkdir -p "/var/lib/ceph/osd/ceph-$id"
ceph auth get-or-create "osd.$id" mon 'allow profile osd' mgr 'allow profile osd' osd 'allow *' > "/var/lib/ceph/osd/ceph-$id/keyring"
chown ceph: "/var/lib/ceph/osd/ceph-$id/keyring" /var/lib/ceph/mgr/ceph-a/keyring
$as_ceph ceph-osd -i "$id" --mkfs --osd-uuid "$disk"
systemctl start "ceph-osd@$id"
ceph osd pool create volumes 8
ceph osd pool application enable volumes rbd
# The storage host's own user, with the rights that the documentation names.
ceph auth get-or-create client.agentless mon 'profile rbd, profile role-definer' mgr 'profile rbd pool=volumes' \
    osd 'profile rbd pool=volumes' > /etc/ceph/ceph.client.agentless.keyring
chmod 600 /etc/ceph/ceph.client.*.keyring
timeout 60 rbd --id agentless pool init volumes
