#!/usr/bin/python
# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the module C(image); the action plugin of the same name does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Register disk images that instances are booted from
version_added: 0.1.0
description:
  - A file of the controller is copied to an image store, which also fetches what is at an address. Its checksum is
    verified and it is seen to be what it is said to be; then compute hosts fetch it from there by its digest.
  - A host of the inventory group C(cloud_image) is a store. An image may be in several; a host that needs it asks the
    one in its own zone first, then the others in the order of O(stores), until one has it.
  - An image is refused, and nothing stored, if its format is not the one given, or if it leads to other files
    (backing file, external data file, extents), has unknown features, is encrypted, damaged, or in two formats at once.
  - The content of an image never changes. Another content under the same name is refused; everything else changes in
    place.
  - Images of the same content are stored once.
  - A run that was killed is finished by running it again.
extends_documentation_fragment:
  - agentless.cloud.attributes
  - agentless.cloud.resource
options:
  name:
    description: Name of the image, unique in its project.
    type: str
    required: true
  state:
    description:
      - Whether the image is to exist.
      - An image that instances were booted from can be removed, as in Glance. The instances keep running on the copy in
        their host's cache; they cannot be rebuilt, nor find it on a host that they are moved to.
      - An image that is O(protected), or is another image's kernel or ramdisk, cannot be removed.
    type: str
    choices: [present, absent]
    default: present
  filename:
    description:
      - Path of the file on the controller; a relative one is looked for in the playbook's directory C(files), then
        beside the playbook.
      - Where the image exists already and no O(checksum) is given, the file is read to see that it is the same.
    type: str
  uri:
    description:
      - An HTTP or HTTPS address that the first of the image's stores fetches, following at most five redirects,
        without a proxy. Where stores have no way there, fetch the file to the controller and give O(filename).
      - The store fetches in the background. The task looks on and says every few seconds how far it is (with C(-v), or
        where the variable C(agentless_progress) is true). If the controller dies, the store goes on, and the task run
        again joins.
      - Every address on the way must be a public one, unless the operator of the store allows others
        (C(image_store_import_allowed) and C(image_store_import_denied) of the role C(image_store)). The store's own
        addresses are refused always.
      - A download ends where less than 16 KiB a second come for 60 seconds, after 6 hours, where it is larger than the
        operator allows (C(image_store_import_max_gib)), and where the store would have less than 1 GiB left.
      - Where the image exists already, nothing is fetched, and only O(checksum) is compared.
    type: str
  instance:
    description:
      - Name or ID of an instance whose disk becomes the image. It must be stopped (SHUTOFF) until the task has ended;
        one that runs is refused.
      - Its host makes one qcow2 file of the disk, the controller takes that to its temporary directory (C(TMPDIR)),
        looks at it as at any other, and sends it to the store.
      - O(properties) are those of the image that the instance was booted from and O(min_disk) is the size of its disk,
        unless the task says something else.
      - Volumes of the instance are not part of the image.
      - Where the image exists already, nothing is read.
    type: str
  volume:
    description:
      - Name or ID of a volume whose content becomes the image. It must be available, that is attached to nothing; while
        it is read (C(reading)) nobody can attach, extend or move it.
      - The image's first store reads it from its backend, whatever the driver, in the background of the task as with
        O(uri).
      - O(properties) are those of the image that the volume was made from and O(min_disk) is its size, unless the task
        says something else.
      - Where the image exists already, nothing is read.
    type: str
  allow_local_uri:
    description:
      - Whether O(uri) and its redirects may lead to what is near the store that fetches it, where its operator permits
        that. Those are loopback (127.0.0.0/8, ::1), the store's own link (169.254.0.0/16, fe80::/10) and metadata
        services of clouds.
      - It opens nothing by itself. It counts only for addresses which the operator lists in
        C(image_store_import_allowed) of the role C(image_store), by an entry that lies within the network in question;
        others are refused with a message that says so.
    type: bool
    default: false
  checksum:
    description: Checksum of the content, C(sha256:) and 64 hexadecimal digits. Another content is refused.
    type: str
  disk_format:
    description:
      - Format of the disk. It is compared with what is found, recorded, and never guessed again. A new image is
        V(qcow2) unless something else is said.
      - Compute hosts boot V(raw) and V(qcow2). The others are judged and kept, to be converted.
      - V(aki) is a kernel and V(ari) a ramdisk.
    type: str
    choices: [raw, qcow2, vmdk, vdi, vhd, vhdx, iso, aki, ari]
  container_format:
    description: What the disk is wrapped in. A new image is V(bare), not wrapped at all.
    type: str
    choices: [bare, aki, ari]
  kernel:
    description: Name or ID of the image that is the kernel.
    type: str
  ramdisk:
    description: Name or ID of the image that is the initial ramdisk.
    type: str
  min_disk:
    description: How large the disk of a flavor must be at least, in GiB. The image's own virtual size must fit in it.
    type: int
  min_ram:
    description: How much memory a flavor must have at least, in MiB.
    type: int
  properties:
    description:
      - Further properties under the names that Nova uses, such as C(hw_disk_bus). All of them together; those left out
        go.
    type: dict
  visibility:
    description:
      - V(private) images are for their project, V(community) and V(public) ones for all. A new image is V(private).
    type: str
    choices: [private, community, public]
  protected:
    description: Whether the image is kept from being removed.
    type: bool
  stores:
    description:
      - Inventory names of the stores that are to have the image, from the group C(cloud_image). A new image is in the
        first of the group alone.
      - A store that is not named any more loses it, after those that are named have it.
      - With this option the stores are asked whether they still have the file; one that has lost it gets it from
        another. Where none has it any more, O(filename) with the same content stores it again.
    type: list
    elements: str
  tags:
    description: Words to find the image by. All of them together; those left out go.
    type: list
    elements: str
seealso:
  - module: agentless.cloud.image_info
  - module: agentless.cloud.instance
author:
  - agentless.cloud contributors (@agentless-cloud)
"""

EXAMPLES = r"""
- name: An image from a file of the controller
  agentless.cloud.image:
    name: debian-12
    filename: debian-12.qcow2
    disk_format: qcow2
    min_ram: 256
    properties:
      hw_disk_bus: virtio
    tags: [debian, stable]

- name: Have it in all stores
  agentless.cloud.image:
    name: debian-12
    stores: "{{ groups['cloud_image'] }}"

- name: An image of what a volume holds
  agentless.cloud.image:
    name: golden
    volume: root

- name: Remove it
  agentless.cloud.image:
    name: debian-12
    state: absent
"""

RETURN = r"""
image:
  description: The image; null for O(state=absent).
  returned: success
  type: dict
  contains:
    id:
      description: UUID of the image.
      type: str
      returned: always
    name:
      description: Name of the image.
      type: str
      returned: always
    project_id:
      description: The project that owns it.
      type: str
      returned: always
    status:
      description: V(active) where it can be booted from, V(queued) or V(saving) where a run has not finished.
      type: str
      returned: always
      sample: active
    checksum:
      description: SHA-256 of the content, which is also its name in the store.
      type: str
      returned: always
    size:
      description: Size of the file in bytes.
      type: int
      returned: always
    virtual_size:
      description: Size of the disk that a guest sees, in bytes.
      type: int
      returned: always
    disk_format:
      description: Format of the disk.
      type: str
      returned: always
    container_format:
      description: What the disk is wrapped in.
      type: str
      returned: always
    store_host:
      description: Inventory name of the first store that has the content.
      type: str
      returned: always
    stores:
      description: Inventory names of all stores that have the content.
      type: list
      elements: str
      returned: always
      sample: [image1, image2]
    min_disk:
      description: Least disk of a flavor in GiB.
      type: int
      returned: always
    min_ram:
      description: Least memory of a flavor in MiB.
      type: int
      returned: always
    kernel:
      description: ID of the image that is the kernel.
      type: str
      returned: always
    ramdisk:
      description: ID of the image that is the initial ramdisk.
      type: str
      returned: always
    properties:
      description: The properties.
      type: dict
      returned: always
    visibility:
      description: Who may use it.
      type: str
      returned: always
    protected:
      description: Whether it is kept from being removed.
      type: bool
      returned: always
    tags:
      description: The tags.
      type: list
      elements: str
      returned: always
    created_at:
      description: When it was registered, as UTC in ISO 8601.
      type: str
      returned: always
    updated_at:
      description: When its record last changed, as UTC in ISO 8601.
      type: str
      returned: always
"""
