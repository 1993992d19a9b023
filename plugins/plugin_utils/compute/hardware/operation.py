# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operation ``spawn`` of the compute backend, from the same values as the XML, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.devices import device_names
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.domain import domain_xml
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.options import options
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute.hardware.spec import Disk, DomainSpec, Image


def spawn_operation(
    spec: DomainSpec, *, generation: int, seed: Mapping[str, str] | None = None, start: bool = True
) -> dict[str, Any]:
    """What a compute host needs to make the instance.

    :param seed: the files of the config drive by name; given exactly when ``spec.seed`` says that there is one.
    """
    if spec.seed != (seed is not None):
        raise ValueError("The config drive is in the domain or in the operation, but not in both.")
    names = device_names(spec, options(spec.image_properties, spec.extra_specs))
    operation = {
        "op": "spawn",
        "id": spec.id,
        "generation": generation,
        "xml": domain_xml(spec),
        "disks": [_disk(disk, name) for disk, name in zip(spec.disks, names, strict=False)],
        "seed": None if seed is None else dict(seed),
        "start": start,
    }
    if spec.volumes:
        operation["volumes"] = [volume.described() for volume in spec.volumes]
    return operation


def _disk(disk: Disk, target: str) -> dict[str, Any]:
    return {
        "target": target,
        "name": disk.name,
        "format": disk.format,
        "size": disk.size,
        "image": None if disk.image is None else _image(disk.image),
    }


def _image(image: Image) -> dict[str, Any]:
    about = {"checksum": image.checksum, "format": image.format, "url": image.url, "size": image.size}
    return {**about, "mirrors": list(image.mirrors)} if image.mirrors else about
