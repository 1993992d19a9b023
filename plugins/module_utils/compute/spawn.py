# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making an instance on this host: disks, seed, domain, start.

Each step looks before it acts, so a spawn that was killed anywhere is finished by the next one. A spawn that fails
takes back what it made, unless the domain was there before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ansible_collections.agentless.cloud.plugins.module_utils.backend import BackendError
from ansible_collections.agentless.cloud.plugins.module_utils.compute import (
    connection,
    disks,
    domains,
    files,
    host_initiator,
    iso,
    ports,
    secrets,
    volume_xml,
    volumes,
)
from ansible_collections.agentless.cloud.plugins.module_utils.initiator import initiator

if TYPE_CHECKING:
    from ansible_collections.agentless.cloud.plugins.module_utils.backend import Context

SEED = "seed.iso"
SEED_LABEL = "cidata"
SEED_FILES = frozenset({"meta-data", "user-data", "network-config", "vendor-data"})


def spawn(ctx: Context, op: dict[str, Any]) -> dict[str, Any]:
    """Operation: have the instance here as described, running unless ``start`` is false."""
    instance_id = op["id"]
    where = files.directory(ctx.state_dir, instance_id)
    _check(op["xml"], instance_id)
    text = _with_volumes(op)
    if ctx.check_mode:
        return {"changed": connection.find(instance_id) is None}
    with files.held(where, create=True):
        known = connection.find(instance_id)
        if known is not None and known.isActive():
            return {"changed": False, "state": connection.state(known)}
        try:
            return _made(ctx, {**op, "xml": text}, where, known)
        except BaseException as exc:
            if known is None:
                _take_back(ctx, instance_id, where)
            if connection.libvirt is not None and isinstance(exc, connection.libvirt.libvirtError):
                raise BackendError(f"libvirt could not make the instance: {exc}") from exc
            raise


def settled(ctx: Context, operations: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results once the ports in ``wait_ports`` of all new instances are up; one without network has failed."""
    wanted = {
        place: ports.taps(op["xml"], op["wait_ports"])
        for place, op in enumerate(operations)
        if op["op"] == "spawn" and op.get("wait_ports") and results[place].get("state") == "running"
    }
    patience = min((float(operations[place].get("timeout") or ports.PATIENCE) for place in wanted), default=0.0)
    down = set(ports.missing(ctx, {port: tap for taps in wanted.values() for port, tap in taps.items()}, patience))
    return [
        _without_network(ctx, operations[place], result, sorted(down & set(wanted[place])))
        if down & set(wanted.get(place, ()))
        else result
        for place, result in enumerate(results)
    ]


def _without_network(ctx: Context, op: dict[str, Any], result: dict[str, Any], down: list[str]) -> dict[str, Any]:
    if result["changed"]:
        domains.destroy(ctx, {"op": "destroy", "id": op["id"]})
    text = f"The ports {', '.join(down)} did not come up on this host; is ovn-controller running and connected?"
    return BackendError(text, error="Timeout", ports=down).as_result()


def _made(ctx: Context, op: dict[str, Any], where: str, known: Any) -> dict[str, Any]:
    changed = known is None
    for disk in op.get("disks") or []:
        changed |= disks.ensure(ctx, where, disk)
    if op.get("seed"):
        changed |= _seed(ctx, where, op["seed"])
    for volume in op.get("volumes") or []:
        ctx.effect("secret")
        secrets.ensure(op["id"], volume)
        changed |= host_initiator.connect(ctx, op["id"], volume)
    before = known.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE) if known is not None else None
    ctx.effect("define")
    domain = connection.connect().defineXML(op["xml"])
    changed |= domain.XMLDesc(connection.libvirt.VIR_DOMAIN_XML_INACTIVE) != before
    if op.get("start", True):
        ctx.effect("start")
        domain.create()
        changed = True
    return {"changed": changed, "state": connection.state(domain)}


def _take_back(ctx: Context, instance_id: str, where: str) -> None:
    domain = connection.find(instance_id)
    if domain is not None:
        domains.erase(domain)
    if connection.libvirt is not None:
        secrets.release(secrets.made_for(instance_id))
    host_initiator.disconnect(ctx, instance_id)
    files.remove(where)


def _with_volumes(op: dict[str, Any]) -> str:
    """The XML with this host's name on its way to targets; its volumes are those of the operation and no others."""
    tree = ElementTree.fromstring(op["xml"])
    outside = [disk for disk in tree.iterfind("devices/disk") if disk.get("type") in ("network", "block")]
    found = {str(disk.findtext("serial")): disk for disk in outside}
    given = {str(volume["id"]): volume for volume in op.get("volumes") or []}
    for key, volume in given.items():
        disk = next((one for one in tree.iterfind("devices/disk") if one.findtext("serial") == key), None)
        if disk is None or not volumes.same_source(disk, volumes.described(volume)):
            raise BackendError(f"The domain XML does not have volume {key} as the operation describes it.")
    if set(found) - set(given):
        raise BackendError(f"The domain XML has a volume {min(set(found) - set(given))} that the operation lacks.")
    name = initiator()
    for disk in found.values():
        source = disk.find("source")
        if name and source is not None and source.get("protocol") == "iscsi":
            volume_xml.name_initiator(source, name)
    return ElementTree.tostring(tree, encoding="unicode") if found else str(op["xml"])


def _seed(ctx: Context, where: str, texts: dict[str, str]) -> bool:
    """Write the NoCloud volume, byte for byte what the controller sent."""
    unknown = set(texts) - SEED_FILES
    if unknown:
        raise BackendError(f"A seed has no file {sorted(unknown)[0]!r}.")
    path = files.member(where, SEED)
    content = iso.image(SEED_LABEL, {name: text.encode("utf-8") for name, text in texts.items()})
    if os.path.exists(path):
        with open(path, "rb") as stream:
            if stream.read() == content:
                return False
    ctx.effect("seed")
    files.replace(path, content)
    return True


def _check(text: str, instance_id: str) -> None:
    """The XML has to describe this instance: its UUID, and our record of it in the metadata."""
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError as exc:
        raise BackendError(f"The domain XML does not parse: {exc}.") from exc
    record = tree.find(f"metadata/{{{connection.NAMESPACE}}}instance")
    if tree.findtext("uuid") != instance_id or record is None or record.get("id") != instance_id:
        raise BackendError(f"The domain XML is not that of instance {instance_id}.")
