# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few best hosts for a request, picked by the database from all of them.

One statement filters every host, scales and weighs those that pass, and returns the best in the order of the pipeline:
the same arithmetic on the same IEEE doubles in the same sequence, and the same order among equals. The pipeline then
repeats it on these few, with the scale of all that pass. So its choice is the one that it would have made from the
whole fleet (tests/functional/placement/test_shortlist.py holds them against each other).

The database still looks at every host, about a microsecond for each; what is read does not grow with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import hosts as inventory
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa

# A pick changes the weight of its own host only, so a batch of so many never needs more hosts than these.
MOST = 16
# A fleet of so many is read as a whole: it takes no longer, and the story is complete.
SMALL = 64

_STATEMENT = """
WITH fitting AS ({fitting}), scaled AS ({scaled})
SELECT id, fit,
    (SELECT count(*) FROM hosts) AS seen,
    EXISTS (SELECT 1 FROM host_aggregates WHERE CAST(metadata AS TEXT) LIKE :override) AS overridden,
    {peaks}
FROM scaled
ORDER BY {weight} DESC, substr(id, :digit) < :start, substr(id, :digit), id
LIMIT :most
"""
_LEFT = "({0}.total - {0}.reserved) * {0}.allocation_ratio - {0}.used"


@dataclass(frozen=True)
class Wanted:
    """What a host must be, what its weight is, and the order among equals.

    :param needs: the least room of each kind; of one at least more than nothing.
    :param multipliers: by the kind of room that is weighed, in the order in which weights are summed.
    :param only: names of which the host must have one; None: any.
    :param never: names that it must not have.
    :param digit: the first digit of ids that is compared among equals, counted from 1.
    :param start: with what the order among equals starts; those before it come last.
    """

    needs: Mapping[str, int]
    multipliers: Mapping[str, float]
    real: bool
    zone: str | None
    only: frozenset[str] | None
    never: frozenset[str]
    digit: int
    start: str


@dataclass(frozen=True)
class Shortlist:
    """The best hosts and the scale of all that pass.

    :param ids: best first.
    :param fit: how many hosts pass.
    :param seen: how many there are.
    :param peaks: by the kind of room that is weighed, the most that a host has of it among those that pass.
    """

    ids: tuple[str, ...]
    fit: int
    seen: int
    peaks: dict[str, float]


def read(conn: sa.Connection, wanted: Wanted) -> Shortlist | None:
    """The best hosts; None where all must be read: there are few, none passes, or an aggregate sets a multiplier."""
    if wanted.only is not None and not wanted.only:
        return None
    statement = _statement(
        conn.dialect.name,
        tuple(name for name, amount in wanted.needs.items() if amount),
        tuple(wanted.multipliers),
        (wanted.real, wanted.zone is not None, wanted.only is not None, bool(wanted.never)),
    )
    values: dict[str, Any] = {
        **{f"need_{name}": amount for name, amount in wanted.needs.items() if amount},
        **{f"times_{kind}": multiplier for kind, multiplier in wanted.multipliers.items()},
        **({} if wanted.zone is None else {"zone": wanted.zone}),
        **({} if wanted.only is None else {"only": sorted(wanted.only)}),
        **({"never": sorted(wanted.never)} if wanted.never else {}),
        "override": "%weight_multiplier%",
        "digit": wanted.digit,
        "start": wanted.start,
        "most": MOST,
    }
    rows = conn.execute(statement, values).all()
    if not rows:
        return None
    _id, fit, seen, overridden, *peaks = rows[0]
    if overridden or seen <= SMALL:
        return None
    scale = {kind: peak or 0.0 for kind, peak in zip(wanted.multipliers, peaks, strict=True)}
    return Shortlist(tuple(row[0] for row in rows), fit, seen, scale)


@cache
def _statement(
    dialect: str, needed: tuple[str, ...], kinds: tuple[str, ...], asked: tuple[bool, bool, bool, bool]
) -> sa.TextClause:
    if dialect == "sqlite":
        peaks = ", ".join(f"NULLIF(max({kind}) * 1.0, 0) AS peak_{kind}" for kind in kinds)
        fitting = _joined(needed, _conditions(f"{needed[0]}.host_id", *asked))
        scaled = f"SELECT * FROM fitting, (SELECT count(*) AS fit, {peaks} FROM fitting)"
    else:
        peaks = ", ".join(f"NULLIF(max({kind}) OVER (), 0) AS peak_{kind}" for kind in kinds)
        fitting = _grouped(needed, _conditions("inventories.host_id", *asked))
        scaled = f"SELECT *, count(*) OVER () AS fit, {peaks} FROM fitting"
    parts = (f":times_{kind} * COALESCE({kind} / peak_{kind}, 0)" for kind in kinds)
    text = _STATEMENT.format(
        fitting=fitting,
        scaled=scaled,
        peaks=", ".join(f"peak_{kind}" for kind in kinds),
        weight=" + ".join(parts),
    )
    lists = [name for name, given in zip(("only", "never"), asked[2:], strict=True) if given]
    return sa.text(text).bindparams(*(sa.bindparam(name, expanding=True) for name in lists))


def _conditions(key: str, real: bool, zone: bool, only: bool, never: bool) -> str:
    """What is asked of the host itself. No column is read that is behind the large ones, unless an index has it."""
    idle = "state <> 'enabled' OR planned" if real else "state <> 'enabled'"
    # Those ruled out are looked up, not those that pass: they are fewer.
    conditions = [
        f"{key} NOT IN (SELECT id FROM hosts WHERE {idle})",
        *([f"{key} IN (SELECT id FROM hosts WHERE zone = :zone)"] if zone else []),
        *([f"{key} IN (SELECT id FROM hosts WHERE name IN :only)"] if only else []),
        *([f"{key} NOT IN (SELECT id FROM hosts WHERE name IN :never)"] if never else []),
    ]
    return " AND ".join(conditions)


def _joined(needed: tuple[str, ...], conditions: str) -> str:
    """For SQLite: a look into the index for each kind of room. A host that has none of a kind has 0."""
    kinds = (*needed, *(kind for kind in inventory.CLASSES if kind not in needed))
    first, tables, rooms = needed[0], [], []
    for kind in kinds:
        # Without statistics SQLite takes the primary key, and then looks into the table for every host and kind.
        source = f"inventories AS {kind} INDEXED BY ix_inventories_room"
        same = f"{kind}.resource_class = '{inventory.CLASSES[kind]}' AND {kind}.host_id = {first}.host_id"
        enough = f"{_LEFT.format(kind)} >= :need_{kind}"
        if kind == first:
            tables.append(source)
            conditions = f"{kind}.resource_class = '{inventory.CLASSES[kind]}' AND {enough} AND {conditions}"
        else:
            tables.append(
                f"JOIN {source} ON {same} AND {enough}" if kind in needed else f"LEFT JOIN {source} ON {same}"
            )
        rooms.append(f"CAST(COALESCE({_LEFT.format(kind)}, 0) AS INTEGER) AS {kind}")
    return f"SELECT {first}.host_id AS id, {', '.join(rooms)} FROM {' '.join(tables)} WHERE {conditions}"


def _grouped(needed: tuple[str, ...], conditions: str) -> str:
    """For PostgreSQL: no join at all. Without statistics it takes a join of ten thousand for one of ten."""
    left = {
        kind: f"COALESCE(max(CASE resource_class WHEN '{name}' THEN {_LEFT.format('inventories')} END), 0)"
        for kind, name in inventory.CLASSES.items()
    }
    rooms = ", ".join(f"floor({text}) AS {kind}" for kind, text in left.items())
    enough = " AND ".join(f"{left[kind]} >= :need_{kind}" for kind in needed)
    return f"SELECT host_id AS id, {rooms} FROM inventories WHERE {conditions} GROUP BY host_id HAVING {enough}"
