#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(instance); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: Boot, change and delete instances on the hosts of the inventory
version_added: 0.1.0
description:
  - Boots virtual machines on the compute hosts that the scheduler chooses, and keeps them as described.
  - All instances of one task are planned, placed and spawned together, with one call to each host.
  - Only options that are given are compared with an existing instance. Metadata, tags, security groups, attached
    networks and volumes change in place. A changed flavor, image or user data is refused with a message, never ignored.
  - A run that was killed is finished by running it again.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description:
      - Name of the instance, unique in its project.
      - With O(count), the instances are called V(name-1), V(name-2) and so on.
    type: str
    required: true
  state:
    description:
      - V(running) and V(present) boot the instance where it does not exist. V(running) also starts a stopped one,
        and has a guest go on that was paused on its host or stands still because a volume could not be written.
      - With V(running) and V(stopped) the host is asked whether the guest runs. V(present) asks nobody and leaves the
        guest's power as it is.
      - V(stopped) shuts the guest down through ACPI, and pulls the plug after O(timeout). An instance that does not
        exist is created and left off.
      - V(rebooted) restarts the guest, every time the task runs.
      - V(absent) removes the guest, its disks, ports, addresses and claims. Volumes are detached and stay, but for a
        boot volume that goes with the instance (O(boot_volume.delete_on_termination)).
    type: str
    choices: [running, present, stopped, rebooted, absent]
    default: running
  count:
    description:
      - How many equal instances there are to be.
      - Lowering the number deletes nothing. To remove some, name them with O(state=absent).
    type: int
  flavor:
    description: Name or ID of the flavor. Needed to boot.
    type: str
  image:
    description: Name or ID of the image. Needed to boot, except from a volume that exists (O(boot_volume.volume)).
    type: str
  boot_volume:
    description:
      - Boots from a volume instead of a disk on the compute host; the disk of the flavor is then neither made nor
        claimed.
      - Takes either O(boot_volume.size) or O(boot_volume.volume). On an instance that exists they are only compared.
        The module M(agentless.cloud.volume) grows a volume and gives it another type.
    type: dict
    suboptions:
      size:
        description:
          - Makes a volume of that many GiB from O(image), called like the instance with V(-boot) behind it.
          - With O(count), each instance gets one of its own.
        type: int
      volume_type:
        description: Name or ID of the volume type of the volume that is made.
        type: str
      volume:
        description: Name or ID of a volume to boot from. It must have been made from an image, or be a copy of one.
        type: str
      delete_on_termination:
        description:
          - Whether the volume is deleted with the instance. It changes in place.
          - V(true) for one that is made, V(false) for one that exists, unless said.
          - While such a volume has snapshots, the instance is not deleted.
        type: bool
  volumes:
    description:
      - Names or IDs of all further volumes that the instance is to have. Those that are missing are attached, those
        that are not named are detached, whether the guest runs or not; the boot volume stays.
      - A volume that another instance has is refused, unless it is multiattach. So are several instances (O(count))
        for one volume.
      - In the guest, the serial number of a disk is the ID of its volume, of which Linux shows the first 20 characters
        below C(/dev/disk/by-id). The name in C(device) stays while the volume is attached, but a guest may count its
        disks otherwise.
      - A guest that runs must let go of a volume within 30 seconds; unmount it there before.
      - A running guest has room for four networks and volumes more than it was started with; stop it to attach others.
    type: list
    elements: str
  networks:
    description:
      - Names or IDs of the networks, one port on each, in this order.
      - Mutually exclusive with O(nics).
    type: list
    elements: str
  nics:
    description:
      - The ports in detail, in this order.
      - A port that the instance has is the one meant where it is on the network and has the O(nics[].fixed_ip) and
        O(nics[].mac_address) that are given; what gives neither means the others of that network in their order.
        Ports that are missing are attached, those that nothing here means are detached.
    type: list
    elements: dict
    suboptions:
      network:
        description: Name or ID of the network.
        type: str
        required: true
      fixed_ip:
        description: The address that the port is to have. It must be free, and inside a subnet of the network.
        type: str
      mac_address:
        description: The MAC address that the port is to have.
        type: str
      security_groups:
        description:
          - Names or IDs of the security groups of this port, instead of the instance's O(security_groups).
          - They change in place.
        type: list
        elements: str
  security_groups:
    description:
      - Names or IDs of the security groups of all ports of the instance, except for those with
        O(nics[].security_groups). They change in place.
      - Without it, a new port gets the project's group V(default), at boot and where a network is attached later,
        whatever the other ports have; and a port that exists keeps its groups.
    type: list
    elements: str
  key_name:
    description: Name of the keypair whose public key is given to the guest.
    type: str
  userdata:
    description:
      - User data for cloud-init, given to the guest byte for byte. It is never returned.
      - At most 49149 bytes, which as Base64 are the 65535 that Nova takes.
    type: str
  metadata:
    description:
      - Text by text, for the reader of the instance and of the inventory.
      - At most 128, with keys and values of up to 255 characters.
    type: dict
  tags:
    description: Words to find the instance by, at most 50 of up to 60 characters.
    type: list
    elements: str
  server_group:
    description: Name or ID of the server group that the instance becomes a member of.
    type: str
  scheduler_hints:
    description: Hints for the scheduler, V(same_host) and V(different_host), each a name, an ID or a list of those.
    type: dict
  zone:
    description: Availability zone that the host must be in.
    type: str
  host:
    description: Inventory name of the host that must take the instance. It must still be enabled and have room.
    type: str
  config_drive:
    description:
      - Whether the guest gets its metadata, network configuration and user data as a NoCloud drive.
      - A new instance has V(true).
    type: bool
  wait:
    description: Whether to wait until the guest runs and its ports are up.
    type: bool
    default: true
  timeout:
    description: How long one host may take, in seconds, for its part of the work.
    type: int
    default: 300
seealso:
  - module: agentless.cloud.instance_info
  - module: agentless.cloud.flavor
  - module: agentless.cloud.image
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: Boot a web server and wait until it runs
  agentless.cloud.instance:
    name: web1
    flavor: small
    image: debian-12
    networks: [front]
    security_groups: [web]
    key_name: operators
    metadata:
      role: web

- name: Ten workers at once, each on another host
  agentless.cloud.instance:
    name: worker
    count: 10
    flavor: small
    image: debian-12
    networks: [front]
    server_group: spread

- name: A fixed address and a group of its own
  agentless.cloud.instance:
    name: resolver
    flavor: small
    image: debian-12
    nics:
      - network: front
        fixed_ip: 10.10.0.53
        security_groups: [dns]

- name: Boot from a volume of 20 GiB, made from the image, that stays when the instance goes
  agentless.cloud.instance:
    name: db1
    flavor: small
    image: debian-12
    networks: [front]
    boot_volume:
      size: 20
      delete_on_termination: false
    volumes: [db1-data]

- name: Let the guest go; its volumes stay
  agentless.cloud.instance:
    name: db1
    state: absent

- name: The same guest on another host, with its data
  agentless.cloud.instance:
    name: db2
    flavor: small
    networks: [front]
    boot_volume:
      volume: db1-boot
    volumes: [db1-data]
    host: compute2

- name: Switch it off; a running guest would have to let go of its volumes
  agentless.cloud.instance:
    name: db2
    state: stopped
    timeout: 60

- name: Detach all of them but the one it boots from
  agentless.cloud.instance:
    name: db2
    state: stopped
    volumes: []

- name: Stop it; a guest that does not listen is switched off after two minutes
  agentless.cloud.instance:
    name: web1
    state: stopped
    timeout: 120

- name: Remove it, with everything that belonged to it
  agentless.cloud.instance:
    name: web1
    state: absent
"""

RETURN = r"""
instance:
  description:
    - The instance; with O(count), the first one. Not returned for O(state=absent).
    - In check mode it is as it would be, without what cannot be known before. Of an instance to come these are C(id),
      C(created_at), C(updated_at), C(launched_at), C(cell), C(placement), and where the task does not name them
      C(compute_host), C(zone), C(access_ipv4), C(access_ipv6) and the entries of C(addresses), which has each network.
  returned: success
  type: dict
  contains:
    id:
      description: UUID, also that of the libvirt domain.
      type: str
      returned: always
    name:
      description: Name of the instance.
      type: str
      returned: always
    status:
      description: Where its life stands, in Nova's words, as the database records it.
      type: str
      returned: always
      sample: ACTIVE
    power_state:
      description:
        - V(running) or V(shutdown), as the last task left it that booted, started, stopped or rebooted the guest.
        - A guest that was halted from inside, crashed or was started on its host since then is not noticed.
          O(state=running) in check mode asks the host, and is changed when the guest is off.
      type: str
      returned: always
    compute_host:
      description: Inventory name of the host on which it is placed.
      type: str
      returned: always
    cell:
      description: Cell of the host.
      type: str
      returned: always
    zone:
      description: Availability zone of the host.
      type: str
      returned: always
    flavor:
      description: The flavor as it was when the instance was booted.
      type: dict
      returned: always
    image:
      description: ID and name of the image. Empty where it boots from a volume that was made from none.
      type: dict
      returned: always
    volumes:
      description: Its volumes with C(id), C(name) and C(device), the name of the disk in its definition.
      type: list
      elements: dict
      returned: always
      sample: [{id: 0d7f8a3e-5f0e-4c39-9a43-0e8a3b9f6d11, name: db1-data, device: vdc}]
    addresses:
      description: By network name, a list of addresses with C(addr), C(version), C(mac_addr), C(port_id) and C(type).
      type: dict
      returned: always
    access_ipv4:
      description: The first IPv4 address.
      type: str
      returned: always
    access_ipv6:
      description: The first IPv6 address.
      type: str
      returned: always
    security_groups:
      description: Names of the security groups of its ports.
      type: list
      elements: str
      returned: always
    metadata:
      description: The metadata.
      type: dict
      returned: always
    tags:
      description: The tags.
      type: list
      elements: str
      returned: always
    key_name:
      description: Name of the keypair.
      type: str
      returned: always
    launched_at:
      description: When the guest first ran, as UTC in ISO 8601.
      type: str
      returned: always
    placement:
      description: What the scheduler said, in C(explanation).
      type: dict
      returned: when just placed
instances:
  description: All instances of the task.
  returned: with O(count)
  type: list
  elements: dict
"""
