# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports by the kernel's target (LIO), through rtslib: one target for each volume, closed to all but its initiators.

Each has one portal group with the portals of the host, and LUN 0, whose serial number is the volume's UUID. Nobody gets
in without an ACL for the name of his initiator and the volume's own user and secret (CHAP); the ACLs are all there is,
demo mode is off. The configuration is saved once for a whole call, and comes back when the machine starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.volume import survey

try:
    import rtslib_fb as rtslib
except ImportError:  # only storage hosts have it
    rtslib = None

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

LOCK = "/run/agentless-target.lock"
# Stands while something is changed and not saved, so that the next call saves what a killed one has not.
UNSAVED = "/run/agentless-target.unsaved"
SAVED = "/etc/rtslib-fb-target/saveconfig.json"
# Persistent reservations are written down here, and refused where the kernel cannot: Debian's packages do not make it.
RESERVATIONS = os.path.join(os.path.dirname(SAVED), "pr")
CORE = "/sys/kernel/config/target/core"
LUN = 0
UNMAP = 1 << 20  # blocks that an initiator discards with one command, at most
# Who has no ACL gets nothing, and who has one still has to know the secret.
CLOSED = {"authentication": "1", "generate_node_acls": "0", "cache_dynamic_acls": "0", "demo_mode_write_protect": "1"}


class Target:
    """The exports of this host, changed under one lock and saved together."""

    def __init__(self, ctx: Context, portals: Sequence[str], base: str) -> None:
        self._ctx = ctx
        self._portals = portals
        self._base = base
        self._gone: set[str] = set()

    @contextlib.contextmanager
    def changes(self) -> Iterator[None]:
        """Hold the lock; :meth:`save_changes` comes at the end of the call."""
        if rtslib is None:
            raise BackendError("python3-rtslib-fb is missing on this host: run agentless.cloud.site for it.")
        with open(LOCK, "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # rtslib remembers which numbers backstores have; other calls have had the lock since.
            rtslib.tcm.bs_cache.clear()
            yield

    def iqn(self, backend: str, name: str) -> str:
        """The name of a volume's target; two backends may export the same volume while it moves between them."""
        return f"{self._base}:{backend}.{name}"

    def export(self, iqn: str, device: str, op: dict[str, Any]) -> bool:
        """Let an initiator in, and unless the volume is shared put every other one out; whether anything changed.

        :param op: ``id``, ``initiator``, ``user``, ``secret`` and ``shared``.
        """
        with _told(f"export volume {op['id']}"):
            target = _lookup(iqn)
            changed = target is None or not _complete(target, op, self._portals)
            if changed and not self._ctx.check_mode:
                self._touch("target")
                target = target or rtslib.Target(rtslib.FabricModule("iscsi"), iqn)
                self._build(target, device, op)
            return changed

    def unexport(self, iqn: str, initiator: str | None) -> bool:
        """Put an initiator out, or without one remove the whole target; whether anything changed."""
        with _told(f"close {iqn}"):
            target = _lookup(iqn)
            if target is None:
                return self._orphan(iqn) | self._forgotten(iqn)
            acls = [acl for tpg in target.tpgs for acl in tpg.node_acls]
            leaving = [acl for acl in acls if acl.node_wwn == initiator]
            if initiator and acls and not leaving:
                return False
            if not self._ctx.check_mode:
                self._touch("target")
                for acl in leaving:
                    acl.delete()
                if not initiator or len(leaving) == len(acls):
                    target.delete()
                    self._gone |= {iqn, _label(iqn)}
                    self._orphan(iqn)
            return True

    def grow(self, iqn: str, size: int) -> bool:
        """Have a file that is exported offered with that many bytes; whether anything changed.

        A device is asked for its size each time, a file was asked when the target was made.
        """
        with _told(f"grow {iqn}"):
            storage = _storage(_label(iqn))
            if storage is None or storage.plugin != "fileio" or storage.size >= size:
                return False
            if not self._ctx.check_mode:
                self._touch("grow")
                # rtslib says it for new ones only; the kernel listens at any time.
                with open(os.path.join(storage.path, "control"), "w", encoding="ascii") as control:
                    control.write(f"fd_dev_size={size}")
                if storage.size != size:
                    raise BackendError(f"The kernel's target still has the old size of {iqn}: detach the volume once.")
            return True

    def idle(self, iqn: str) -> bool:
        """Whether nobody can have a device open through this target, because there is none."""
        with _told(f"look for {iqn}"):
            return _lookup(iqn) is None and _storage(_label(iqn)) is None

    def listed(self) -> dict[str, Any]:
        """All targets of this cloud with those let in, and backstores that have none."""
        return survey.exports(self._base)

    def save_changes(self) -> None:
        """Write the configuration down for the next start of the machine, if this call or a killed one changed it."""
        if not os.path.exists(UNSAVED):
            return
        with self.changes(), _told("save the target's configuration"):
            self._ctx.effect("save")
            now, before = rtslib.RTSRoot().dump(), _saved()
            self._whole(now, before)
            # What did not come back when the machine started is kept, or one missing device would cost its target.
            for kind, key in (("targets", "wwn"), ("storage_objects", "name")):
                live = {one[key] for one in now[kind]} | self._gone
                now[kind] += [one for one in before.get(kind, ()) if one[key] not in live and self._ours(one[key])]
            draft = f"{SAVED}.part"
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
                json.dump(now, handle, sort_keys=True, indent=2)
                handle.flush()
                os.fsync(handle.fileno())
            os.rename(draft, SAVED)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(UNSAVED)

    def _whole(self, now: dict[str, Any], before: dict[str, Any]) -> None:
        """Put targets that came back without their device back as they were saved: what is live of them has no LUN."""
        stores = {one["name"] for one in now["storage_objects"]} | self._gone
        kept = {one["wwn"]: one for one in before.get("targets", ()) if _label(one["wwn"]) not in stores}
        now["targets"] = [kept.get(one["wwn"], one) for one in now["targets"]]

    def _touch(self, effect: str) -> None:
        self._ctx.effect(effect)
        with open(UNSAVED, "a", encoding="ascii"):
            pass

    def _ours(self, name: str) -> bool:
        return name.startswith(f"{self._base}:") or ".volume-" in name

    def _forgotten(self, iqn: str) -> bool:
        """Take a target out of the saved configuration that is not there."""
        if all(one["wwn"] != iqn for one in _saved().get("targets", ())):
            return False
        if not self._ctx.check_mode:
            self._touch("target")
            self._gone |= {iqn, _label(iqn)}
        return True

    def _orphan(self, iqn: str) -> bool:
        """Remove a backstore that a killed call has left without a target, or that a target has just left."""
        storage = _storage(_label(iqn))
        if storage is not None and not self._ctx.check_mode:
            self._touch("backstore")
            self._gone.add(storage.name)
            storage.delete()
        return storage is not None

    def _build(self, target: Any, device: str, op: dict[str, Any]) -> None:
        os.makedirs(RESERVATIONS, mode=0o700, exist_ok=True)
        tpg = next(iter(target.tpgs), None) or rtslib.TPG(target, 1)
        for attribute, value in CLOSED.items():
            tpg.set_attribute(attribute, value)
        self._ctx.effect("lun")
        lun = next(iter(tpg.luns), None) or rtslib.LUN(tpg, LUN, self._backstore(_label(target.wwn), device, op["id"]))
        self._ctx.effect("acl")
        for acl in list(tpg.node_acls):
            if not op.get("shared") and acl.node_wwn != op["initiator"]:
                acl.delete()
        acl = _acl(tpg, op["initiator"]) or rtslib.NodeACL(tpg, op["initiator"])
        acl.chap_userid, acl.chap_password = op["user"], op["secret"]
        self._ctx.effect("mapped")
        if not list(acl.mapped_luns):
            rtslib.MappedLUN(acl, LUN, lun)
        self._ctx.effect("portal")
        for address, port in _missing(tpg, self._portals):
            rtslib.NetworkPortal(tpg, address, port)
        self._ctx.effect("enable")
        tpg.enable = True

    @staticmethod
    def _backstore(label: str, device: str, serial: str) -> Any:
        """The backstore of a device or of a file, with the volume's UUID as its serial number."""
        found = _storage(label)
        if found is not None:
            return found
        if os.path.isfile(device):
            made = rtslib.FileIOStorageObject(label, device, os.path.getsize(device), wwn=serial, write_back=False)
        else:
            made = rtslib.BlockStorageObject(label, device, wwn=serial)
        # What the guest discards goes back to the pool.
        made.set_attribute("emulate_tpu", "1")
        most = min(UNMAP, int(made.get_attribute("max_unmap_lba_count")))
        made.set_attribute("max_unmap_lba_count", str(most))
        return made


def address_and_port(portal: str) -> tuple[str, int]:
    """The two halves of ``10.0.0.5:3260`` or ``[fd00::5]:3260``."""
    address, _colon, port = portal.rpartition(":")
    if not address or not port.isdigit():
        raise BackendError(f"{portal!r} is not an address and a port: run agentless.cloud.site for this host.")
    return address, int(port)


def _missing(tpg: Any, portals: Sequence[str]) -> list[tuple[str, int]]:
    """The portals by which a target cannot be reached yet."""
    there = {(one.ip_address, int(one.port)) for one in tpg.network_portals}
    return [each for each in map(address_and_port, portals) if each not in there]


def _complete(target: Any, op: dict[str, Any], portals: Sequence[str]) -> bool:
    """Whether the export is there as it is asked for."""
    tpg = next(iter(target.tpgs), None)
    acl = tpg and _acl(tpg, op["initiator"])
    if not tpg or not tpg.enable or _missing(tpg, portals) or not acl or not list(acl.mapped_luns):
        return False
    others = [one for one in tpg.node_acls if one.node_wwn != op["initiator"]]
    same = (acl.chap_userid, acl.chap_password) == (op["user"], op["secret"])
    closed = all(tpg.get_attribute(name) == value for name, value in CLOSED.items())
    return same and closed and (not others or bool(op.get("shared")))


def _saved() -> dict[str, Any]:
    """The saved configuration."""
    try:
        with open(SAVED, encoding="utf-8") as handle:
            return dict(json.load(handle))
    except FileNotFoundError:
        return {}


def _lookup(iqn: str) -> Any:
    try:
        return rtslib.Target(rtslib.FabricModule("iscsi"), iqn, mode="lookup")
    except rtslib.RTSLibNotInCFS:
        return None


def _storage(label: str) -> Any:
    # By its directory: rtslib would make an object of every backstore of the host, for each volume of a call.
    for kind, made in (("iblock", rtslib.BlockStorageObject), ("fileio", rtslib.FileIOStorageObject)):
        for found in glob.iglob(os.path.join(CORE, f"{kind}_*", label)):
            return made(label, index=int(os.path.basename(os.path.dirname(found)).rpartition("_")[2]))
    return None


def _acl(tpg: Any, initiator: str) -> Any:
    return next((one for one in tpg.node_acls if one.node_wwn == initiator), None)


def _label(iqn: str) -> str:
    """What the backstore of a target is called: all but the base of its name."""
    return iqn.partition(":")[2]


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except rtslib.RTSLibError as exc:
        raise BackendError(f"The kernel's target could not {what}: {exc}.") from exc
