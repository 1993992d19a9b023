# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes in the database: room, states, and one writer whoever asks at the same moment."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import Conductor, projects, records, volumes
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput, ClaimLost, Conflict, InUse
from tests.functional.conductor.world import at_once

Record = dict[str, Any]
WRITERS = 8


def backend(conn: sa.Connection, total: int = 100, ratio: float = 1.0, reserved: int = 0) -> Record:
    return records.insert(
        conn,
        cloud.volume_backends,
        name="lvm1",
        host="vol1",
        driver="lvm",
        total=total,
        reserved=reserved,
        allocation_ratio=ratio,
    )


def volume(conn: sa.Connection, where: Record, name: str = "data", **values: Any) -> Record:
    project = projects.ensure_default(conn)["id"]
    about = {"project_id": project, "name": name, "size": 5, "backend_id": where["id"], **values}
    made = volumes.create(conn, about)
    return volumes.move(conn, made["id"], {"creating"}, status="available")


@pytest.mark.parametrize(
    ("total", "ratio", "reserved", "most"),
    [(10, 1.0, 0, 10), (10, 1.0, 4, 6), (10, 2.5, 0, 25), (3, 1.1, 0, 3), (10, 20.0, 1, 180)],
)
def test_the_last_gib_fits_and_the_next_does_not(
    conductor: Conductor, total: int, ratio: float, reserved: int, most: int
) -> None:
    with conductor.transaction() as conn:
        key = backend(conn, total, ratio, reserved)["id"]
        volumes.claim(conn, key, most)
        with pytest.raises(ClaimLost, match="vol1@lvm1 has no room for 1 GiB more"):
            volumes.claim(conn, key, 1)
        volumes.release(conn, key, most)
        with pytest.raises(Conflict):
            volumes.release(conn, key, 1)


def test_the_schema_itself_refuses_overcommit(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        key = backend(conn)["id"]
        with pytest.raises(BadInput, match="ck_volume_backends_room"):
            records.update(conn, cloud.volume_backends, key, used=101)


MOVES = {
    "made": ("creating", "available", True),
    "given up": ("creating", "deleting", True),
    "grown while attached": ("in-use", "extending", True),
    "deleted under a guest": ("in-use", "deleting", False),
    "back from deletion": ("deleting", "available", False),
    "no such status": ("available", "gone", False),
}


@pytest.mark.parametrize(("before", "after", "legal"), MOVES.values(), ids=list(MOVES))
def test_moves(conductor: Conductor, before: str, after: str, legal: bool) -> None:
    with conductor.transaction() as conn:
        made = volume(conn, backend(conn))
        records.update(conn, cloud.volumes, made["id"], status=before)
        if legal:
            assert volumes.move(conn, made["id"], {before}, status=after)["status"] == after
        else:
            with pytest.raises(BadInput, match="cannot go"):
                volumes.move(conn, made["id"], {before}, status=after)


def test_a_volume_has_one_writer(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        key = volume(conn, backend(conn))["id"]
        first = volumes.attach(conn, key, "a", host="c1", device="vdb")
        assert volumes.attach(conn, key, "a", host="c1", device="vdb") == first
        with pytest.raises(InUse, match="only one instance can have it"):
            volumes.attach(conn, key, "b", host="c2", device="vdb")
        volumes.attached(conn, first["id"])
        assert records.get(conn, cloud.volumes, key)["status"] == "in-use"
        with pytest.raises(InUse):
            records.delete(conn, cloud.volumes, key)
        volumes.detaching(conn, first["id"])
        assert records.get(conn, cloud.volumes, key)["status"] == "detaching"
        with pytest.raises(InUse, match="is being detached"):
            volumes.attach(conn, key, "a", host="c1", device="vdb")
        volumes.detach(conn, first["id"])
        volumes.detach(conn, first["id"])
        assert records.get(conn, cloud.volumes, key)["status"] == "available"


def test_a_multiattach_volume_has_many(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        key = volume(conn, backend(conn), multiattach=True)["id"]
        held = [volumes.attach(conn, key, name, host="c1", device="vdb") for name in ("a", "b", "c")]
        assert [row["slot"] for row in held] == [1, 2, 3]
        for row in held:
            volumes.attached(conn, row["id"])
        volumes.detach(conn, held[0]["id"])
        (shown,) = volumes.describe(conn, None, ids=[key])
        assert shown["status"] == "in-use"
        assert [each["instance_id"] for each in shown["attachments"]] == ["b", "c"]
        assert "secret" not in shown


def test_one_device_for_one_volume(conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        where = backend(conn)
        one, two = (volume(conn, where, name)["id"] for name in ("one", "two"))
        volumes.attach(conn, one, "a", host="c1", device="vdb")
        with pytest.raises(InUse, match="taken vdb"):
            volumes.attach(conn, two, "a", host="c1", device="vdb")


def _grab(address: str, number: int, volume_id: str) -> str:
    opened = Conductor.open(address)
    try:
        with opened.transaction() as conn:
            volumes.attach(conn, volume_id, f"instance{number}", host=f"c{number}", device="vdb")
        return "got it"
    except (InUse, Conflict) as exc:
        return exc.error
    finally:
        opened.close()


def test_of_many_who_ask_at_once_exactly_one_gets_it(address: str, conductor: Conductor) -> None:
    with conductor.transaction() as conn:
        key = volume(conn, backend(conn))["id"]
    said = at_once(lambda number: _grab(address, number, key), WRITERS)
    assert said.count("got it") == 1
    with conductor.read() as conn:
        assert len(records.listing(conn, cloud.volume_attachments, volume_id=key)) == 1
