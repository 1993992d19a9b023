# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as an instance has them: read from the records, compared with a wish, and described as disks."""

from __future__ import annotations

import string
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.changes import Change
from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import hardware
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import volume as tables
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import orders as storage
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume import reach, tuning

Record = dict[str, Any]
Source = Mapping[str, Any]  # what an export replied

UNFENCED = frozenset({"gluster"})  # drivers whose clients go on with a file that is open
ATTACHING, ATTACHED, DETACHING = "attaching", "attached", "detaching"


@dataclass(frozen=True)
class Attachment:
    """A volume of an instance.

    :param volume: the volume itself, with its backend and everybody who has it.
    :param type: its volume type, None where it has none.
    """

    record: Record
    volume: storage.Loaded
    type: Record | None = None

    @property
    def id(self) -> str:
        """UUID of the attachment, not of the volume."""
        return str(self.record["id"])

    @property
    def name(self) -> str:
        """Name of the volume."""
        return str(self.volume.record["name"])

    @property
    def device(self) -> str:
        """Name of the disk in the guest."""
        return str(self.record["device"])

    @property
    def going(self) -> bool:
        """Whether it is being taken away, by a run that has not finished."""
        return bool(self.record["status"] == DETACHING)

    @property
    def boots(self) -> bool:
        """Whether the instance boots from it."""
        return bool(self.record["boot_index"] == 0)

    @property
    def fenced(self) -> bool:
        """Whether its storage host can shut out a compute host that still has it open; by the driver on record."""
        return (self.volume.backend or {}).get("driver") not in UNFENCED

    @property
    def others(self) -> list[Record]:
        """The other attachments of the volume that stay."""
        return [row for row in self.volume.attachments if row["id"] != self.id and row["status"] != DETACHING]


def load(conn: Any, instance_ids: Sequence[str]) -> dict[str, list[Attachment]]:
    """The volumes of these instances by device, in five queries at most; in one where they have none."""
    held: list[Record] = []
    for start in range(0, len(instance_ids), 500):  # SQLite takes a limited number of parameters
        part = list(instance_ids[start : start + 500])
        held += records.listing(conn, tables.volume_attachments, instance_id=part)
    if not held:
        return {}
    volumes = {each.id: each for each in storage.load(conn, [row["volume_id"] for row in held])}
    kinds = {row["id"]: row for row in records.listing(conn, tables.volume_types)}
    found: dict[str, list[Attachment]] = defaultdict(list)
    for row in sorted(held, key=lambda each: (each["device"], each["id"])):
        volume = volumes[row["volume_id"]]
        found[row["instance_id"]].append(Attachment(row, volume, kinds.get(volume.record["volume_type_id"] or "")))
    return found


@dataclass(frozen=True)
class Differing:
    """What must change of an instance's volumes.

    :param attach: records of volumes that it lacks.
    :param detach: what it has and should not.
    :param keep: whether the boot volume goes with the instance, by the attachment's id, where that is to change.
    :param after: the names of its data volumes as they will be.
    """

    attach: Sequence[Record] = ()
    detach: Sequence[Attachment] = ()
    keep: Mapping[str, bool] | None = None
    after: Sequence[str] = ()
    changes: Sequence[Change] = ()


SAME = Differing()


def differ(held: Sequence[Attachment], volumes: Sequence[Record] | None, goes: bool | None = None) -> Differing:
    """Compare what an instance has with the volumes that it is to have; the boot volume stays in any case.

    :param volumes: records of all data volumes that are wanted; None: they stay as they are.
    :param goes: whether the boot volume is to go with the instance; None: that stays as it is.
    """
    present = [each for each in held if not each.going]
    boot = [each for each in present if each.boots]
    changes = []
    keep = {each.id: goes for each in boot if goes is not None and each.record["delete_on_termination"] != goes}
    if keep:
        changes.append(Change("boot_volume.delete_on_termination", not goes, goes))
    data = [each for each in present if not each.boots]
    before = [each.name for each in data]
    if volumes is None:
        return Differing(keep=keep, after=before, changes=changes)
    wanted = {row["id"]: row for row in volumes}
    there = {each.volume.id for each in present}
    attach = [row for key, row in wanted.items() if key not in there]
    detach = [each for each in data if each.volume.id not in wanted]
    after = [each.name for each in data if each.volume.id in wanted] + [row["name"] for row in attach]
    if attach or detach:
        changes.append(Change("volumes", before, after))
    return Differing(attach, detach, keep, after, changes)


def root_device(properties: Mapping[str, Any] | None, extra_specs: Mapping[str, Any] | None) -> str:
    """The name of a volume that is booted from."""
    return f"{_prefix(hardware.options(properties or {}, extra_specs or {}))}a"


def free_devices(record: Mapping[str, Any], taken: Collection[str], count: int) -> list[str]:
    """Names for further volumes of an instance. They stay for as long as the volume is attached.

    :param record: the instance; its own disk and its config drive have names already.
    :param taken: names of volumes that it has.
    :raises BadInput: there are not so many left.
    """
    properties, specs = (record["image"] or {}).get("properties") or {}, record["flavor"].get("extra_specs") or {}
    made = hardware.options(properties, specs)
    prefix = _prefix(made)
    spec = hardware.DomainSpec(
        id="", name="", project="", vcpus=1, ram=1, seed=bool(record["config_drive"]), image_properties=properties
    )
    if boot_of(record):
        spec = replace(spec, volumes=(hardware.VolumeDisk("", f"{prefix}a", {}),))
    else:
        spec = replace(spec, disks=(hardware.Disk(),))
    own = {f"{prefix}a", *hardware.device_names(spec, made), *taken}
    free = [prefix + letter for letter in string.ascii_lowercase if prefix + letter not in own]
    if len(free) < count:
        raise BadInput(f"Instance {record['name']!r} has room for {len(free)} volumes more, not for {count}.")
    return free[:count]


def boot_of(record: Mapping[str, Any]) -> Record | None:
    """How an instance boots from a volume: ``volume`` (its id), ``made`` (for it) and ``delete`` (with it)."""
    found: Record | None = (record["spec"] or {}).get("boot")
    return found


def disk(held: Attachment, source: Source) -> hardware.VolumeDisk:
    """The disk that the guest gets."""
    record = held.volume.record
    return hardware.VolumeDisk(
        id=held.volume.id,
        device=held.device,
        source=dict(source),
        user=held.volume.login["user"],
        secret=held.volume.login["secret"],
        boot_index=held.record["boot_index"],
        multiattach=bool(record["multiattach"]),
        connection=reach.of(held.type),
        **tuning.of(record, held.type, held.device),
    )


def _prefix(made: hardware.Options) -> str:
    return "vd" if made.disk_bus == "virtio" else "sd"
