# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of an instance: its options as values, checked as far as they can be without the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils import limits
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.names import label
from ansible_collections.agentless.cloud.plugins.plugin_utils.volume.wanted import LARGEST

MOST_AT_ONCE = 1000  # instances of one task: one transaction, and one message to each host


@dataclass(frozen=True)
class Nic:
    """One port asked for; ``security_groups`` None means those of the instance."""

    network: str
    fixed_ip: str | None = None
    mac_address: str | None = None
    security_groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class BootVolume:
    """What to boot from instead of a disk on the host: a volume that is there, or one made from the image."""

    volume: str | None = None
    size: int | None = None
    volume_type: str | None = None
    delete_on_termination: bool | None = None

    @property
    def goes(self) -> bool:
        """Whether it goes with the instance: one that is made for it does, unless said."""
        return self.volume is None if self.delete_on_termination is None else self.delete_on_termination


@dataclass(frozen=True)
class Wanted:
    """One task's wish. None means that the user did not say."""

    names: tuple[str, ...]
    state: str
    counted: bool
    flavor: str | None
    image: str | None
    nics: tuple[Nic, ...] | None
    security_groups: tuple[str, ...] | None
    key_name: str | None
    userdata: str | None
    metadata: Mapping[str, str] | None
    tags: tuple[str, ...] | None
    server_group: str | None
    hints: Mapping[str, Any]
    zone: str | None
    host: str | None
    config_drive: bool | None
    wait: bool
    timeout: int
    volumes: tuple[str, ...] | None = None
    boot_volume: BootVolume | None = None


def wanted(args: Mapping[str, Any]) -> Wanted:
    """The wish in the options of the module ``instance``.

    :raises BadInput: an option that cannot be meant.
    """
    names = _names(args["name"], args.get("count"))
    if args["timeout"] < 1:
        raise BadInput(f"timeout is {args['timeout']}; it must be at least 1 second.")
    return Wanted(
        names=names,
        state=args["state"],
        counted=args.get("count") is not None,
        flavor=args.get("flavor"),
        image=args.get("image"),
        nics=_nics(args, len(names)),
        security_groups=_several("security_groups", "security_groups", args.get("security_groups")),
        key_name=args.get("key_name"),
        userdata=_userdata(args.get("userdata")),
        metadata=_metadata(args.get("metadata")),
        tags=_tags(args.get("tags")),
        server_group=args.get("server_group"),
        hints=_hints(args.get("scheduler_hints") or {}),
        zone=None if args.get("zone") is None else label("zone", args["zone"]),
        host=args.get("host"),
        config_drive=args.get("config_drive"),
        wait=args["wait"],
        timeout=args["timeout"],
        volumes=_several("volumes", "volumes", args.get("volumes")),
        boot_volume=_boot_volume(args.get("boot_volume"), args.get("image")),
    )


def _names(name: str, count: int | None) -> tuple[str, ...]:
    label("name", name)
    if count is None:
        return (name,)
    if not 1 <= count <= MOST_AT_ONCE:
        raise BadInput(f"count is {count}; one task takes 1 to {MOST_AT_ONCE} instances.")
    return tuple(label("name", f"{name}-{number}") for number in range(1, count + 1))


def _nics(args: Mapping[str, Any], count: int) -> tuple[Nic, ...] | None:
    if args.get("networks") is not None and args.get("nics") is not None:
        raise BadInput("networks and nics are both given; name each port in one of them.")
    for option in ("networks", "nics"):
        limits.check("nics", option, args.get(option) or ())
    if args.get("networks") is not None:
        return tuple(Nic(network) for network in args["networks"])
    if args.get("nics") is None:
        return None
    nics = tuple(
        Nic(
            nic["network"],
            nic.get("fixed_ip"),
            nic.get("mac_address"),
            _several("security_groups", "security_groups of a nic", nic.get("security_groups")),
        )
        for nic in args["nics"]
    )
    if count > 1 and any(nic.fixed_ip or nic.mac_address for nic in nics):
        raise BadInput("fixed_ip and mac_address name one port; they cannot go with a count above 1.")
    return nics


def _boot_volume(given: Mapping[str, Any] | None, image: str | None) -> BootVolume | None:
    if given is None:
        return None
    made = BootVolume(**{key: given.get(key) for key in ("volume", "size", "volume_type", "delete_on_termination")})
    if (made.volume is None) == (made.size is None):
        raise BadInput("boot_volume takes either volume, which exists, or size, to make one from the image.")
    if made.size is not None and not 1 <= made.size <= LARGEST:
        raise BadInput(f"boot_volume.size is {made.size}; it must be from 1 to {LARGEST} GiB.")
    if made.size is not None:
        return made
    if made.volume_type is not None:
        raise BadInput("boot_volume.volume_type goes with boot_volume.size; a volume that exists has its type.")
    if image is not None:
        raise BadInput("boot_volume.volume has what it boots; leave image out.")
    return made


def _several(subject: str, option: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    if values is None:
        return None
    limits.check(subject, option, values)
    return tuple(values)


def _userdata(given: str | None) -> str | None:
    if given is not None:
        limits.check("userdata", "userdata", given)
    return given


def _tags(given: Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    found = sorted({label("tag", tag) for tag in given})
    for tag in found:
        limits.check("tag", f"tag {tag[:20]!r}...", tag)
    limits.check("tags", "tags", found)
    return tuple(found)


def _hints(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hints that are not too many; which there are, and whom they name, is looked at where a host is chosen."""
    limits.check("entries", "scheduler_hints", given)
    for hint, named in given.items():
        if isinstance(named, (list, tuple)):
            limits.check("hint", f"scheduler_hints.{label('key of scheduler_hints', str(hint))}", named)
    return given


def _metadata(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    if given is None:
        return None
    limits.check("entries", "metadata", given)
    for key, value in given.items():
        if isinstance(value, (dict, list)):
            raise BadInput(f"metadata {key!r} is not a text. Metadata are texts by text; encode the value yourself.")
        limits.check("value", f"metadata {key!r:.80}", str(value))
    return {label("metadata key", str(key)): str(value) for key, value in given.items()}
