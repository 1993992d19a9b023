# Copyright: (c) 2026, agentless.cloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where instances are or would go, for the lookup ``scheduler``. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.cloud.plugins.plugin_utils.compute import placement
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor import projects, records
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.libraries import sa
from ansible_collections.agentless.cloud.plugins.plugin_utils.conductor.schema import cell, cloud
from ansible_collections.agentless.cloud.plugins.plugin_utils.errors import BadInput
from ansible_collections.agentless.cloud.plugins.plugin_utils.principal import Principal


@dataclass(frozen=True)
class Question:
    """What is asked of every name."""

    names: tuple[str, ...]
    count: int | None = None
    flavor: str | None = None
    image: str | None = None
    networks: tuple[str, ...] = ()
    server_group: str | None = None
    zone: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)
    project: str = "default"
    explain: bool = False


def answers(conn: Any, question: Question, principal: Principal) -> list[Mapping[str, Any]]:
    """For each name ``{host, seen, candidates, filtered, survivors}``; those placed together know of each other.

    :raises NotFound: a name in the question does not exist.
    :raises NoValidHost: not all find a host; carries the explanation.
    """
    project = projects.resolve(conn, question.project, principal)
    names = _names(question)
    present = _present(conn, project["id"], names)
    new = [name for name in dict.fromkeys(names) if name not in present]
    found: dict[str, Mapping[str, Any]] = {name: _story(host, {}) for name, host in present.items()}
    if new:
        spec = _spec(conn, question, project["id"])
        chosen = placement.decide(conn, spec, count=len(new), seed=new[0], whole=question.explain)
        found.update(
            {name: _story(host.name, chosen.explanation) for name, host in zip(new, chosen.hosts, strict=True)}
        )
    return [found[name] for name in names]


def _names(question: Question) -> list[str]:
    if question.count is None:
        return list(question.names)
    if question.count < 1:
        raise BadInput(f"count is {question.count}; it must be at least 1.")
    return [f"{name}-{number}" for name in question.names for number in range(1, question.count + 1)]


def _present(conn: Any, project_id: str, names: list[str]) -> dict[str, str]:
    """The hosts of the instances that exist, by the name or id asked for."""
    table, hosts = cell.instances, cell.hosts
    query = (
        sa.select(table.c.id, table.c.name, hosts.c.name)
        .join_from(table, hosts)
        .where(table.c.project_id == project_id, table.c.name.in_(names) | table.c.id.in_(names))
    )
    return {label: host for key, name, host in conn.execute(query) for label in (key, name)}


def _spec(conn: Any, question: Question, project_id: str) -> Any:
    if question.flavor is None:
        raise BadInput(f"{', '.join(question.names)}: no such instance; to say where it would go, give a flavor.")

    def one(table: Any, name: str | None) -> Any:
        return None if name is None else records.get(conn, table, name, project_id=project_id)

    for network in question.networks:
        one(cloud.networks, network)
    return placement.request_spec(
        conn,
        flavor=one(cloud.flavors, question.flavor),
        image=one(cloud.images, question.image),
        group=one(cloud.server_groups, question.server_group),
        hints=question.hints,
        zone=question.zone,
        project_id=project_id,
        real=_has_machines(conn),
    )


def _has_machines(conn: Any) -> bool:
    """Whether any host is more than a plan: then only these can be where an instance would go."""
    return bool(conn.execute(sa.select(sa.exists().where(cell.hosts.c.planned.is_(False)))).scalar())


def _story(host: str, explanation: Mapping[str, Any]) -> dict[str, Any]:
    return {"host": host, "seen": 0, "candidates": [], "filtered": [], "survivors": [], **explanation}
